"""The trail: whether it records who looks at the records themselves."""

from collections.abc import Iterator
from typing import Final

from facts.zones import Zone
from policies import aws_network, bucket_settings, buckets, kubernetes
from policies.model import Node, Plan, Resource
from policies.rule import Hit, Subject, rule

_TRAIL: Final = "aws:cloudtrail/trail:Trail"
_LOCK: Final = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"
_OBJECTS = "AWS::S3::Object"


@rule(
    "aws-trail.looks",
    title="Every look at locked records is itself recorded",
    routes=["A37"],
    controls=["HIPAA 164.312(b)", "HDS EXI 15", "HDS EXI 16", "GDPR 32"],
    fix="Add a selector of data events for the bucket to the trail, or declare A37 in the zone.",
    pack="protection",
    scope="plan",
    needs_whole=True,
)
def looks(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A trail records reads and writes of objects only where a selector asks for them. A bucket whose objects
    are locked holds records that people ask for, so who asked must be known; the trail's own may be left
    out, because it would record itself."""
    plan = subject.plan
    if zone.declares("A37", plan.at):
        return
    trails = list(aws_network.looks(plan, _TRAIL))
    watched = {bucket.urn for trail in trails for bucket in _watched(plan, trail)}
    for bucket in bucket_settings.own(plan):
        assert bucket.resource is not None
        locked = any(bucket_settings.of(plan, bucket.resource, _LOCK))
        if locked and bucket.resource.urn not in watched:
            yield kubernetes.hit(bucket, "", seen="no data events", why="who looks at it leaves no record")
    for trail in trails:
        yield from kubernetes.untold(trail)


def _watched(plan: Plan, trail: Subject) -> Iterator[Resource]:
    """The buckets whose objects a trail watches, and its own."""
    own = buckets.meant(trail, trail["s3BucketName"])
    if own is not None:
        yield own
    for selector in trail["advancedEventSelectors"].each():
        fields = {one["field"].text(): one for one in selector["fieldSelectors"].each()}
        kind = fields.get("resources.type")
        if kind is None or _OBJECTS not in kind["equals"].texts() or "readOnly" in fields:
            continue
        arns = fields.get("resources.ARN")
        if arns is None:
            yield from (one.resource for one in bucket_settings.own(plan) if one.resource is not None)
        for node in arns["startsWiths"].each() if arns is not None else ():
            found = buckets.meant(trail, _bare(node))
            if found is not None:
                yield found


def _bare(node: Node) -> Node:
    """The bucket that all objects of it begin with; nothing where a part of it is meant."""
    text = node.text() or ""
    whole = text.endswith("/") and text.count("/") == 1
    return Node(text[:-1] if whole else None, node.path, node.touched)
