"""The network of AWS as the rules read it: what an id means, which addresses are outside, where routes lead.

Types and properties are those of pulumi-aws 7.51.1.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from facts import aws_owned
from facts.networks import NetworkSet
from facts.zones import Zone
from policies import references
from policies.model import Node, Plan, Resource
from policies.rule import Hit, Subject
from policies.walkers import hosts, places

VPC: Final = "aws:ec2/vpc:Vpc"
ENDPOINT: Final = "aws:ec2/vpcEndpoint:VpcEndpoint"
PREFIX_LIST: Final = "aws:ec2/managedPrefixList:ManagedPrefixList"
ROUTE: Final = "aws:ec2/route:Route"
ROUTE_TABLE: Final = "aws:ec2/routeTable:RouteTable"
DEFAULT_ROUTE_TABLE: Final = "aws:ec2/defaultRouteTable:DefaultRouteTable"
ROUTES: Final = (ROUTE, ROUTE_TABLE, DEFAULT_ROUTE_TABLE)

INTERNET_GATEWAY: Final = "aws:ec2/internetGateway:InternetGateway"
NAT_GATEWAY: Final = "aws:ec2/natGateway:NatGateway"
EGRESS_ONLY_GATEWAY: Final = "aws:ec2/egressOnlyInternetGateway:EgressOnlyInternetGateway"
#: By which property a route leads to a gateway, and how ids of such begin.
_GATEWAYS = {
    INTERNET_GATEWAY: ("gatewayId", "igw-"),
    NAT_GATEWAY: ("natGatewayId", "nat-"),
    EGRESS_ONLY_GATEWAY: ("egressOnlyGatewayId", "eigw-"),
}

#: An id that AWS gives: `vpc-0f1e2d3c4b5a69788`, `rslvr-frg-...`, and `Z...` of a hosted zone.
_ID = re.compile(r"(?:[a-z]+-)+[0-9a-f]{8,17}|Z[0-9A-Z]{8,32}")
_TABLE_ASSOCIATIONS = (
    "aws:ec2/mainRouteTableAssociation:MainRouteTableAssociation",
    "aws:ec2/routeTableAssociation:RouteTableAssociation",
)

#: Link-local addresses are those of the machine's own link; AWS filters them by no group and no list
#: (docs.aws.amazon.com/vpc/latest/userguide/vpc-security-groups.html).
_LINK_LOCAL = NetworkSet.of(["169.254.0.0/16", "fe80::/10"])


def looks(plan: Plan, *types: str) -> Iterator[Subject]:
    """A look at each resource of these types, for a rule that needs others than its own."""
    for token in types:
        for resource in plan.by_type.get(token, ()):
            yield Subject(plan, resource)


def target(look: Subject, node: Node, *types: str) -> Resource | None:
    """The resource of the plan, of one of these types, that an id means; None where none is found.

    An id that AWS has already given is found by the one resource that its property is computed from.
    """
    found = references.resolve(look, node)
    if found is None and isinstance(node.value, str) and _ID.fullmatch(node.value):
        assert look.resource is not None
        sources = look.resource.dependencies.get(node.path, ())
        found = look.plan.by_urn.get(sources[0]) if len(sources) == 1 else None
    return found if found is not None and found.type in types else None


def outside(text: str, zone: Zone) -> str | None:
    """Why the addresses of a CIDR text are not all the zone's; None where they are."""
    network = hosts.network_of(text)
    if network is None:
        return "which addresses these are can't be read"
    rest = _without(NetworkSet((network,)), zone.network_set)
    return f"{rest.blocks[0]} is outside zone {zone.name}" if rest else None


@lru_cache(maxsize=8192)
def _without(asked: NetworkSet, allowed: NetworkSet) -> NetworkSet:
    return asked - allowed - _LINK_LOCAL


def judge_network(
    subject: Subject, node: Node, zone: Zone, *, what: str, route: str | None = None
) -> Iterator[Hit]:
    """A finding where a CIDR leads outside the zone; `what` goes there ("packets")."""
    text = node.text()
    if text and (why := outside(text, zone)):
        seen = text if hosts.network_of(text) else "a CIDR that can't be read"
        yield subject.refuse(node, seen=seen, why=f"{what} may go there, and {why}", route=route)


def judge_region(
    subject: Subject, node: Node, zone: Zone, *, what: str, route: str | None = None
) -> Iterator[Hit]:
    """A finding where a region is none of the zone's; `what` is there ("the other network is")."""
    code = node.text()
    if code and (why := places.judge_region(code, places.providers_of("aws"), zone)):
        yield subject.refuse(node, seen=code, why=f"{what} in a region that {why}", route=route)


def judge_list(
    subject: Subject, node: Node, zone: Zone, *, what: str, route: str | None = None
) -> Iterator[Hit]:
    """A finding where a prefix list isn't one that the plan shows.

    A list of the plan is judged where its entries stand; that of a gateway endpoint by the endpoint's policy,
    for which somebody may answer (`declared`, A16) where the endpoint is there already.
    """
    if target(subject, node, PREFIX_LIST, ENDPOINT) or zone.declares("A05", subject.plan.at):
        return
    text = node.text()
    if not text:
        return
    assert subject.resource is not None
    region = references.place(subject.resource, subject.plan).region or ""
    service = aws_owned.service_of_list(text, region)
    if service is None:
        yield subject.undecided(
            node,
            seen="a prefix list that isn't in the plan",
            why=f"{what} may go to whatever addresses it holds, and the plan doesn't show them",
            route=route,
        )
    elif not zone.declares("A16", subject.plan.at) and not any(
        _is_gateway(look, service) for look in looks(subject.plan, ENDPOINT)
    ):
        yield subject.refuse(
            node,
            seen=f"AWS's list of {service}",
            why=f"{what} may go to {service} of every customer: the plan has no gateway endpoint of it, "
            "whose policy would hold them to one's own",
            route=route,
        )


def _is_gateway(look: Subject, service: str) -> bool:
    name = look["serviceName"].text() or ""
    kind = look["vpcEndpointType"]
    return name.endswith(f".{service}") and (kind.absent or kind.text() == "Gateway")


@dataclass(frozen=True)
class Way:
    """One route: where it stands, for which addresses it is, and what it leads to."""

    look: Subject
    node: Node

    def networks(self) -> Iterator[Node]:
        """The addresses that it is for; a property that isn't there is a node of nothing."""
        for key in ("cidrBlock", "ipv6CidrBlock", "destinationCidrBlock", "destinationIpv6CidrBlock"):
            yield self.node[key]

    def may_lead_to(self, gateway: Resource) -> bool:
        """Whether it leads to a gateway of the plan; an id that nothing in the plan bears may be its."""
        key, prefix = _GATEWAYS[gateway.type]
        node = self.node[key]
        if node.absent:
            return False
        found = target(self.look, node, gateway.type)
        if found is not None:
            return found.urn == gateway.urn
        text = node.text()
        return text is None or text.startswith(prefix)


def ways(look: Subject) -> Iterator[Way]:
    """The routes that a resource of type ROUTES holds."""
    assert look.resource is not None
    if look.resource.type == ROUTE:
        yield Way(look, look.inputs)
    else:
        for entry in look["routes"].each():
            yield Way(look, entry)


def reached(plan: Plan, gateway: Resource) -> bool:
    """Whether a route table that a subnet uses leads to a gateway, or may do so: then it is a way out."""
    return any(
        way.may_lead_to(gateway) and _used(look) for look in looks(plan, *ROUTES) for way in ways(look)
    )


def _used(look: Subject) -> bool:
    """Whether the table of a route is one that subnets use: a main table, or one associated with a subnet."""
    table = look.resource
    assert table is not None
    if table.type == ROUTE:
        table = target(look, look["routeTableId"], ROUTE_TABLE)
    if table is None or table.type == DEFAULT_ROUTE_TABLE:
        return True  # a main table, by its name or by the VPC; or one that the plan doesn't show
    for association in looks(look.plan, *_TABLE_ASSOCIATIONS):
        other = target(association, association["routeTableId"], ROUTE_TABLE)
        # an association with a gateway is for what comes in
        if other in (None, table) and association["gatewayId"].absent:
            return True
    return False
