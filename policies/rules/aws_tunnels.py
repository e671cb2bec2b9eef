"""Ways into the network of AWS from outside: VPNs, and what others ask to join."""

from collections.abc import Iterator

from facts.zones import Zone
from policies import aws, aws_network
from policies.rule import Hit, Subject, rule

_CONTROLS = ("HDS EXI 05", "HDS EXI 29", "HIPAA 164.312(e)(1)", "GDPR 32", "SNC 12.14")
_SITE = (
    "aws:ec2/customerGateway:CustomerGateway",
    "aws:ec2/vpnConnection:VpnConnection",
    "aws:ec2/vpnConnectionRoute:VpnConnectionRoute",
    "aws:ec2/vpnGateway:VpnGateway",
    "aws:ec2/vpnGatewayAttachment:VpnGatewayAttachment",
    "aws:ec2/vpnGatewayRoutePropagation:VpnGatewayRoutePropagation",
)
_CLIENT = (
    "aws:ec2clientvpn/authorizationRule:AuthorizationRule",
    "aws:ec2clientvpn/endpoint:Endpoint",
    "aws:ec2clientvpn/networkAssociation:NetworkAssociation",
    "aws:ec2clientvpn/route:Route",
)


@rule(
    "aws-tunnels.access",
    title="A VPN must be a way in that the zone names",
    routes=["A15"],
    controls=_CONTROLS,
    fix="Remove it, or name the way in under `access` of the zone.",
    pack="egress",
    severity="critical",
    types=[*_SITE, *_CLIENT],
)
def access(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A VPN joins a site, or the machines of people wherever they are, to the network. The zone says whether
    that may be: `site-vpn`, `client-vpn`."""
    assert subject.resource is not None
    needed = "site-vpn" if subject.resource.type in _SITE else "client-vpn"
    if needed not in zone.access:
        yield subject.refuse(
            "",
            seen=subject.resource.type.rpartition(":")[2],
            why=f"zone {zone.name} does not name {needed} among its ways in",
        )


#: What accepts, or attaches to, something that may be another account's: the property that names it, the
#: types that it may be, the route.
_JOINED = {
    "aws:ec2/vpcPeeringConnectionAccepter:VpcPeeringConnectionAccepter": (
        "vpcPeeringConnectionId",
        "aws:ec2/vpcPeeringConnection:VpcPeeringConnection",
        "A13",
    ),
    "aws:ec2transitgateway/peeringAttachmentAccepter:PeeringAttachmentAccepter": (
        "transitGatewayAttachmentId",
        "aws:ec2transitgateway/peeringAttachment:PeeringAttachment",
        "A14",
    ),
    "aws:ec2transitgateway/vpcAttachment:VpcAttachment": (
        "transitGatewayId",
        "aws:ec2transitgateway/transitGateway:TransitGateway",
        "A14",
    ),
    "aws:networkmanager/transitGatewayPeering:TransitGatewayPeering": (
        "coreNetworkId",
        "aws:networkmanager/coreNetwork:CoreNetwork",
        "A14",
    ),
}


@rule(
    "aws-tunnels.joined",
    title="What a network is joined to must be in the plan",
    routes=["A13", "A14"],
    controls=["HDS EXI 05", "HDS EXI 28", "HIPAA 164.312(e)(1)", "GDPR 32"],
    fix="Make both ends in one plan, or let somebody answer for the other end under `declared` of the zone.",
    pack="residency",
    types=list(_JOINED),
)
def joined(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """An id alone doesn't tell whose network is at the other end, and where: what the plan itself makes is
    judged there; for anything else somebody must answer."""
    assert subject.resource is not None
    key, token, route = _JOINED[subject.resource.type]
    node = subject[key]
    if aws_network.target(subject, node, token) or zone.declares(route, subject.plan.at):
        return
    yield subject.undecided(
        node,
        seen="an id that nothing known in the plan bears",
        why="whose network is at the other end, and where, can't be told",
        route=route,
    )


@rule(
    "aws-tunnels.core-network",
    title="A core network may have edges in the zone only",
    routes=["A14"],
    controls=["HDS EXI 28", "HIPAA 164.312(e)(1)", "GDPR 44-46", "SNC 19.2"],
    fix="Name only regions of the zone under edge-locations.",
    pack="residency",
    types=[
        "aws:networkmanager/coreNetwork:CoreNetwork",
        "aws:networkmanager/coreNetworkPolicyAttachment:CoreNetworkPolicyAttachment",
    ],
)
def core_network(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """The policy of a core network of Cloud WAN names the regions in which it has routers; packets go
    through each of them."""
    for key in ("basePolicyDocument", "policyDocument"):
        policy = aws.document(subject[key])
        for edge in policy["core-network-configuration"]["edge-locations"].each():
            yield from aws_network.judge_region(subject, edge["location"], zone, what="routers stand")
