"""Routes of AWS, and the gateways that are ways out where a route leads to them."""

from collections.abc import Iterator

from facts.zones import Zone
from policies import aws_network
from policies.aws_network import EGRESS_ONLY_GATEWAY, INTERNET_GATEWAY, NAT_GATEWAY
from policies.model import Resource
from policies.rule import Hit, Subject, rule

_CONTROLS = ("HDS EXI 05", "HIPAA 164.312(e)(1)", "GDPR 32", "SNC 12.14", "SNC 13.2")
_ATTACHMENT = "aws:ec2/internetGatewayAttachment:InternetGatewayAttachment"


@rule(
    "aws-routing.gateways",
    title="No subnet may reach a gateway to the internet",
    routes=["A08", "A09", "A10"],
    controls=_CONTROLS,
    fix="Remove the gateway, or every route to it; reach AWS's services through VPC endpoints.",
    pack="egress",
    severity="critical",
    types=[INTERNET_GATEWAY, _ATTACHMENT, NAT_GATEWAY, EGRESS_ONLY_GATEWAY],
)
def gateways(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """An internet gateway, a public NAT gateway (which it is unless it says private) and an egress-only one
    carry packets to the internet. One to which no route table of a subnet leads carries none; that can be
    told of a whole plan only."""
    resource = subject.resource
    assert resource is not None
    if resource.type == NAT_GATEWAY and subject["connectivityType"].text() == "private":
        return
    gateway: Resource | None = resource
    if resource.type == _ATTACHMENT:
        gateway = aws_network.target(subject, subject["internetGatewayId"], INTERNET_GATEWAY)
    if subject.plan.whole and gateway is not None and not aws_network.reached(subject.plan, gateway):
        return
    yield subject.refuse(
        "connectivityType" if resource.type == NAT_GATEWAY else "",
        seen=resource.type.rpartition(":")[2],
        why="it carries packets to the internet, and it isn't shown that no subnet's route table leads to it",
        route={NAT_GATEWAY: "A09", EGRESS_ONLY_GATEWAY: "A10"}.get(resource.type, "A08"),
    )


@rule(
    "aws-routing.routes",
    title="A route may be for addresses of the zone only",
    routes=["A11"],
    controls=_CONTROLS,
    fix="Route the zone's networks only; reach AWS's services through VPC endpoints.",
    pack="egress",
    severity="critical",
    types=aws_network.ROUTES,
)
def routes(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A route for addresses outside the zone leads packets there: by a gateway at once, and through a NAT,
    peering, transit gateway, VPN or appliance to whoever passes them on."""
    for way in aws_network.ways(subject):
        for node in way.networks():
            yield from aws_network.judge_network(subject, node, zone, what="packets")
        yield from aws_network.judge_list(subject, way.node["destinationPrefixListId"], zone, what="packets")
