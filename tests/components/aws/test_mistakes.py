"""The network side as it is, judged by all rules: nothing to say. And each mistake that its parts invite,
made on purpose: refused, by the route that names it."""

import copy
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from facts.sentinels import digest
from policies.model import Resource
from tests.components.aws.support import IMAGE, ZONES, laid
from tests.support import aws

Plan = tuple[Resource, ...]
Mistake = Callable[[Plan], Plan]


@pytest.mark.parametrize("region", list(ZONES))
def test_nothing_to_say(region: str) -> None:
    found = aws.findings(laid(region), ZONES[region])
    assert [f"{one.rule} {one.urn} {one.path}: {one.seen}: {one.why}" for one in found] == []


@pytest.mark.parametrize("region", list(ZONES))
def test_the_program_refuses_none_of_it(region: str) -> None:
    assert aws.refusals(laid(region), ZONES[region]) == ()


def changed(kind: str, name: str, path: str, value: Any) -> Mistake:
    """Another value at a path of a resource, by its class and name; None takes it away."""

    def apply(plan: Plan) -> Plan:
        found = [one for one in plan if one.type.endswith(f":{kind}") and one.name == name]
        assert len(found) == 1, f"{kind} {name}"
        inputs = copy.deepcopy(dict(found[0].inputs))
        *steps, last = path.split(".")
        place = inputs
        for step in steps:
            place = place.setdefault(step, {})
        if value is None:
            del place[last]
        else:
            place[last] = value
        # what is written down is computed from nothing
        sources = {key: urns for key, urns in found[0].dependencies.items() if key != path.partition(".")[0]}
        other = replace(found[0], inputs=inputs, dependencies=sources)
        return tuple(other if one is found[0] else one for one in plan)

    return apply


def edited(kind: str, name: str, key: str, edit: Callable[[Any], None]) -> Mistake:
    """A document in JSON, changed in place."""

    def apply(plan: Plan) -> Plan:
        (found,) = (one for one in plan if one.type.endswith(f":{kind}") and one.name == name)
        content = json.loads(found.inputs[key])
        edit(content)
        return changed(kind, name, key, json.dumps(content))(plan)

    return apply


def without(kind: str, name: str) -> Mistake:
    """A resource left out."""

    def apply(plan: Plan) -> Plan:
        rest = tuple(one for one in plan if not (one.type.endswith(f":{kind}") and one.name == name))
        assert len(rest) == len(plan) - 1
        return rest

    return apply


def with_also(*made: tuple[str, dict[str, Any]]) -> Mistake:
    """More resources, of the same provider; `{kind}` in a value is the id of the first such resource."""

    def apply(plan: Plan) -> Plan:
        ids = {one.type.rpartition(":")[2]: one for one in reversed(plan)}
        more: list[Resource] = []
        for token, inputs in made:
            filled = {
                key: _id(ids[value[1:-1]]) if isinstance(value, str) and value.startswith("{") else value
                for key, value in inputs.items()
            }
            urn = f"urn:pulumi:llm-paris::sovereign::{token}::added-{len(more)}"
            one = Resource(urn, token, f"added-{len(more)}", filled, ids["Vpc"].provider)
            ids[token.rpartition(":")[2]] = one
            more.append(one)
        return (*plan, *more)

    return apply


def _id(resource: Resource) -> str:
    prefixes = {"InternetGateway": "igw-", "NatGateway": "nat-", "EgressOnlyInternetGateway": "eigw-"}
    kind = resource.type.rpartition(":")[2]
    return prefixes.get(kind, aws.IDS.get(resource.type, "")) + digest(resource.urn)


_PARIS = "llm-paris"
_ROUTE = "aws:ec2/route:Route"
_ANY = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}


def _replace_statements(*statements: dict[str, Any]) -> Callable[[Any], None]:
    def edit(policy: Any) -> None:
        policy["Statement"] = list(statements)

    return edit


def _foreign(policy: Any) -> None:
    policy["Statement"][0]["Condition"]["StringEquals"]["aws:ResourceAccount"] = "999988887777"


def _bucket(policy: Any) -> None:
    policy["Statement"][1]["Resource"].append("arn:aws:s3:::somebodys-bucket/*")


def _layers_elsewhere(policy: Any) -> None:
    policy["Statement"][1]["Resource"].append("arn:aws:s3:::prod-us-east-1-starport-layer-bucket/*")


def _spare_london(policy: Any) -> None:
    policy["Statement"][0]["Condition"]["StringNotEquals"]["aws:RequestedRegion"].append("eu-west-2")


def _spare_buckets(policy: Any) -> None:
    policy["Statement"][0]["NotAction"].append("s3:*")


def _unrecorded(document: Any) -> None:
    del document["inputs"]["cloudWatchLogGroupName"]


def _gateway(kind: str, key: str, **more: Any) -> Mistake:
    token = f"aws:ec2/{kind[0].lower()}{kind[1:]}:{kind}"
    return with_also(
        (token, more),
        (
            _ROUTE,
            {"routeTableId": "{RouteTable}", "destinationCidrBlock": "10.99.0.0/16", key: f"{{{kind}}}"},
        ),
    )


def _route(**to: Any) -> Mistake:
    return with_also((_ROUTE, {"routeTableId": "{RouteTable}", "gatewayId": "vgw-0f1e2d3c4b5a69788", **to}))


_SUBNET = f"{_PARIS}-nodes-a"
MISTAKES: dict[str, tuple[str, Mistake]] = {
    "an IPv6 network from Amazon's pool": (
        "A12",
        changed("Vpc", _PARIS, "assignGeneratedIpv6CidrBlock", True),
    ),
    "public addresses in a subnet": ("A12", changed("Subnet", _SUBNET, "mapPublicIpOnLaunch", True)),
    "a subnet in a Local Zone": ("A58", changed("Subnet", _SUBNET, "availabilityZone", "eu-west-3-mrs-1a")),
    "an internet gateway": ("A08", _gateway("InternetGateway", "gatewayId")),
    "a NAT gateway": ("A09", _gateway("NatGateway", "natGatewayId", subnetId="{Subnet}")),
    "an egress-only gateway": ("A10", _gateway("EgressOnlyInternetGateway", "egressOnlyGatewayId")),
    "an Elastic IP": ("A12", with_also(("aws:ec2/eip:Eip", {"domain": "vpc"}))),
    "a default route": ("A11", _route(destinationCidrBlock="0.0.0.0/0")),
    "a default route in IPv6": ("A11", _route(destinationIpv6CidrBlock="::/0")),
    "half of the internet": ("A11", _route(destinationCidrBlock="128.0.0.0/1")),
    "a default route in the table itself": (
        "A11",
        changed(
            "RouteTable", _PARIS, "routes", [{"cidrBlock": "0.0.0.0/0", "gatewayId": "igw-0f1e2d3c4b5a69788"}]
        ),
    ),
    "a route for somebody's list of addresses": (
        "A11",
        _route(destinationPrefixListId="pl-0f1e2d3c4b5a69788"),
    ),
    "public access allowed": (
        "A08",
        changed("VpcBlockPublicAccessOptions", _PARIS, "internetGatewayBlockMode", "off"),
    ),
    "a network excepted from the block": (
        "A08",
        with_also(
            (
                "aws:ec2/vpcBlockPublicAccessExclusion:VpcBlockPublicAccessExclusion",
                {"vpcId": "{Vpc}", "internetGatewayExclusionMode": "allow-egress"},
            )
        ),
    ),
    "a default group that lets everything out": (
        "A06",
        changed(
            "DefaultSecurityGroup",
            _PARIS,
            "egress",
            [{"cidrBlocks": ["0.0.0.0/0"], "protocol": "-1", "fromPort": 0, "toPort": 0}],
        ),
    ),
    "a group with a rule of its own to anywhere": (
        "A01",
        changed(
            "SecurityGroup",
            f"{_PARIS}-nodes",
            "egress",
            [{"cidrBlocks": ["0.0.0.0/0"], "protocol": "tcp", "fromPort": 443, "toPort": 443}],
        ),
    ),
    "nodes that open connections to anywhere": (
        "A04",
        changed("SecurityGroupEgressRule", f"{_PARIS}-nodes-s3", "cidrIpv4", "0.0.0.0/0"),
    ),
    "nodes that open connections to somebody's list": (
        "A05",
        changed("SecurityGroupEgressRule", f"{_PARIS}-nodes-s3", "prefixListId", "pl-0f1e2d3c4b5a69788"),
    ),
    "an endpoint without a policy": ("A16", changed("VpcEndpoint", f"{_PARIS}-kms", "policy", None)),
    "an endpoint for everybody": (
        "A16",
        edited("VpcEndpoint", f"{_PARIS}-s3", "policy", _replace_statements(_ANY)),
    ),
    "an endpoint to another account": ("A16", edited("VpcEndpoint", f"{_PARIS}-s3", "policy", _foreign)),
    "an endpoint to a bucket that isn't one's own": (
        "A16",
        edited("VpcEndpoint", f"{_PARIS}-s3", "policy", _bucket),
    ),
    "an endpoint to AWS's bucket of another region": (
        "A16",
        edited("VpcEndpoint", f"{_PARIS}-s3", "policy", _layers_elsewhere),
    ),
    "an endpoint to another region": (
        "A17",
        changed("VpcEndpoint", f"{_PARIS}-kms", "serviceRegion", "us-east-1"),
    ),
    "an endpoint to a service without a region": (
        "A17",
        changed("VpcEndpoint", f"{_PARIS}-s3", "serviceName", "com.amazonaws.s3-global.accesspoint"),
    ),
    "a firewall of names that fails open": (
        "A18",
        changed("ResolverFirewallConfig", _PARIS, "firewallFailOpen", "ENABLED"),
    ),
    "no last rule": ("A18", without("ResolverFirewallRule", f"{_PARIS}-block")),
    "a last rule that only reports": (
        "A18",
        changed("ResolverFirewallRule", f"{_PARIS}-block", "action", "ALERT"),
    ),
    "a last rule for some questions": (
        "A18",
        changed("ResolverFirewallRule", f"{_PARIS}-block", "qType", "A"),
    ),
    "a firewall of names for no network": (
        "A18",
        without("ResolverFirewallRuleGroupAssociation", _PARIS),
    ),
    "a name outside that is answered": (
        "A18",
        changed("ResolverFirewallDomainList", f"{_PARIS}-allow", "domains", ["*.evil.example"]),
    ),
    "every name answered": (
        "A18",
        changed("ResolverFirewallDomainList", f"{_PARIS}-allow", "domains", ["*"]),
    ),
    "questions recorded in another region": (
        "A36",
        changed(
            "ResolverQueryLogConfig",
            _PARIS,
            "destinationArn",
            "arn:aws:logs:us-east-1:111122223333:log-group:names",
        ),
    ),
    "flows recorded in another account": (
        "A36",
        changed("FlowLog", _PARIS, "logDestination", "arn:aws:logs:eu-west-3:999988887777:log-group:flows"),
    ),
    "logs for a month": ("K51", changed("LogGroup", f"{_PARIS}-flows", "retentionInDays", 30)),
    "a role for another account": (
        "A49",
        edited(
            "Role",
            f"{_PARIS}-flows",
            "assumeRolePolicy",
            _replace_statements(
                {"Effect": "Allow", "Principal": {"AWS": "999988887777"}, "Action": "sts:AssumeRole"}
            ),
        ),
    ),
    "snapshots that may be public": (
        "A32",
        changed("SnapshotBlockPublicAccess", _PARIS, "state", "unblocked"),
    ),
    "images that may be public": ("A32", changed("ImageBlockPublicAccess", _PARIS, "state", "unblocked")),
    "a serial console": ("A57", changed("SerialConsoleAccess", _PARIS, "enabled", True)),
    "buckets that may be public": (
        "A24",
        changed("AccountPublicAccessBlock", _PARIS, "blockPublicPolicy", False),
    ),
    "a guard that leaves London open": ("A53", edited("Policy", f"{_PARIS}-guard", "content", _spare_london)),
    "sessions that nobody records": ("A57", edited("Document", f"{_PARIS}-door", "content", _unrecorded)),
    "a machine with an SSH key": ("A57", changed("Instance", f"{_PARIS}-door", "keyName", "admin")),
    "a machine with an address of the internet": (
        "A12",
        changed("Instance", f"{_PARIS}-door", "associatePublicIpAddress", True),
    ),
    "a machine in a network of AWS's choice": (
        "A12",
        with_also(("aws:ec2/instance:Instance", {"ami": IMAGE, "instanceType": "t3.micro"})),
    ),
    "machines with addresses outside": (
        "A15",
        changed("Endpoint", f"{_PARIS}-vpn", "clientCidrBlock", "100.64.0.0/22"),
    ),
    "people whom nobody knows": (
        "H01",
        changed("AuthorizationRule", f"{_PARIS}-vpn-0", "accessGroupId", "everybody"),
    ),
    "a VPN to a site": (
        "A15",
        with_also(("aws:ec2/vpnGateway:VpnGateway", {"vpcId": "{Vpc}"})),
    ),
    "a provider of another region": ("P01", changed("aws", _PARIS, "region", "eu-west-2")),
    "a provider of any region": ("P02", changed("aws", _PARIS, "region", None)),
    "a provider of any account": ("P05", changed("aws", _PARIS, "allowedAccountIds", None)),
    "a provider that believes any region": ("P04", changed("aws", _PARIS, "skipRegionValidation", "true")),
    "a resource in a region of its own": ("P03", changed("Vpc", _PARIS, "region", "us-east-1")),
    "a type that nobody judges": (
        "P09",
        with_also(
            ("aws:ec2/vpcEncryptionControl:VpcEncryptionControl", {"vpcId": "{Vpc}", "mode": "monitor"})
        ),
    ),
}


@pytest.mark.parametrize("mistake", list(MISTAKES))
def test_a_mistake_is_refused(mistake: str) -> None:
    route, make = MISTAKES[mistake]
    assert route in routes(make(laid()))


def routes(plan: Iterable[Resource]) -> set[str]:
    return {finding.route for finding in aws.findings(tuple(plan), ZONES["eu-west-3"])}


def test_a_guard_that_spares_buckets_is_none() -> None:
    zone = aws.zone(**{**ZONES["eu-west-3"].model_dump(), "declared": [aws.answered("A37")]})
    assert aws.findings(laid(), zone) == ()
    weak = edited("Policy", f"{_PARIS}-guard", "content", _spare_buckets)(laid())
    assert {one.route for one in aws.findings(weak, zone)} == {"A53"}


@pytest.mark.parametrize(("access", "route"), [("session-manager", "A57"), ("client-vpn", "A15")])
def test_a_way_in_that_the_zone_does_not_name(access: str, route: str) -> None:
    rest = [way for way in ZONES["eu-west-3"].access if way != access]
    zone = ZONES["eu-west-3"].model_copy(update={"access": tuple(rest)})
    assert route in {one.route for one in aws.findings(laid(), zone)}
