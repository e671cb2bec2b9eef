"""Ways in: only those that the zone names, and each records who came."""

import json

import pytest

from components.aws.access import AccessError, ClientVpn, SessionHost, VpnMembers
from components.aws.endpoints import Endpoints
from components.aws.logs import LogKeeping
from components.aws.network import Network
from components.aws.place import Place
from tests.components.aws.support import IMAGE, MACHINES, OPERATORS, laid, of_kind
from tests.support import aws


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("session", "does not name session-manager among its ways in .site-vpn.: leave it out"),
        ("vpn", "does not name client-vpn among its ways in .site-vpn.: leave it out"),
    ],
)
def test_a_way_that_the_zone_does_not_name(way: str, said: str) -> None:
    zone = aws.zone(access=["site-vpn"])

    def build(place: Place) -> None:
        logs = LogKeeping(place.arn("kms", "key/1"), 2192)
        network = Network("llm", place, aws.NETWORK, logs)
        endpoints = Endpoints("llm", place, network)
        if way == "session":
            SessionHost("door", place, zone, network, endpoints, IMAGE, place.arn("kms", "key/1"), logs)
        else:
            members = VpnMembers(addresses=MACHINES, certificate="c", identities="i", groups=(OPERATORS,))
            ClientVpn("vpn", place, zone, network, members, logs)

    with pytest.raises(AccessError, match=said):
        aws.planned(build)


@pytest.mark.parametrize("addresses", ["10.21.0.0/23", "10.0.0.0/11", "10.20.240.0/22"])
def test_addresses_that_a_vpn_can_not_give(addresses: str) -> None:
    members = VpnMembers(addresses=addresses, certificate="c", identities="i", groups=(OPERATORS,))

    def build(place: Place) -> None:
        logs = LogKeeping(place.arn("kms", "key/1"), 2192)
        network = Network("llm", place, aws.NETWORK, logs)
        ClientVpn("vpn", place, aws.zone(access=["client-vpn"]), network, members, logs)

    with pytest.raises(AccessError, match=f"addresses of {addresses}"):
        aws.planned(build)


def test_sessions_are_recorded_and_the_machine_is_closed() -> None:
    made = laid()
    (shell,) = of_kind(made, "Document").values()
    given = json.loads(shell.inputs["content"])["inputs"]
    assert given["cloudWatchLogGroupName"] == "/llm-paris/sessions"
    assert given["cloudWatchEncryptionEnabled"] is True
    (machine,) = of_kind(made, "Instance").values()
    assert machine.inputs["metadataOptions"]["httpTokens"] == "required"
    assert machine.inputs["metadataOptions"]["httpPutResponseHopLimit"] == 1
    assert machine.inputs["rootBlockDevice"]["encrypted"] is True
    assert machine.inputs["associatePublicIpAddress"] is False
    assert "keyName" not in machine.inputs


def test_ec2_may_take_on_the_role_though_it_says_no_account() -> None:
    (role,) = (one for name, one in of_kind(laid(), "Role").items() if name == "llm-paris-door")
    (trust,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
    assert trust == {
        "Effect": "Allow",
        "Principal": {"Service": "ec2.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }


def test_nothing_reaches_the_machine() -> None:
    made = laid()
    (group,) = (one for name, one in of_kind(made, "SecurityGroup").items() if name == "llm-paris-door")
    ingress = of_kind(made, "SecurityGroupIngressRule").values()
    assert not any(group.urn in one.dependencies["securityGroupId"] for one in ingress)


def test_the_vpn_lets_in_the_groups_that_are_named() -> None:
    made = laid()
    assert [one.inputs["accessGroupId"] for one in of_kind(made, "AuthorizationRule").values()] == [OPERATORS]
    (endpoint,) = (one for one in of_kind(made, "Endpoint").values() if "clientvpn" in one.type)
    assert endpoint.inputs["connectionLogOptions"] == {
        "enabled": True,
        "cloudwatchLogGroup": "/llm-paris/vpn",
    }
    assert endpoint.inputs["dnsServers"] == ["10.20.0.2"]
    assert endpoint.inputs["splitTunnel"] is True
