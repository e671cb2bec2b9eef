"""The network side of the ground at three places, each with a zone of its own."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from components.aws.access import ClientVpn, SessionHost, VpnMembers
from components.aws.account import AccountDefaults
from components.aws.dns import DnsFirewall
from components.aws.endpoints import Endpoints
from components.aws.logs import LogKeeping
from components.aws.network import Network
from components.aws.organisation import RegionGuard
from components.aws.place import Place
from facts.zones import Zone
from policies.model import Resource
from tests.support import aws

IMAGE = "ami-0123456789abcdef0"
OPERATORS = "hospital:operators"
MACHINES = "10.21.0.0/22"

_EVERYWHERE: Mapping[str, Any] = {
    "access": ["session-manager", "client-vpn"],
    "networks": [aws.NETWORK, MACHINES],
    "people": [
        {"subject": subject, "employer": "Example Hospital", "law": "FR", "country": "FR"}
        for subject in (
            OPERATORS,
            *(f"arn:{partition}:iam::{aws.ACCOUNT}:role/deployers" for partition in ("aws", "aws-eusc")),
        )
    ],
}
#: By region, the zone of a stack there.
ZONES: Mapping[str, Zone] = {
    "eu-west-3": aws.zone(**_EVERYWHERE),
    "eusc-de-east-1": aws.zone(
        **_EVERYWHERE,
        name="eu-sovereign",
        countries=["FR", "DE"],
        regions={"aws-eusc": ["eusc-de-east-1"]},
        accounts={"aws-eusc": [aws.ACCOUNT]},
    ),
    "us-west-2": aws.zone(
        **_EVERYWHERE,
        name="hipaa-us",
        countries=["FR", "US"],
        eea="any",
        regions={"aws": ["us-west-2"]},
    ),
}


def lay(place: Place) -> None:
    """Everything that this side makes, ways in included."""
    zone = ZONES[place.region]
    key = place.arn("kms", f"key/{aws.KEY}")
    logs = LogKeeping(key, 2192)
    network = Network(place.name, place, aws.NETWORK, logs)
    endpoints = Endpoints(place.name, place, network, sessions=True)
    DnsFirewall(place.name, place, network, endpoints, logs, names=("*.hospital.example",))
    AccountDefaults(place.name, place, key)
    RegionGuard(f"{place.name}-guard", place, zone, "r-ab12")
    SessionHost(f"{place.name}-door", place, zone, network, endpoints, IMAGE, key, logs)
    members = VpnMembers(
        addresses=MACHINES,
        certificate=place.arn("acm", "certificate/0f1e"),
        identities=place.arn("iam", "saml-provider/hospital"),
        groups=(OPERATORS,),
    )
    ClientVpn(f"{place.name}-vpn", place, zone, network, members, logs)


@cache
def laid(region: str = "eu-west-3") -> tuple[Resource, ...]:
    """What `lay` asks for in a region."""
    return aws.planned(lay, region=region)


def of_kind(asked: tuple[Resource, ...], kind: str) -> dict[str, Resource]:
    """The resources of a class (`Subnet`), by name."""
    return {one.name: one for one in asked if one.type.endswith(f":{kind}")}
