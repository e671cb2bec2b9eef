"""Buckets: where copies of objects, logs and lists of objects go, and who else may read them."""

from collections.abc import Iterator, Mapping

from facts.zones import Zone
from policies import aws, buckets, references
from policies.aws import Way
from policies.buckets import BUCKET
from policies.kubernetes import hit
from policies.model import Plan, Resource
from policies.rule import Hit, Subject, rule

_CONTROLS = ("HDS EXI 28", "GDPR 44-46", "SNC 19.2")
_CONTROLS_OF_ACCESS = ("HDS EXI 05", "HIPAA 164.312(a)(1)", "GDPR 32", "SNC 13.2")

_INLINE = "replicationConfiguration.rules[].destination"
_REPLICATION: Mapping[str, tuple[Way, ...]] = {
    "aws:s3/bucket:Bucket": (
        Way(f"{_INLINE}.bucket", "bucket", "copies of objects"),
        Way(f"{_INLINE}.accountId", "account", "copies of objects"),
        Way(f"{_INLINE}.replicaKmsKeyId", "place", "keys of the copies"),
    ),
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig": (
        Way("rules[].destination.bucket", "bucket", "copies of objects"),
        Way("rules[].destination.account", "account", "copies of objects"),
        Way("rules[].destination.encryptionConfiguration.replicaKmsKeyId", "place", "keys of the copies"),
    ),
}


@rule(
    "s3.replication",
    title="Objects may be copied to buckets of the zone only",
    routes=["A20"],
    controls=_CONTROLS,
    fix="Replicate to a bucket that the plan makes in a region of the zone, or remove the rule.",
    pack="residency",
    severity="critical",
    types=tuple(_REPLICATION),
)
def replication(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Replication copies every object to another bucket. The ARN of a bucket says neither region nor account,
    so the bucket must be in the plan."""
    assert subject.resource is not None
    yield from aws.sent(subject, zone, _REPLICATION[subject.resource.type])


_JOINED = (
    Way("details.regions[].bucket", "bucket", "objects"),
    Way("details.regions[].bucketAccountId", "account", "objects"),
    Way("details.regions[].region", "region", "objects"),
    Way("routes[].bucket", "bucket", "objects"),
    Way("routes[].region", "region", "objects"),
)


@rule(
    "s3.multi-region-access-points",
    title="A multi-region access point may join buckets of the zone only",
    routes=["A21"],
    controls=_CONTROLS,
    fix="Join buckets that the plan makes in regions of the zone, or remove the access point.",
    pack="residency",
    severity="critical",
    types=[
        "aws:s3control/multiRegionAccessPoint:MultiRegionAccessPoint",
        "aws:s3control/multiRegionAccessPointRoutes:MultiRegionAccessPointRoutes",
    ],
)
def multi_region(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Whoever writes to a multi-region access point writes to whichever of its buckets is nearest."""
    yield from aws.sent(subject, zone, _JOINED)


_ANALYSIS = "storageClassAnalysis.dataExport.destination.s3BucketDestination"
_LENS = "storageLensConfiguration.dataExport.s3BucketDestination"
_PREFIXES = "storageLensConfiguration.expandedPrefixesDataExport.s3BucketDestination"
_DELIVERIES: Mapping[str, tuple[Way, ...]] = {
    "aws:s3/analyticsConfiguration:AnalyticsConfiguration": (
        Way(f"{_ANALYSIS}.bucketArn", "bucket", "statistics of accesses"),
        Way(f"{_ANALYSIS}.bucketAccountId", "account", "statistics of accesses"),
    ),
    "aws:s3/bucket:Bucket": (Way("logging.targetBucket", "bucket", "logs of accesses"),),
    "aws:s3/bucketLogging:BucketLogging": (Way("targetBucket", "bucket", "logs of accesses"),),
    "aws:s3/bucketLoggingV2:BucketLoggingV2": (Way("targetBucket", "bucket", "logs of accesses"),),
    "aws:s3/bucketNotification:BucketNotification": (
        Way("topics[].topicArn", "place", "names of objects"),
        Way("queues[].queueArn", "place", "names of objects"),
        Way("lambdaFunctions[].lambdaFunctionArn", "place", "names of objects"),
    ),
    "aws:s3/inventory:Inventory": (
        Way("destination.bucket.bucketArn", "bucket", "lists of objects"),
        Way("destination.bucket.accountId", "account", "lists of objects"),
    ),
    "aws:s3control/storageLensConfiguration:StorageLensConfiguration": (
        Way(f"{_LENS}.arn", "bucket", "statistics of all buckets"),
        Way(f"{_LENS}.accountId", "account", "statistics of all buckets"),
        Way(f"{_PREFIXES}.arn", "bucket", "statistics of all buckets"),
        Way(f"{_PREFIXES}.accountId", "account", "statistics of all buckets"),
    ),
}


@rule(
    "s3.deliveries",
    title="Logs, lists and notices of a bucket may go to the zone only",
    routes=["A23"],
    controls=(*_CONTROLS, "HIPAA 164.312(b)"),
    fix="Name a bucket, topic, queue or function that lies in a region and account of the zone.",
    pack="residency",
    types=tuple(_DELIVERIES),
)
def deliveries(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Access logs, inventories, analyses and notices name objects, and who asked for them and when."""
    assert subject.resource is not None
    yield from aws.sent(subject, zone, _DELIVERIES[subject.resource.type])


@rule(
    "s3.acl",
    title="No ACL may let in others than the bucket's owner",
    routes=["A24"],
    controls=_CONTROLS_OF_ACCESS,
    fix="Remove the grants; let roles of the zone's accounts in by policy.",
    pack="egress",
    severity="critical",
    types=[
        "aws:s3/bucketAcl:BucketAcl",
        "aws:s3/bucketAclV2:BucketAclV2",
        "aws:s3/bucketLogging:BucketLogging",
        "aws:s3/bucketLoggingV2:BucketLoggingV2",
        BUCKET,
    ],
)
def acl(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A grant of an ACL gives objects to a group (everybody, everybody with an account at AWS), to an account
    by its canonical id, or to one by its owner's e-mail address. Whose a canonical id is can't be told, but
    for the bucket owner's."""
    listed = subject["accessControlPolicy"]
    owner = listed["owner"]["id"].text()
    given = (*listed["grants"].each(), *subject["targetGrants"].each())
    for grantee in (*(grant["grantee"] for grant in given), *subject["grants"].each()):
        for key in ("uri", "emailAddress"):
            if grantee[key].text() is not None:
                yield subject.refuse(grantee[key], seen=key, why="all those whom it stands for are let in")
        if grantee["id"].text() not in (None, owner):
            yield subject.undecided(
                grantee["id"], seen="a canonical id", why="whoever it belongs to is let in"
            )


@rule(
    "s3.unblocked",
    title="Every bucket must block public access",
    routes=["A24"],
    controls=_CONTROLS_OF_ACCESS,
    fix="Add a BucketPublicAccessBlock for the bucket, or an AccountPublicAccessBlock for its account.",
    pack="egress",
    severity="critical",
    scope="plan",
    needs_whole=True,
)
def unblocked(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """New buckets are closed by default, but one call opens them unless bucket or account forbids it. A store
    of one's own that speaks S3 need not know of such blocks."""
    plan = subject.plan
    accounts = {
        _account(block, plan)
        for block in plan.by_type.get("aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock", ())
    }
    blocked = {
        found.urn
        for block in plan.by_type.get("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", ())
        if (found := buckets.meant(look := Subject(plan, block), look["bucket"])) is not None
    }
    for bucket in plan.by_type.get(BUCKET, ()):
        closed = bucket.urn in blocked or _account(bucket, plan) in accounts
        if not closed and not aws.elsewhere(bucket, plan):
            yield hit(
                Subject(plan, bucket), "", seen="no public access block", why="one call makes it public"
            )


def _account(resource: Resource, plan: Plan) -> str:
    """The account that a resource names, or its provider's; the provider itself where that isn't told."""
    named = resource.inputs.get("accountId")
    return str(named) if named is not None else references.place(resource, plan).account or resource.provider
