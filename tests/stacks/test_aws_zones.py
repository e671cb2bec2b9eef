"""In which availability zones machines with GPUs stand: where their type is offered, as far as that is known."""

from typing import Any

import pytest

from facts.instances import NotThere
from facts.site import ROOT, Site
from stacks import aws, settings
from stacks.settings import Settings
from tests.aws.changes import find
from tests.stacks.test_settings import FILE, PARIS, plain, put
from tests.support import aws_stacks

MODEL = "llama-3.3-70b"
SITE = Site(ROOT / "stacks")


def given(machines: dict[str, Any], **more: Any) -> Settings:
    data = put(plain(PARIS), "aws.gpus", {MODEL: {"count": 2, **machines}})
    for key, value in more.items():
        put(data, f"aws.{key}", value)
    return settings.parse(data, FILE)


def zones(chosen: Settings) -> tuple[str, ...]:
    assert chosen.aws is not None
    return aws.parts(chosen, SITE, chosen.aws).gpus[MODEL].zones


def test_engines_in_paris_stand_in_the_two_zones_that_have_their_machines() -> None:
    plan = aws_stacks.rendered(aws_stacks.PARIS)
    subnets = {
        plan.answers[find(plan.resources, f"Subnet nodes-{letter}").urn]["id"]: letter for letter in "abc"
    }
    engines = find(plan.resources, "NodeGroup gpu-llama-3-3-70b").inputs["subnetIds"]
    assert [subnets[one] for one in engines] == ["b", "c"]
    system = find(plan.resources, "NodeGroup system").inputs["subnetIds"]
    assert [subnets[one] for one in system] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("machines", "more", "there"),
    [
        pytest.param({}, {}, ("eu-west-3b", "eu-west-3c"), id="all of the place that have them"),
        pytest.param({"zones": ["eu-west-3c"]}, {}, ("eu-west-3c",), id="one of them"),
        pytest.param({}, {"zones": ["eu-west-3a", "eu-west-3b"]}, ("eu-west-3b",), id="a smaller place"),
        pytest.param(
            {"type": "g6.12xlarge", "zones": ["eu-west-3a"]}, {}, ("eu-west-3a",), id="the site was told"
        ),
        pytest.param(
            {"reservation": {"zone": "eu-west-3a", "id": "cr-1"}}, {}, ("eu-west-3a",), id="there already"
        ),
    ],
)
def test_machines_stand_where_they_are_offered(
    machines: dict[str, Any], more: dict[str, Any], there: tuple[str, ...]
) -> None:
    assert zones(given(machines, **more)) == there


@pytest.mark.parametrize(
    "machines",
    [{"zones": ["eu-west-3a", "eu-west-3b"]}, {"reservation": {"zone": "eu-west-3a"}}],
    ids=["named", "a reservation to be made"],
)
def test_machines_where_nobody_has_seen_them_are_refused(machines: dict[str, Any]) -> None:
    said = rf"aws\.gpus\.{MODEL}: g6\.12xlarge is known to be offered in eu-west-3b, eu-west-3c"
    with pytest.raises(NotThere, match=said):
        zones(given(machines))


def test_what_no_data_narrows_stands_in_all_zones_of_the_place() -> None:
    chosen = settings.load(ROOT / "stacks" / "Pulumi.aws-stockholm.yaml")
    assert zones(chosen) == ()
