"""Where a bucket lies that a name or an ARN means: neither says a region, so the plan must hold it."""

from collections.abc import Iterator

from facts.zones import Zone
from policies import references
from policies.model import UNKNOWN, Node, Resource
from policies.rule import Hit, Subject

BUCKET = "aws:s3/bucket:Bucket"


def meant(subject: Subject, where: Node) -> Resource | None:
    """The bucket of the plan that a name or an ARN means. An inventory, say, may bear the same name."""
    found = references.resolve(subject, _arn(where))
    return found if found is not None and found.type == BUCKET else None


def judge(subject: Subject, where: Node, zone: Zone, *, what: str, route: str | None = None) -> Iterator[Hit]:
    """Findings where the bucket lies outside the zone or can't be placed; `what` goes there."""
    node = _arn(where)
    parts = references.arn(node.value) if isinstance(node.value, str) else None
    says_region = parts is not None and parts.region  # the ARN of an access point does
    if says_region or meant(subject, where) is not None or references.resolve(subject, node) is None:
        yield from references.judge(subject, node, zone, what=what, route=route)
    elif where.value is UNKNOWN:
        where.text()  # remembered as not known
    else:
        yield subject.undecided(
            where,
            seen="a name that no bucket of the plan bears",
            why=f"{what} go there, and where that is can't be told",
            route=route,
        )


def _arn(node: Node) -> Node:
    """A bare name as the ARN that it stands for, so that it means nothing but a bucket."""
    if isinstance(node.value, str) and not node.value.startswith("arn:"):
        return Node(f"arn:aws:s3:::{node.value}", node.path, node.touched)
    return node
