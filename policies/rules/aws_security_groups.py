"""Security groups of AWS: to which addresses machines may open connections."""

from collections.abc import Iterator

from facts.zones import Zone
from policies import aws_network, kubernetes
from policies.model import Node, Resource
from policies.rule import Hit, Subject, rule

_CONTROLS = ("HDS EXI 05", "HIPAA 164.312(e)(1)", "GDPR 32", "SNC 12.14", "SNC 13.2")
_PACKETS = "connections"

_GROUP = "aws:ec2/securityGroup:SecurityGroup"
_DEFAULT = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
_EGRESS_RULE = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
_GROUPS = (_GROUP, _DEFAULT, _RULE, _EGRESS_RULE)
#: routes by type; of others it is the first of the rule
_ROUTES = {_RULE: "A03", _EGRESS_RULE: "A04", _DEFAULT: "A06"}


def _outgoing(subject: Subject) -> Iterator[Node]:
    """The rules for what goes out. In pulumi-aws a group without any has none: it removes AWS's allow-all."""
    assert subject.resource is not None
    if subject.resource.type in (_GROUP, _DEFAULT):
        yield from subject["egress"].each()
    elif subject["type"].text() != "ingress":
        yield subject.inputs


@rule(
    "aws-security-groups.networks",
    title="Machines may open connections to the zone's networks only",
    routes=["A01", "A02", "A03", "A04", "A06"],
    controls=_CONTROLS,
    fix="Allow only the zone's networks, another security group, or the prefix list of a gateway endpoint.",
    pack="egress",
    severity="critical",
    types=_GROUPS,
)
def networks(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A rule for what goes out whose addresses are not all the zone's lets any process that a group holds
    send data there. Addresses are compared as sets: two halves of the internet are the internet, in IPv6
    too, and in whichever of the four spellings the rule is written."""
    assert subject.resource is not None
    inline = subject.resource.type == _GROUP
    route = _ROUTES.get(subject.resource.type)
    for outgoing in _outgoing(subject):
        for key, own in (("cidrBlocks", "A01"), ("ipv6CidrBlocks", "A02")):
            for cidr in outgoing[key].each():
                yield from aws_network.judge_network(
                    subject, cidr, zone, what=_PACKETS, route=own if inline else route
                )
        for key in ("cidrIpv4", "cidrIpv6"):
            yield from aws_network.judge_network(subject, outgoing[key], zone, what=_PACKETS, route=route)


@rule(
    "aws-security-groups.ports",
    title="A rule for addresses names a protocol and its ports",
    routes=["A01", "A03", "A04", "A06"],
    controls=_CONTROLS,
    fix="Name a protocol and the ports that are meant, or another security group.",
    pack="egress",
    severity="medium",
    types=_GROUPS,
)
def ports(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Protocol -1 is every port of every protocol: name servers, other tunnels and consoles behind the same
    addresses are open too. Between machines of security groups, which the plan shows, it may be meant."""
    assert subject.resource is not None
    route = _ROUTES.get(subject.resource.type)
    for outgoing in _outgoing(subject):
        for key in ("ipProtocol", "protocol"):
            if outgoing[key].text() in ("-1", "all") and _names_addresses(outgoing):
                yield subject.refuse(
                    outgoing[key], seen="every protocol", why="every port behind it is open", route=route
                )


def _names_addresses(rule: Node) -> bool:
    lists = ("cidrBlocks", "ipv6CidrBlocks", "prefixListIds")
    return any(not rule[key].absent for key in ("cidrIpv4", "cidrIpv6", "prefixListId")) or any(
        rule[key].value not in (None, []) for key in lists
    )


@rule(
    "aws-security-groups.prefix-lists",
    title="A prefix list that machines may send to must be one that the plan shows",
    routes=["A05"],
    controls=_CONTROLS,
    fix="Use a prefix list of this plan, or that of a gateway endpoint of this plan.",
    pack="egress",
    types=_GROUPS,
)
def prefix_lists(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A prefix list stands for addresses that are written elsewhere: somebody's list may hold the internet,
    and AWS's own lists hold services with which every customer keeps data."""
    for outgoing in _outgoing(subject):
        for node in (*outgoing["prefixListIds"].each(), outgoing["prefixListId"]):
            yield from aws_network.judge_list(subject, node, zone, what=_PACKETS)


@rule(
    "aws-security-groups.default",
    title="Nothing may fall to a default security group that lets everything out",
    routes=["A06"],
    controls=_CONTROLS,
    fix="Name security groups, or take the VPC's default one over with a DefaultSecurityGroup without rules.",
    pack="egress",
    scope="plan",
    needs_whole=True,
)
def default(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """What names no security group gets its VPC's default one, which AWS makes with a rule that lets
    everything out. It is empty only where the plan takes it over."""
    tamed = [
        aws_network.target(look, look["vpcId"], aws_network.VPC)
        for look in aws_network.looks(subject.plan, _DEFAULT)
    ]
    for look in aws_network.looks(subject.plan, *_MEMBERS):
        assert look.resource is not None
        named = _MEMBERS[look.resource.type]
        if all(look[key].absent for key in named):
            vpc = _vpc(look)
            if vpc is None or vpc not in tamed:
                yield kubernetes.hit(
                    look,
                    named[0],
                    seen="no security group",
                    why="it gets the default group of its VPC, which lets everything out",
                )


def _vpc(look: Subject) -> Resource | None:
    """The VPC of the plan that a machine is in, by its subnet."""
    subnet = aws_network.target(look, look["subnetId"], "aws:ec2/subnet:Subnet")
    if subnet is None:
        return None
    inner = Subject(look.plan, subnet)
    return aws_network.target(inner, inner["vpcId"], aws_network.VPC)


#: What is in a security group, and the properties that name which, or an interface that has its own.
_MEMBERS = {
    "aws:ec2/instance:Instance": (
        "vpcSecurityGroupIds",
        "securityGroups",
        "networkInterfaces",
        "primaryNetworkInterface",
        "launchTemplate",
    ),
    "aws:ec2/networkInterface:NetworkInterface": ("securityGroups",),
}
