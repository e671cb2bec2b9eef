"""Retention at AWS: whether a lock locks anything, and what could make locked records unreadable or hide
them before their time."""

from collections.abc import Iterator
from typing import Final

from facts.zones import Zone
from policies import bucket_settings, iam, kubernetes, references
from policies.model import Node, Resource
from policies.rule import Hit, Subject, rule

_CONTROLS = (
    "HIPAA 164.312(b)",
    "HIPAA 164.312(c)(1)",
    "HIPAA 164.316(b)(2)(i)",
    "HDS EXI 15",
    "AI Act 12",
)
_LOCK: Final = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"
_LIFECYCLE: Final = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
_DEFAULT: Final = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
_KEY: Final = "aws:kms/key:Key"
_VAULT: Final = "aws:backup/vault:Vault"
_VAULT_LOCK: Final = "aws:backup/vaultLockConfiguration:VaultLockConfiguration"
#: docs.aws.amazon.com/kms/latest/developerguide/deleting-keys.html: the longest wait, and what is meant
#: unless it is said
_LONGEST = 30


@rule(
    "aws-retention.locks",
    title="A bucket that can lock does lock",
    routes=["K51"],
    controls=_CONTROLS,
    fix="Add a BucketObjectLockConfiguration with a default retention in mode COMPLIANCE.",
    pack="protection",
    scope="plan",
    needs_whole=True,
)
def locks(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """objectLockEnabled only makes a lock possible: without a configuration each object is locked one by one,
    by whoever writes it, or not at all. A vault of backups is locked by a resource of its own."""
    plan = subject.plan
    for look in bucket_settings.own(plan):
        assert look.resource is not None
        inline = look["objectLockConfiguration"]
        if (
            look["objectLockEnabled"].flag()
            and inline["rule"].absent
            and not any(bucket_settings.of(plan, look.resource, _LOCK))
        ):
            yield kubernetes.hit(look, "objectLockEnabled", seen="no lock", why="no object in it is locked")
    locked = {
        found.urn
        for lock in plan.by_type.get(_VAULT_LOCK, ())
        if (found := _meant(Subject(plan, lock), "backupVaultName", _VAULT)) is not None
    }
    for vault in plan.by_type.get(_VAULT, ()):
        if vault.urn not in locked:
            yield kubernetes.hit(
                Subject(plan, vault), "", seen="no lock", why="whoever has the right deletes every backup"
            )


@rule(
    "aws-retention.lifecycle",
    title="Nothing locked is taken out of sight before its time",
    routes=["K51"],
    controls=_CONTROLS,
    fix="Let objects expire after as many days as the zone's `retention` says, or not at all.",
    pack="protection",
    types=[_LIFECYCLE],
)
def lifecycle(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A rule that lets objects expire sooner than they are locked hides them behind a marker: they are there,
    and nobody who looks for them finds them."""
    bucket = references.resolve(subject, subject["bucket"])
    if bucket is None or not any(bucket_settings.of(subject.plan, bucket, _LOCK)):
        return
    least = zone.retention.minimum if zone.retention is not None else 0
    for one in subject["rules"].each():
        days = one["expiration"]["days"]
        given = days.number()
        if one["status"].text() != "Disabled" and given is not None and given < least:
            yield subject.refuse(
                days, seen=f"{given:.0f} days", why=f"locked for {least} days, and out of sight before"
            )


@rule(
    "aws-retention.keys",
    title="A key of locked records can't be deleted",
    routes=["K51"],
    controls=_CONTROLS,
    fix="Deny kms:ScheduleKeyDeletion to everybody in the policy of the key.",
    pack="protection",
    types=[_DEFAULT],
)
def keys(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Records that nobody can delete are gone all the same when their key is: only its policy keeps whoever
    administers keys from ending it."""
    bucket = references.resolve(subject, subject["bucket"])
    if bucket is None or not any(bucket_settings.of(subject.plan, bucket, _LOCK)):
        return
    for one in subject["rules"].each():
        where = one["applyServerSideEncryptionByDefault"]["kmsMasterKeyId"]
        key = references.resolve(subject, where)
        if key is not None and key.type == _KEY and not _never_ends(Subject(subject.plan, key)["policy"]):
            yield subject.refuse(
                where, seen="a key that can be deleted", why="with it, all that it has encrypted is gone"
            )


@rule(
    "aws-retention.window",
    title="A key is deleted after thirty days at least",
    routes=["K51"],
    controls=_CONTROLS,
    fix="Leave deletionWindowInDays out, or set it to 30.",
    pack="protection",
    severity="medium",
    types=[_KEY, "aws:kms/externalKey:ExternalKey"],
)
def window(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Between the order to delete a key and its end somebody must notice that something can't be read any
    more, and take the order back."""
    days = subject["deletionWindowInDays"].number()
    if days is not None and days < _LONGEST:
        yield subject.refuse(
            "deletionWindowInDays", seen=f"{days:.0f} days", why="nobody may notice in time that it is going"
        )


def _never_ends(policy: Node) -> bool:
    return any(
        not one.allows
        and not one.inverted
        and not one.conditions
        and any(value == "*" for _, value in one.principals)
        and not {"*", "kms:*", "kms:schedulekeydeletion"}.isdisjoint(one.actions)
        for one in iam.statements(policy)
    )


def _meant(look: Subject, key: str, token: str) -> Resource | None:
    found = references.resolve(look, look[key])
    return found if found is not None and found.type == token else None
