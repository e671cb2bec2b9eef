"""What is recorded: who looks at the records themselves, who talks to whom, and which names are asked for."""

from collections.abc import Iterator
from typing import Final

from facts.zones import Zone
from policies import aws_network, bucket_settings, buckets, kubernetes
from policies.model import Node, Plan, Resource
from policies.rule import Hit, Subject, rule

_TRAIL: Final = "aws:cloudtrail/trail:Trail"
_LOCK: Final = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"
_OBJECTS = "AWS::S3::Object"
_FLOWS: Final = "aws:ec2/flowLog:FlowLog"
_QUERIES: Final = "aws:route53/resolverQueryLogConfigAssociation:ResolverQueryLogConfigAssociation"


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
    watched = [bucket for trail in trails for bucket in _watched(plan, trail)]
    untold = list(kubernetes.untold(*trails))
    yield from untold
    for bucket in bucket_settings.own(plan) if not untold else ():
        if bucket_settings.of(plan, bucket, _LOCK) and bucket not in watched:
            look = Subject(plan, bucket)
            yield kubernetes.hit(look, "", seen="no data events", why="who looks at it leaves no record")


@rule(
    "aws-trail.networks",
    title="Every network records who talks to whom, and which names are asked for",
    routes=["A37"],
    controls=["HIPAA 164.312(b)", "HIPAA 164.308(a)(1)(ii)(D)", "HDS EXI 15", "GDPR 32", "SNC 12.14"],
    fix="Add a FlowLog for the VPC, and a ResolverQueryLogConfigAssociation where its resolver answers.",
    pack="protection",
    severity="medium",
    scope="plan",
    needs_whole=True,
)
def networks(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """What leaves a network against all rules leaves a trace in its flows or in the names that were asked
    for, or none at all. The trail of calls shows neither."""
    plan = subject.plan
    flows, queries = (
        [aws_network.target(look, look[key], aws_network.VPC) for look in aws_network.looks(plan, token)]
        for token, key in ((_FLOWS, "vpcId"), (_QUERIES, "resourceId"))
    )
    for look in aws_network.looks(plan, aws_network.VPC):
        resolves = look["enableDnsSupport"]
        if look.resource not in flows:
            yield kubernetes.hit(look, "", seen="no flow log", why="who talks to whom there leaves no record")
        if resolves.flag() is not False and look.resource not in queries:
            yield kubernetes.hit(
                look, resolves, seen="no query log", why="which names are asked for leaves no record"
            )
        yield from kubernetes.untold(look)


def _watched(plan: Plan, trail: Subject) -> Iterator[Resource | None]:
    """The buckets whose objects a trail watches, and its own; None for what can't be found."""
    yield buckets.meant(trail, trail["s3BucketName"])
    for selector in trail["advancedEventSelectors"].each():
        fields = {one["field"].text(): one for one in selector["fieldSelectors"].each()}
        kind, arns = fields.get("resources.type"), fields.get("resources.ARN")
        if kind is None or _OBJECTS not in kind["equals"].texts() or "readOnly" in fields:
            continue
        if arns is None:
            yield from bucket_settings.own(plan)
            continue
        for node in arns["startsWiths"].each():
            yield buckets.meant(trail, _bucket(node))


def _bucket(node: Node) -> Node:
    """The bucket that all ARNs of its objects begin with; nothing where only a part of it is meant."""
    bare = (node.text() or "/").removesuffix("/")
    return Node(None if "/" in bare else bare, node.path, node.touched)
