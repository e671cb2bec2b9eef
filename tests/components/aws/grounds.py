"""Whole grounds at three places, each with a zone of its own, that make all that a ground can make."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any

from components.aws.ground import AwsGround, Parts, Singletons
from components.aws.keys import KeyPeople
from components.aws.nodes import Machines, Reservation
from components.aws.place import Place
from components.aws.storage import BUCKETS, DISKS, volume_of
from components.aws.use import CREATE, Use
from components.ground import AuditSink, Ground, Images, Weights
from facts.gpus import gpu
from facts.zones import Zone
from policies.model import Resource
from tests.components.aws.support import ZONES
from tests.support import aws

DAYS = 2192
SERVICES = "172.20.0.0/16"
AUDITOR = ("llm-audit", "llm-audit")
MODEL = "llama"
_DIGEST = f"sha256:{'ab' * 32}"
#: By region: a machine for engines, its GPU, and how the names of the cluster's API end.
MACHINES: Mapping[str, tuple[str, str]] = {
    "eu-west-3": ("g6.48xlarge", "L4"),
    "eusc-de-east-1": ("g6.48xlarge", "L4"),
    "us-west-2": ("p5.48xlarge", "H100-80"),
}
PEOPLE = ("deployers", "publishers", "auditors")


def zone(region: str = "eu-west-3", **changes: Any) -> Zone:
    """That of a ground there; single keys may be replaced."""
    given = ZONES[region].model_dump()
    suffix = "amazonaws.eu" if region.startswith("eusc") else "amazonaws.com"
    wider = {
        "networks": [*given["networks"], SERVICES],
        "hosts": [*given["hosts"], f"*.{region}.eks.{suffix}"],
        "provisioners": [DISKS, BUCKETS],
        # the ground has a trail of its own
        "declared": [aws.answered("A53")],
    }
    return Zone.model_validate({**given, **wider, **changes})


def role(place: Place, name: str) -> str:
    return place.arn("iam", f"role/{name}")


def used(id: str) -> Use:
    """A part of the landing zone's."""
    days = {"since": date(2026, 1, 1), "until": date(2027, 12, 31)}
    return Use(id=id, what="The landing zone keeps it", owner="landing@hospital.example", **days)


def parts(place: Place) -> Parts:
    """Everything made, nothing used."""
    people = {group: [role(place, group)] for group in PEOPLE}
    type, name = MACHINES[place.region]
    return Parts(
        network=aws.NETWORK,
        singletons=Singletons(
            defaults=CREATE, autoscaling=CREATE, trail=CREATE, inventory=CREATE, detection=CREATE
        ),
        people=KeyPeople(**people),
        groups={role(place, "observers"): ["observers"]},
        system=Machines(type="m5.xlarge", count=3),
        gpus={
            MODEL: Machines(
                type=type, count=2, gpu=gpu(name), reservation=Reservation(zone=place.zones[-1], id="cr-0f1e")
            )
        },
        names=("*.hospital.example",),
        auditor=AUDITOR,
        days=DAYS,
    )


def platform(ground: AwsGround, place: Place) -> Ground:
    """What serving/ gets of it."""
    weights = Weights(
        volume=volume_of(place, MODEL), size="80Gi", read_rate=10**9, digest=_DIGEST, public_key="PEM"
    )
    images = {
        one: f"{ground.registry.host}/{place.name}/{one}@{_DIGEST}" for one in ground.registry.repositories
    }
    return ground.platform("uid", {MODEL: weights}, AuditSink("10Gi", DAYS), Images(**images))


def stood(region: str = "eu-west-3", **changes: Any) -> tuple[Resource, ...]:
    """What a ground asks for, with other parts than usual where some are given."""

    def build(place: Place) -> None:
        ground = AwsGround(place.name, place, zone(region), replace(parts(place), **changes))
        platform(ground, place)

    return aws.planned(build, region=region)


@cache
def usual(region: str = "eu-west-3") -> tuple[Resource, ...]:
    """The usual ground of a region."""
    return stood(region)
