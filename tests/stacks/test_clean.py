"""The shipped stacks, judged by all rules: nothing to say. And each promise that a rule guards, broken on
purpose.
"""

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from facts import zones
from facts.site import ROOT, Site
from policies import closed_world, rules
from policies.judge import judge
from policies.model import Judgement, Plan, Resource, StackFacts
from stacks import custody, ground, settings
from tests.stacks.support import AnsweredKubeconfig, objects
from tests.support.render import Asked

SITES = {
    "local": ROOT / "stacks",
    "onprem-paris": ROOT / "stacks",
    "hospital": ROOT / "tests" / "sites" / "example-hospital",
}


@pytest.fixture(scope="module", params=list(SITES))
def stack(request: pytest.FixtureRequest) -> Iterator[tuple[Site, str, list[Asked]]]:
    site = Site(SITES[request.param])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ground, "Kubeconfig", AnsweredKubeconfig)
        yield site, request.param, objects(site, request.param)


def verdict(site: Site, stack: str, asked: list[Asked]) -> Judgement:
    chosen = settings.load(site.stack_file(stack))
    folder = None if site.is_default else site.folder
    plan = Plan.of(
        [
            Resource(f"urn:pulumi:{stack}::sovereign::{one.type}::{one.name}", one.type, one.name, one.inputs)
            for one in asked
        ],
        StackFacts(stack, custody.backend(chosen, site), chosen.state.secrets_provider),
        allowed_types=closed_world.allowed(folder),
    )
    return judge(plan, zones.load(site.zone_file(chosen.zone)), rules.load(folder))


def test_the_shipped_stack_has_no_finding(stack: tuple[Site, str, list[Asked]]) -> None:
    found = verdict(*stack)
    assert [f"{f.rule} {f.urn} {f.path}: {f.seen}: {f.why}" for f in found.findings] == []
    assert found.not_visible == ()


def changed(asked: list[Asked], kind: str, name: str, path: tuple[str | int, ...], value: Any) -> list[Asked]:
    result = []
    for one in asked:
        if one.kind == kind and one.inputs.get("metadata", {}).get("name") == name:
            inputs = copy.deepcopy(one.inputs)
            place: Any = inputs
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = value
            one = replace(one, inputs=inputs)
        result.append(one)
    assert result != asked, "the change has to change something"
    return result


_POD = ("spec", "template", "spec")
_CONTAINER = (*_POD, "containers", 0)


@pytest.mark.parametrize(
    ("route", "kind", "name", "path", "value"),
    [
        ("K04", "NetworkPolicy", "vllm-server", ("spec", "egress"), [{}]),
        ("K05", "NetworkPolicy", "vllm-server", ("spec", "policyTypes"), ["Ingress"]),
        (
            "K16",
            "Deployment",
            "vllm-llama-3-3-70b",
            (*_CONTAINER, "image"),
            "docker.io/vllm/vllm-openai:latest",
        ),
        (
            "K20",
            "Deployment",
            "vllm-llama-3-3-70b",
            (*_CONTAINER, "args", 0),
            "meta-llama/Llama-3.3-70B-Instruct",
        ),
        ("K21", "Deployment", "vllm-llama-3-3-70b", (*_CONTAINER, "env"), []),
        ("K09", "Deployment", "llm-gateway", (*_POD, "hostNetwork"), True),
        ("K17", "Deployment", "llm-gateway", (*_POD, "dnsPolicy"), "Default"),
        ("K49", "Deployment", "llm-gateway", (*_CONTAINER, "args", 3), "--upstream=https://api.openai.com"),
        ("K12", "Service", "llm-gateway", ("spec", "type"), "LoadBalancer"),
    ],
)
def test_a_broken_promise_is_refused(
    stack: tuple[Site, str, list[Asked]],
    route: str,
    kind: str,
    name: str,
    path: tuple[str | int, ...],
    value: Any,
) -> None:
    site, named, asked = stack
    found = verdict(site, named, changed(asked, kind, name, path, value))
    assert route in {finding.route for finding in found.findings}


def test_a_sites_own_rule_speaks() -> None:
    site = Site(SITES["hospital"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ground, "Kubeconfig", AnsweredKubeconfig)
        asked = objects(site, "hospital")
    (index,) = (
        index
        for one in asked
        if one.name == "ki-modell/vllm-llama-3-3-70b" and one.kind == "Deployment"
        for index, text in enumerate(one.inputs["spec"]["template"]["spec"]["containers"][0]["args"])
        if text.startswith("--served-model-name=")
    )
    other = changed(
        asked,
        "Deployment",
        "vllm-llama-3-3-70b",
        (*_CONTAINER, "args", index),
        "--served-model-name=unvetted",
    )
    assert [finding.rule for finding in verdict(site, "hospital", other).findings] == [
        "hospital.approved-model"
    ]


@pytest.mark.parametrize(("least", "refused"), [(1, False), (0, True), (None, True)])
def test_a_sites_own_type_is_judged_by_its_own_rule(least: int | None, refused: bool) -> None:
    site = Site(SITES["hospital"])
    spec = {"scaleTargetRef": {"name": "vllm-server"}} | ({} if least is None else {"minReplicaCount": least})
    scaled = Resource(
        "urn:scaled",
        "kubernetes:keda.sh/v1alpha1:ScaledObject",
        "vllm",
        {"metadata": {"name": "vllm", "namespace": "ki-modell"}, "spec": spec},
    )
    plan = Plan.of([scaled], whole=False, source="manifests", allowed_types=closed_world.allowed(site.folder))
    zone = zones.load(site.zone_file("hospital"))
    found = judge(plan, zone, rules.load(site.folder)).findings
    assert [finding.rule for finding in found] == (["hospital.never-to-zero"] if refused else [])
    elsewhere = judge(replace(plan, allowed_types=closed_world.allowed()), zone, rules.load()).findings
    assert [finding.route for finding in elsewhere] == ["P09"]
