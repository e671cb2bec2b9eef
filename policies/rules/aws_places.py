"""Places below a region of AWS: what bears a region's code may stand in another country."""

import re
from collections.abc import Iterator

from facts.zones import Zone
from policies import references
from policies.model import Node
from policies.rule import Hit, Subject, rule
from policies.table import reach
from policies.walkers import places

#: Names of places: an availability zone is its region's code and a letter (`eu-west-3a`), a Local Zone or
#: Wavelength Zone has more between them (`us-east-1-wl1-bos-wlz-1`); a border group is its region's code, or
#: more. docs.aws.amazon.com/global-infrastructure/latest/regions/aws-availability-zones.html
_NAMES = (
    *("availabilityZone", "availabilityZones[]", "placement.availabilityZone"),
    *("networkBorderGroup", "ipv6CidrBlockNetworkBorderGroup"),
)
#: Ids of them: `euw3-az1` is an availability zone, `use1-atl1-az1` and `use1-wl1-bos1` are not.
_IDS = ("availabilityZoneId", "availabilityZoneIds[]")
_AZ_ID = re.compile(r"[a-z]+\d-az\d+")
_OUTPOSTS = ("outpostArn", "preferredOutpostArn", "outpostConfig.outpostArns[]")


@rule(
    "aws-places.edges",
    title="What is in a region must stand in the region itself",
    routes=["A58"],
    controls=["HDS EXI 28", "GDPR 44-46", "SNC 19.2"],
    fix="Use an availability zone of a region of the zone.",
    pack="residency",
    types=["aws:*"],
)
def edges(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A Local Zone or Wavelength Zone bears its region's code and may stand in another country; an Outpost
    stands wherever its owner put it, which no plan says."""
    for node in _given(subject, _NAMES):
        text = node.text()
        outside = places.judge_region(_region(text), places.providers_of("aws"), zone) if text else None
        if outside:
            yield _refused(subject, node, "a place that is no zone of a region of the zone")
    for node in _given(subject, _IDS):
        text = node.text()
        if text and not _AZ_ID.fullmatch(text):
            yield _refused(subject, node, "an id that is no availability zone's")
    for node in _given(subject, _OUTPOSTS):
        yield from _outpost(subject, node, zone)


def _given(subject: Subject, paths: tuple[str, ...]) -> Iterator[Node]:
    """What the resource holds at these paths; most of all resources hold none of them."""
    assert subject.resource is not None
    for path in paths:
        if path.partition(".")[0].removesuffix("[]") in subject.resource.inputs:
            yield from reach(subject.inputs, path)


def _region(name: str) -> str:
    """The region of an availability zone; of another place its whole name, which is no region's."""
    return re.sub(r"(?<=\d)[a-z]$", "", name)


def _refused(subject: Subject, node: Node, seen: str) -> Hit:
    return subject.refuse(node, seen=seen, why="it may stand in another country than its region")


def _outpost(subject: Subject, node: Node, zone: Zone) -> Iterator[Hit]:
    if node.absent or node.value == "":
        return
    yield from references.judge(subject, node, zone, what="data")
    if not zone.declares("A58", subject.plan.at):
        yield subject.undecided(
            node, seen="an Outpost", why="where it stands is its owner's to say, not the plan's"
        )
