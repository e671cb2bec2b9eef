"""The network: subnets that fit and don't meet, no way out, every flow recorded; or one that is there."""

import re
from datetime import date
from ipaddress import IPv4Network
from itertools import combinations

import pytest

from components.aws.logs import LogKeeping
from components.aws.network import Network, NetworkError, UsedNetwork
from components.aws.place import Place
from components.aws.use import Use
from policies.model import Resource
from tests.components.aws.support import laid, of_kind
from tests.support import aws

USED = Use(
    id="vpc-08b1c708b9d16342a",
    what="No route leads out, names are filtered, flows are kept",
    owner="network@hospital.example",
    since=date(2026, 1, 1),
    until=date(2027, 1, 1),
)
SUBNETS = {
    zone: f"subnet-0bf65bfab3d7a7d9{index}"
    for index, zone in enumerate(("eu-west-3a", "eu-west-3b", "eu-west-3c"))
}


def network(given: str | UsedNetwork = aws.NETWORK, days: int = 2192) -> tuple[Resource, ...]:
    def build(place: Place) -> None:
        logs = LogKeeping(place.arn("kms", f"key/{aws.KEY}"), days)
        Network("llm", place, given, logs)

    return aws.planned(build)


@pytest.mark.parametrize("cidr", ["10.20.0.0/16", "10.20.32.0/19", "172.16.16.0/20", "192.168.0.0/16"])
def test_subnets_lie_apart_within_the_network(cidr: str) -> None:
    subnets = of_kind(network(cidr), "Subnet")
    blocks = {name: IPv4Network(one.inputs["cidrBlock"]) for name, one in subnets.items()}
    assert sorted(blocks) == [
        f"llm-{part}-{zone}" for part in ("control-plane", "endpoints", "nodes") for zone in "abc"
    ]
    assert all(block.subnet_of(IPv4Network(cidr)) for block in blocks.values())
    assert not any(one.overlaps(other) for one, other in combinations(blocks.values(), 2))
    # an address for each endpoint, and the five that AWS keeps
    assert all(block.num_addresses >= 64 for name, block in blocks.items() if "endpoints" in name)
    assert {one.inputs["availabilityZone"] for one in subnets.values()} == set(SUBNETS)


@pytest.mark.parametrize(
    ("cidr", "said"),
    [
        ("10.20.0.0/15", "needs a prefix of /16 to /20"),
        ("10.20.0.0/21", "needs a prefix of /16 to /20"),
        ("10.20.0.1/16", "is no network"),
        ("54.1.0.0/16", "RFC 1918"),
        ("fd12:3456:789a::/48", "RFC 1918"),
    ],
)
def test_what_is_no_network(cidr: str, said: str) -> None:
    with pytest.raises(NetworkError, match=said):
        network(cidr)


def test_four_zones_are_too_many() -> None:
    def build(place: Place) -> None:
        four = Place.at("four", region="us-west-2", account=aws.ACCOUNT, zones=place.facts.zones)
        Network("llm", four, aws.NETWORK, LogKeeping("arn", 1))

    with pytest.raises(NetworkError, match="for 3 availability zones at most"):
        aws.planned(build, region="us-west-2")


def test_no_route_and_no_rule_leads_out() -> None:
    made = network()
    assert [
        one.inputs["routes"]
        for kind in ("RouteTable", "DefaultRouteTable")
        for one in of_kind(made, kind).values()
    ] == [[], []]
    (default,) = of_kind(made, "DefaultSecurityGroup").values()
    assert (default.inputs["ingress"], default.inputs["egress"]) == ([], [])
    rules = [
        one
        for kind in ("SecurityGroupIngressRule", "SecurityGroupEgressRule")
        for one in of_kind(made, kind).values()
    ]
    # among groups only
    assert all("referencedSecurityGroupId" in one.inputs for one in rules)
    assert not any(key.startswith("cidr") for one in rules for key in one.inputs)
    assert len(of_kind(made, "RouteTableAssociation")) == len(of_kind(made, "Subnet"))


def test_descriptions_are_such_as_ec2_takes() -> None:
    """docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html"""
    given = [str(one.inputs["description"]) for one in laid() if "description" in one.inputs]
    assert given
    assert [
        text for text in given if not re.fullmatch(r"[\w .:/()#,@\[\]+=&;{}!$*-]{1,255}", text, re.ASCII)
    ] == []


def test_every_flow_is_recorded() -> None:
    made = network()
    (flow,) = of_kind(made, "FlowLog").values()
    (group,) = of_kind(made, "LogGroup").values()
    assert (flow.inputs["trafficType"], flow.inputs["maxAggregationInterval"]) == ("ALL", 60)
    assert group.inputs["kmsKeyId"].endswith(aws.KEY)
    assert group.inputs["retentionInDays"] == 2192


@pytest.mark.parametrize(("days", "kept"), [(1, 1), (8, 14), (2193, 2557), (3653, 3653), (3654, None)])
def test_logs_are_kept_long_enough(days: int, kept: int | None) -> None:
    (group,) = of_kind(network(days=days), "LogGroup").values()
    assert group.inputs.get("retentionInDays") == kept


def test_a_network_that_is_there_is_left_alone() -> None:
    there = UsedNetwork(
        vpc=USED,
        cidr=aws.NETWORK,
        nodes=SUBNETS,
        endpoints=SUBNETS,
        control_plane=SUBNETS,
        route_tables=("rtb-071e819758278fc98",),
    )
    made = network(there)
    kinds = {one.type.rpartition(":")[2] for one in made} - {"aws", "Network"}
    assert kinds == {"SecurityGroup", "SecurityGroupIngressRule", "SecurityGroupEgressRule"}
    assert {one.inputs["vpcId"] for one in of_kind(made, "SecurityGroup").values()} == {USED.id}


def test_a_network_that_is_there_has_a_subnet_in_each_zone() -> None:
    some = {zone: id for zone, id in SUBNETS.items() if zone != "eu-west-3c"}
    there = UsedNetwork(
        vpc=USED, cidr=aws.NETWORK, nodes=SUBNETS, endpoints=some, control_plane=SUBNETS, route_tables=()
    )
    with pytest.raises(NetworkError, match="no subnet in eu-west-3c"):
        network(there)
