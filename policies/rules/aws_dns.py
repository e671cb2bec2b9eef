"""Name resolution at AWS: who answers a network's questions, to whom they are passed on, who can ask for its
names."""

from collections.abc import Iterator

from facts.zones import Zone
from policies import aws_network, kubernetes
from policies.aws_network import VPC
from policies.model import Node, Plan, Resource
from policies.rule import Hit, Subject, rule
from policies.walkers import hosts

_CONTROLS = ("HDS EXI 05", "HIPAA 164.312(e)(1)", "GDPR 32", "SNC 12.14", "SNC 13.2")

_RULE = "aws:route53/resolverRule:ResolverRule"
_RULE_ASSOCIATION = "aws:route53/resolverRuleAssociation:ResolverRuleAssociation"
_ENDPOINT = "aws:route53/resolverEndpoint:ResolverEndpoint"
_OPTIONS = "aws:ec2/vpcDhcpOptions:VpcDhcpOptions"
_OPTIONS_ASSOCIATION = "aws:ec2/vpcDhcpOptionsAssociation:VpcDhcpOptionsAssociation"
_GROUP = "aws:route53/resolverFirewallRuleGroup:ResolverFirewallRuleGroup"
_GROUP_ASSOCIATION = "aws:route53/resolverFirewallRuleGroupAssociation:ResolverFirewallRuleGroupAssociation"
_FIREWALL_RULE = "aws:route53/resolverFirewallRule:ResolverFirewallRule"
_DOMAINS = "aws:route53/resolverFirewallDomainList:ResolverFirewallDomainList"
_ZONE = "aws:route53/zone:Zone"

#: AWS's own resolver and clock, by the names and addresses that every VPC has
#: (docs.aws.amazon.com/vpc/latest/userguide/AmazonDNS-concepts.html, .../set-time.html).
_OF_THE_VPC = ("AmazonProvidedDNS", "169.254.169.253", "169.254.169.123")
#: Names whose servers are AWS's own: nobody else sees a question for one.
_OF_AWS = (
    *(".amazonaws.com", ".amazonaws.eu", ".api.aws", ".api.amazonwebservices.eu"),
    *(".compute.internal", ".ec2.internal"),
)


@rule(
    "aws-dns.forwarding",
    title="Questions for names may go to resolvers of the zone only",
    routes=["A18"],
    controls=_CONTROLS,
    fix="Name resolvers and clocks by addresses of the zone, or leave AWS's own.",
    pack="egress",
    severity="critical",
    types=[_RULE, _RULE_ASSOCIATION, _OPTIONS, _OPTIONS_ASSOCIATION],
)
def forwarding(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Whoever is asked for names sees each of them, and names can carry data out past every route and group.
    A rule that forwards questions, and the resolvers that a network hands out to its machines, must be the
    zone's; a rule that somebody shares must be in the plan, or be answered for."""
    kind = subject["ruleType"].text()
    if kind not in (None, "FORWARD", "SYSTEM"):
        yield subject.refuse(
            "ruleType", seen="another type", why="questions are passed on to servers outside"
        )
    asked = [part[key] for part in subject["targetIps"].each() for key in ("ip", "ipv6")]
    for key in ("domainNameServers", "netbiosNameServers", "ntpServers"):
        asked += subject[key].each()
    for node in asked:
        text = node.text()
        if text and text not in _OF_THE_VPC and not hosts.declared(text, zone):
            yield subject.refuse(
                node,
                seen=hosts.host_of(text) or "no address",
                why=f"machines are answered from there, outside zone {zone.name}",
            )
    assert subject.resource is not None
    domain = subject["domainName"].text() if subject.resource.type == _OPTIONS else None
    for name in (domain or "").split():
        if not _is_answered_inside(f"*.{name}", zone):
            yield subject.refuse(
                "domainName",
                seen=hosts.host_of(name) or "no domain",
                why="every short name is asked for in this domain, outside the zone",
            )
    for key, token in (("resolverRuleId", _RULE), ("dhcpOptionsId", _OPTIONS)):
        node = subject[key]
        known = node.absent or node.value == "default" or aws_network.target(subject, node, token)
        if not known and not zone.declares("A18", subject.plan.at):
            yield subject.undecided(
                node, seen="an id that nothing known in the plan bears", why="who is asked is not told here"
            )


@rule(
    "aws-dns.allowed-names",
    title="A DNS firewall may let through names of the zone only",
    routes=["A18"],
    controls=_CONTROLS,
    fix="Allow names of the zone's hosts and of AWS's own services, from a domain list of the plan.",
    pack="egress",
    types=[_FIREWALL_RULE],
)
def allowed_names(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A rule that allows names, or only reports them, lets questions for them out to whoever serves them. An
    answer that replaces a blocked one must lead into the zone too."""
    override = subject["blockOverrideDomain"]
    text = override.text()
    if text and not _is_answered_inside(text, zone):
        yield subject.refuse(
            override,
            seen=hosts.host_of(text) or "no domain",
            why=f"whoever asks for a blocked name is led there, outside zone {zone.name}",
        )
    if subject["action"].text() == "BLOCK":
        return
    node = subject["firewallDomainListId"]
    listed = aws_network.target(subject, node, _DOMAINS)
    if listed is None:
        yield subject.undecided(
            node, seen="no list of the plan", why="which names it lets through is not told here"
        )
    for name in _domains(subject, listed, node.path):
        if not _is_answered_inside(name, zone):
            yield subject.refuse(
                node,
                seen=hosts.host_of(name.removeprefix("*.")) or "every name",
                why=f"questions for it are let out, and it is outside zone {zone.name}",
            )


@rule(
    "aws-dns.outbound",
    title="What passes questions on must say to whom",
    routes=["A18"],
    controls=_CONTROLS,
    fix="Make the rules of the outbound endpoint in the same plan, or remove it.",
    pack="egress",
    scope="plan",
    needs_whole=True,
)
def outbound(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """An outbound endpoint sends questions to wherever the rules that name it say. Without one in the plan,
    that isn't told."""
    if zone.declares("A18", subject.plan.at):
        return
    told = {
        endpoint.urn
        for look in aws_network.looks(subject.plan, _RULE)
        if (endpoint := aws_network.target(look, look["resolverEndpointId"], _ENDPOINT)) is not None
    }
    for look in aws_network.looks(subject.plan, _ENDPOINT):
        assert look.resource is not None
        direction = look["direction"].text()
        if direction in (None, "INBOUND"):
            yield from kubernetes.untold(look)
        elif look.resource.urn not in told:
            yield kubernetes.hit(
                look,
                "direction",
                seen="an outbound endpoint without rules",
                why="to whom it passes questions on is not told in this plan",
            )


@rule(
    "aws-dns.firewall",
    title="A network that resolves names needs a DNS firewall that blocks all others",
    routes=["A18"],
    controls=_CONTROLS,
    fix="Associate a firewall rule group whose last rule blocks `*`, or set enableDnsSupport to false.",
    pack="egress",
    severity="critical",
    scope="plan",
    needs_whole=True,
)
def firewall(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Amazon's resolver in a VPC answers for the whole internet, also where no route leads there, so names
    carry data out. A firewall of names stops that where it blocks every name that it doesn't allow."""
    if zone.declares("A18", subject.plan.at):
        return
    guarded = _guarded(subject.plan)
    for look in aws_network.looks(subject.plan, VPC):
        assert look.resource is not None
        if look["enableDnsSupport"].flag() is not False and look.resource.urn not in guarded:
            yield kubernetes.hit(
                look,
                "enableDnsSupport",
                seen="no firewall of names",
                why="its resolver answers for the whole internet, and names can carry data out",
            )
        yield from kubernetes.untold(look)


@rule(
    "aws-dns.private-zones",
    title="A zone of names must be private to networks of the zone",
    routes=["A19"],
    controls=["HDS EXI 05", "HIPAA 164.312(e)(1)", "GDPR 25", "SNC 13.2"],
    fix="Give the hosted zone the VPCs that ask for its names, in regions of the zone.",
    pack="egress",
    types=[
        _ZONE,
        "aws:route53/record:Record",
        "aws:route53/recordsExclusive:RecordsExclusive",
        "aws:route53/zoneAssociation:ZoneAssociation",
    ],
)
def private_zones(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A hosted zone without a VPC is public: everybody can ask for its names, which tell what there is.
    Records must be in a zone of the plan, because an id alone doesn't tell whether it is private."""
    vpcs = subject["vpcs"]
    for node in (*(vpc["vpcRegion"] for vpc in vpcs.each()), subject["vpcRegion"]):
        yield from aws_network.judge_region(subject, node, zone, what="a network asks for its names")
    assert subject.resource is not None
    if subject.resource.type == _ZONE:
        if not vpcs.opaque and not vpcs.value:
            yield subject.refuse(vpcs, seen="no VPC", why="so it is public: everybody can ask for its names")
        return
    node = subject["zoneId"]
    if not aws_network.target(subject, node, _ZONE) and not zone.declares("A19", subject.plan.at):
        yield subject.undecided(
            node, seen="no zone known to be of the plan", why="whether it is private is not told here"
        )


def _is_answered_inside(name: str, zone: Zone) -> bool:
    """Whether only servers of the zone, or AWS's own, are asked for a name (`*.` in front: for names below
    it)."""
    host = hosts.host_of(f"name.{name[2:]}" if name.startswith("*.") else name)
    return host is not None and (host.endswith(_OF_AWS) or hosts.inside(host, zone))


def _guarded(plan: Plan) -> set[str]:
    """The VPCs with which a rule group is associated that blocks every name which it doesn't allow."""
    closed = {
        group.urn
        for look in aws_network.looks(plan, _FIREWALL_RULE)
        if _blocks_all(look)
        and (group := aws_network.target(look, look["firewallRuleGroupId"], _GROUP)) is not None
    }
    pairs = (
        (
            aws_network.target(look, look["firewallRuleGroupId"], _GROUP),
            aws_network.target(look, look["vpcId"], VPC),
        )
        for look in aws_network.looks(plan, _GROUP_ASSOCIATION)
    )
    return {vpc.urn for group, vpc in pairs if group is not None and vpc is not None and group.urn in closed}


def _blocks_all(look: Subject) -> bool:
    """Whether a rule blocks every name, whatever is asked about it."""
    listed = aws_network.target(look, look["firewallDomainListId"], _DOMAINS)
    domains = _domains(look, listed, "firewallDomainListId")
    return (
        look["action"].text() == "BLOCK"
        and look["qType"].absent
        and any(name in ("*", "*.") for name in domains)
    )


def _domains(look: Subject, listed: Resource | None, path: str) -> list[str]:
    """The names of a domain list; what of it can't be read is remembered at the path that names the list."""
    return Node(listed.inputs.get("domains") if listed is not None else None, path, look.touched).texts()
