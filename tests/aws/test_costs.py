"""The table of costs in docs/aws.md is that of facts/prices.yaml for what each stack makes.

.venv/bin/python -m pytest tests/aws/test_costs.py    tells the row that a stack should have
"""

from typing import Any

import pytest

from facts import prices
from facts.prices import Cost
from facts.site import ROOT
from tests.support.aws_stacks import STACKS, Rendered, rendered

_CLOUD = "aws"
#: made by `sovereign bootstrap`: that of the state's bucket, and that of its secrets
_KEYS_OF_STATE = 2


def _of(stack: Rendered, kind: str) -> list[dict[str, Any]]:
    return [dict(one.inputs) for one in stack.cloud if one.type.rpartition(":")[2] == kind]


def _machines(stack: Rendered) -> dict[str, int]:
    """How many of each type of machine."""
    types = {one["name"]: str(one["instanceType"]) for one in _of(stack, "LaunchTemplate")}
    found: dict[str, int] = {}
    for group in _of(stack, "NodeGroup"):
        type = types[group["nodeGroupName"]]
        found[type] = found.get(type, 0) + int(group["scalingConfig"]["desiredSize"])
    return dict(sorted(found.items()))


def _endpoints(stack: Rendered) -> int:
    """Interface endpoints, each as often as it has availability zones."""
    interfaces = [one for one in _of(stack, "VpcEndpoint") if one["vpcEndpointType"] == "Interface"]
    return sum(len(one["subnetIds"]) for one in interfaces)


def _sum(region: str, parts: dict[str, int]) -> Cost:
    total = Cost(0, 0)
    for name, count in parts.items():
        found = prices.service(_CLOUD, region, name) or prices.machine(_CLOUD, region, name)
        assert found is not None, f"facts/prices.yaml has no price of {name} in {region}"
        total += found * count
    return total


def _shown(cost: Cost) -> str:
    least, most = (f"{round(value, -1):,.0f}" for value in (cost.least, cost.most))
    return least if least == most else f"{least} to {most}"


def row(stack: Rendered) -> str:
    assert stack.settings.aws is not None
    region, machines = stack.settings.aws.region, _machines(stack)
    keys = len(_of(stack, "Key")) + _KEYS_OF_STATE
    without = _sum(region, {**machines, "cluster": 1, "key": keys})
    endpoints = _sum(region, {"endpoint": _endpoints(stack)})
    total = Cost(without.least, (without + endpoints).most)
    shown = ", ".join(f"{count} `{type}`" for type, count in machines.items())
    cells = (
        f"`{stack.name}`",
        region,
        shown,
        _shown(_sum(region, machines)),
        _shown(endpoints),
        _shown(total),
    )
    return f"| {' | '.join(cells)} |"


@pytest.mark.parametrize("stack", STACKS)
def test_the_page_tells_what_the_stack_costs(stack: str) -> None:
    assert row(rendered(stack)) in (ROOT / "docs" / "aws.md").read_text(encoding="utf-8")
