"""Encryption at rest at AWS: with keys of one's own, that change, and whose policy says who uses them."""

from collections.abc import Iterator
from typing import Final

from facts.zones import Zone
from policies import aws_network, bucket_settings, kubernetes, references
from policies.buckets import BUCKET
from policies.model import Node
from policies.rule import Hit, Subject, rule

_CONTROLS = ("HIPAA 164.312(a)(2)(iv)", "HDS EXI 30", "GDPR 32", "SNC 19.6", "C5")
_KEY: Final = "aws:kms/key:Key"
_EXTERNAL: Final = "aws:kms/externalKey:ExternalKey"
_POLICY: Final = "aws:kms/keyPolicy:KeyPolicy"
_BY_DEFAULT: Final = "aws:ebs/encryptionByDefault:EncryptionByDefault"
_DEFAULT_KEY: Final = "aws:ebs/defaultKmsKey:DefaultKmsKey"
_DEFAULT: Final = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
#: Keys that can't change: docs.aws.amazon.com/kms/latest/developerguide/rotate-keys.html
_ASYMMETRIC = ("SIGN_VERIFY", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT")
_YEAR = 365


@rule(
    "aws-encryption.rotation",
    title="A key changes every year",
    routes=["A26"],
    controls=_CONTROLS,
    fix="Set enableKeyRotation to true, and rotationPeriodInDays to 365 or less.",
    pack="protection",
    severity="medium",
    types=[_KEY],
)
def rotation(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """The material of a key stays the same for ever unless it is told to change: whoever has got it once
    reads everything. KMS keeps what older data needs. Keys for signatures can't change."""
    if subject["keyUsage"].text() in _ASYMMETRIC:
        return
    where = subject["enableKeyRotation"]
    days = subject["rotationPeriodInDays"].number()
    if not where.flag():
        yield subject.refuse(where, seen="no rotation", why="its material stays the same for ever")
    if days is not None and days > _YEAR:
        yield subject.refuse("rotationPeriodInDays", seen=f"{days:.0f} days", why="that is more than a year")


@rule(
    "aws-encryption.key-policy",
    title="A key has a policy of its own",
    routes=["A27"],
    controls=_CONTROLS,
    fix="Write a policy that names who administers the key and who uses it, by which service.",
    pack="protection",
    scope="plan",
    needs_whole=True,
)
def key_policy(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Without a policy KMS gives a key the usual one: whoever may change rights in the account may use it."""
    plan = subject.plan
    written = [references.resolve(look, look["keyId"]) for look in aws_network.looks(plan, _POLICY)]
    for look in aws_network.looks(plan, _KEY, _EXTERNAL):
        if look["policy"].absent and look.resource not in written:
            yield kubernetes.hit(
                look, "policy", seen="no policy", why="whoever may change rights in the account may use it"
            )


@rule(
    "aws-encryption.lockout",
    title="A key's policy leaves somebody who can change it",
    routes=["A27"],
    controls=_CONTROLS,
    fix="Remove bypassPolicyLockoutSafetyCheck.",
    pack="protection",
    severity="medium",
    types=[_KEY, _POLICY, _EXTERNAL],
)
def lockout(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """KMS refuses a policy after which nobody could change it, unless it is told not to look: then a slip
    makes all that the key has encrypted nobody's, and only AWS's support can help."""
    if subject["bypassPolicyLockoutSafetyCheck"].flag():
        yield subject.refuse(
            "bypassPolicyLockoutSafetyCheck",
            seen="bypassPolicyLockoutSafetyCheck",
            why="a policy may lock everybody out, so that only AWS's support can change it",
        )


@rule(
    "aws-encryption.default-key",
    title="Disks that name no key get one of one's own",
    routes=["K37"],
    controls=_CONTROLS,
    fix="Add a DefaultKmsKey with a key of the zone, in each region and account.",
    pack="protection",
    severity="medium",
    scope="plan",
    needs_whole=True,
)
def default_key(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """The account's default encrypts disks with a key of AWS's own, whose policy nobody can change and whose
    use nobody can end, unless a key is named beside it."""
    plan = subject.plan
    keyed = {references.place(one, plan) for one in plan.by_type.get(_DEFAULT_KEY, ())}
    for look in aws_network.looks(plan, _BY_DEFAULT):
        assert look.resource is not None
        if references.place(look.resource, plan) not in keyed:
            yield kubernetes.hit(
                look, "", seen="no DefaultKmsKey", why="disks are encrypted with a key of AWS's own"
            )


@rule(
    "aws-encryption.buckets",
    title="Every bucket encrypts with a key of one's own",
    routes=["A26"],
    controls=_CONTROLS,
    fix="Add a BucketServerSideEncryptionConfiguration with aws:kms and a key of the zone.",
    pack="protection",
    scope="plan",
    needs_whole=True,
)
def buckets(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """S3 encrypts every object, with a key of its own unless the bucket says which: who may read the object
    then needs no right to a key, and no key can be withdrawn."""
    for bucket in bucket_settings.own(subject.plan):
        look = Subject(subject.plan, bucket)
        inline = look["serverSideEncryptionConfiguration"]
        if inline.absent and not bucket_settings.of(subject.plan, bucket, _DEFAULT):
            yield kubernetes.hit(look, "", seen="no key", why="objects are encrypted with a key of AWS's own")


@rule(
    "aws-encryption.bucket-keys",
    title="The default encryption of a bucket names a key of one's own",
    routes=["A26"],
    controls=_CONTROLS,
    fix="Set sseAlgorithm to aws:kms, and kmsMasterKeyId to a key of the zone.",
    pack="protection",
    types=[_DEFAULT, BUCKET],
)
def bucket_keys(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """AES256 is S3's own key; aws:kms without a key is AWS's own in KMS, whose policy nobody can change."""
    assert subject.resource is not None
    if subject.resource.type == _DEFAULT:
        rules = list(subject["rules"].each())
        if not rules:
            yield subject.refuse("rules", seen="no rule", why="objects are encrypted with a key of AWS's own")
    else:
        inline = subject["serverSideEncryptionConfiguration"]
        rules = [] if inline.absent else [inline["rule"]]
    for one in rules:
        yield from _default(subject, one["applyServerSideEncryptionByDefault"], zone)


def _default(subject: Subject, default: Node, zone: Zone) -> Iterator[Hit]:
    algorithm, key = default["sseAlgorithm"], default["kmsMasterKeyId"]
    text = algorithm.text()
    if algorithm.absent or (text is not None and not text.startswith("aws:kms")):
        yield subject.refuse(
            algorithm, seen=text or "none", why="objects are encrypted with a key of AWS's own"
        )
    elif key.absent:
        yield subject.refuse(key, seen="no key", why="objects are encrypted with a key of AWS's own")
    yield from references.judge(subject, key, zone, what="keys of objects")
