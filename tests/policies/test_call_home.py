"""Each program and service of facts/call_home.yaml: refused as it is, honest once it is told."""

from itertools import chain
from typing import Any

import pytest
import yaml

from facts import call_home
from facts.call_home import Program, Service, Way
from facts.zones import Zone
from policies import rules
from policies.judge import judge
from policies.model import Finding, Plan, Resource
from tests.support.examples import FOLDER

_ZONE = Zone.model_validate(yaml.safe_load((FOLDER / "zone.yaml").read_text(encoding="utf-8")))
_RULES = [rule for rule in rules.load() if rule.id in ("call-home.programs", "call-home.services")]
#: A name of each program that its pattern takes.
_NAMES = {
    "Alloy": "alloy",
    "Elasticsearch": "elasticsearch",
    "Longhorn": "longhorn-manager",
    "NGINX Ingress Controller": "nginx-ingress",
    "NVIDIA NIM": "nim/model",
    "Open WebUI": "open-webui",
    "Sigstore's policy-controller": "policy-controller",
    "Trident AutoSupport": "trident-autosupport",
    "text-generation-inference": "text-generation-inference",
}


def _found(image: str, **container: Any) -> tuple[Finding, ...]:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one", "namespace": "tools"}}
    reference = f"registry.hospital.example/{image}@sha256:{'4f' * 32}"
    pod["spec"] = {"containers": [{"name": "one", "image": reference, **container}]}
    made = Resource("urn:pulumi:test::one", "kubernetes:core/v1:Pod", "one", pod)
    return judge(Plan.of([made], whole=False), _ZONE, _RULES).findings


def _path(program: Program) -> str:
    return f"llm/{_NAMES.get(program.name, program.name.lower())}"


def _said(name: str, way: Way) -> tuple[list[dict[str, str]], list[str]]:
    """Variables and arguments that say at a name what the way asks for."""
    inside = "http://stats.hospital.example:8080" if way.host else "registry.hospital.example/mirror/list:2"
    value = way.says[0] if way.says else inside
    return ([], [f"{name}={value}"]) if name.startswith("-") else ([{"name": name, "value": value}], [])


@pytest.mark.parametrize("program", call_home.table().programs, ids=lambda one: one.name)
def test_program_is_refused_until_it_is_told(program: Program) -> None:
    routes = {one.route for one in _found(_path(program))}
    assert routes == {program.route}
    for place in range(max(len(switch.ways) for switch in program.switches)):
        ways = [switch.ways[min(place, len(switch.ways) - 1)] for switch in program.switches]
        for pick in (0, -1):  # the first and the last spelling of each
            told = [_said(way.at[pick], way) for way in ways]
            env = list(chain.from_iterable(variables for variables, _ in told))
            words = list(chain.from_iterable(arguments for _, arguments in told))
            assert _found(_path(program), env=env, args=words) == ()


@pytest.mark.parametrize("service", call_home.table().services, ids=lambda one: one.name)
def test_service_is_refused_until_it_is_of_the_zone(service: Service) -> None:
    outside, inside = "https://elsewhere.example.com", "https://own.hospital.example"
    for mark in service.marks:
        assert {one.route for one in _found("worker", env=[{"name": mark, "value": "x"}])} == {service.route}
    for host in service.hosts:
        found = _found("worker", env=[{"name": host, "value": outside}])
        assert [(one.route, one.seen) for one in found] == [(service.route, "elsewhere.example.com")]
        marks = [{"name": mark, "value": "x"} for mark in service.marks]
        assert _found("worker", env=[*marks, {"name": host, "value": inside}]) == ()
    for name, values in service.ended_by.items():
        for value in values:
            ended = [{"name": service.marks[0], "value": "x"}, {"name": name, "value": value}]
            assert _found("worker", env=ended) == ()
