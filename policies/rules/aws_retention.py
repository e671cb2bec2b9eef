"""Retention at AWS: whether a lock locks anything, and what could make locked records unreadable or hide
them before their time."""

from collections.abc import Callable, Iterator
from typing import Final

from facts.zones import Zone
from policies import aws, aws_network, bucket_settings, buckets, iam, kubernetes, references
from policies.estate import AUDIT
from policies.model import Node, Plan, Resource
from policies.rule import Hit, Subject, rule

_CONTROLS = (
    "HIPAA 164.312(b)",
    "HIPAA 164.312(c)(1)",
    "HIPAA 164.316(b)(2)(i)",
    "HDS EXI 15",
    "AI Act 12",
)
_LOCK: Final = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"
_POLICY: Final = "aws:s3/bucketPolicy:BucketPolicy"
_LIFECYCLE: Final = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
_DEFAULT: Final = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
_KEY: Final = "aws:kms/key:Key"
_POD_IDENTITY: Final = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
_TRAIL: Final = "aws:cloudtrail/trail:Trail"
_VAULT: Final = "aws:backup/vault:Vault"
_VAULT_LOCK: Final = "aws:backup/vaultLockConfiguration:VaultLockConfiguration"
#: Actions, in lower case as policies/iam.py gives them.
_END, _UNLOCK, _WRITE = "kms:schedulekeydeletion", "s3:putbucketobjectlockconfiguration", "s3:putobject"
#: docs.aws.amazon.com/kms/latest/developerguide/deleting-keys.html: the longest wait, and what is meant
#: unless it is said
_LONGEST = 30


@rule(
    "aws-retention.locks",
    title="A bucket that can lock does lock, and so do those of a trail and of audit records",
    routes=["K51"],
    controls=_CONTROLS,
    fix="Add a BucketObjectLockConfiguration with a default retention in mode COMPLIANCE.",
    pack="protection",
    scope="plan",
    needs_whole=True,
)
def locks(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """objectLockEnabled only makes a lock possible: without a configuration each object is locked one by one,
    by whoever writes it, or not at all. The bucket of a trail must, and the one to which the audit service
    writes, because a record that somebody may delete is none. A vault of backups is locked by a resource of
    its own."""
    plan = subject.plan
    trails = (buckets.meant(one, one["s3BucketName"]) for one in aws_network.looks(plan, _TRAIL))
    kept = [*trails, *_of_audit(plan)]
    for bucket in bucket_settings.own(plan):
        look = Subject(plan, bucket)
        inline = look["objectLockConfiguration"]["rule"]
        meant = look["objectLockEnabled"].flag() or bucket in kept
        if meant and inline.absent and not bucket_settings.of(plan, bucket, _LOCK):
            yield kubernetes.hit(look, "objectLockEnabled", seen="no lock", why="no object in it is locked")
    locked = [references.resolve(one, one["backupVaultName"]) for one in aws_network.looks(plan, _VAULT_LOCK)]
    for look in aws_network.looks(plan, _VAULT):
        if look.resource not in locked:
            yield kubernetes.hit(look, "", seen="no lock", why="whoever has the right deletes every backup")


def _of_audit(plan: Plan) -> Iterator[Resource | None]:
    """The buckets to which the role of the audit service's pods writes."""
    roles = [
        references.resolve(look, look["roleArn"])
        for look in aws_network.looks(plan, _POD_IDENTITY)
        if look["serviceAccount"].text() == AUDIT
    ]
    for look in aws_network.looks(plan, "aws:iam/rolePolicy:RolePolicy"):
        role = references.resolve(look, look["role"])
        if role is None or role not in roles:
            continue
        for one in iam.statements(look["policy"]):
            if one.allows and any(aws.matches(action, _WRITE) for action in one.actions):
                for arn in one.resources:
                    yield buckets.meant(look, Node(arn, "policy", look.touched))


@rule(
    "aws-retention.unlocking",
    title="Nobody but people whom the zone names changes the lock of a bucket",
    routes=["K51"],
    controls=_CONTROLS,
    fix="Deny s3:PutBucketObjectLockConfiguration in the bucket's policy to everybody, or to all but people of the "
    "zone by their ARNs (aws:PrincipalArn).",
    pack="protection",
    severity="medium",
    scope="plan",
    needs_whole=True,
)
def unlocking(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A lock holds what is in the bucket already. Whoever may change the bucket's default takes it from what
    is written tomorrow, unless the bucket's policy denies that. Somebody has to lengthen it one day: the policy
    may leave out people whom the zone names, each by the whole ARN."""
    plan = subject.plan

    def named(arn: str) -> bool:
        return zone.person(arn) is not None

    for bucket in bucket_settings.own(plan):
        look = Subject(plan, bucket)
        looks = [look, *bucket_settings.of(plan, bucket, _POLICY)]
        if not bucket_settings.of(plan, bucket, _LOCK) or any(
            _denied(one["policy"], _UNLOCK, named) for one in looks
        ):
            continue
        told = list(kubernetes.untold(*looks))
        why = "its lock may be taken from new records"
        yield from told or [kubernetes.hit(look, "", seen="no denial", why=why)]


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
    bucket = buckets.meant(subject, subject["bucket"])
    for lock in bucket_settings.of(subject.plan, bucket, _LOCK):
        locked = lock["rule"]["defaultRetention"]
        least = (locked["days"].number() or 0) + 365 * (locked["years"].number() or 0)
        for one in subject["rules"].each():
            days = one["expiration"]["days"]
            if one["status"].text() != "Disabled" and (days.number() or least) < least:
                yield subject.refuse(
                    days, seen="sooner", why=f"locked for {least:.0f} days, and out of sight before"
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
    bucket = buckets.meant(subject, subject["bucket"])
    for one in subject["rules"].each() if bucket_settings.of(subject.plan, bucket, _LOCK) else ():
        where = one["applyServerSideEncryptionByDefault"]["kmsMasterKeyId"]
        key = _key(subject, where)
        if key is None or _denied(key["policy"], _END):
            continue
        if key.touched:
            yield from kubernetes.untold(key)
        else:
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


def _key(look: Subject, where: Node) -> Subject | None:
    """The key of the plan that a value means, by itself or by an alias."""
    found = references.resolve(look, where)
    key = Subject(look.plan, found) if found is not None else None
    return _key(key, key["targetKeyId"]) if key and not key["targetKeyId"].absent else key


def _denied(policy: Node, action: str, spared: Callable[[str], bool] | None = None) -> bool:
    """Whether a policy denies an action always, to everybody but principals that are `spared`."""
    return any(
        not one.allows
        and not one.inverted
        and (not one.conditions or (spared is not None and one.spares(("aws:PrincipalArn",), spared)))
        and any(value == "*" for _, value in one.principals)
        and any(aws.matches(pattern, action) for pattern in one.actions)
        for one in iam.statements(policy)
    )
