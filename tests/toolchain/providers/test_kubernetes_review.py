"""The Kubernetes provider in a review: objects against the published API, and no cluster at all."""

import copy
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from facts.sentinels import digest
from facts.site import ROOT, Site
from stacks import ground
from tests.stacks.support import AnsweredKubeconfig, objects
from tests.stacks.test_golden import SITES
from tests.toolchain.providers.driving import Driver, Failed, driven, shown
from toolchain import build
from toolchain.providers.core.preview import Preview
from toolchain.providers.core.values import UNKNOWN
from toolchain.providers.kubernetes import apply, client, discovery
from toolchain.providers.kubernetes.published import Published
from toolchain.providers.kubernetes.review import Reviewer, chosen

#: where nobody answers, and nobody is asked
KUBECONFIG = "sentinel of a kubeconfig"
DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "vllm", "namespace": "llm-serving"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "vllm"}},
        "template": {
            "metadata": {"labels": {"app": "vllm"}},
            "spec": {
                "containers": [
                    {
                        "name": "vllm",
                        "image": "registry.example/vllm",
                        "imagePullPolicy": "Always",
                        "ports": [{"containerPort": 8443, "protocol": "TCP"}],
                        "resources": {"limits": {"memory": "80Gi", "nvidia.com/gpu": 4}},
                        "readinessProbe": {"tcpSocket": {"port": "https"}},
                    }
                ]
            },
        },
    },
}
CONTAINER = "spec.template.spec.containers[0]"


@pytest.fixture(scope="module")
def api() -> Published:
    return Published(build.ensure(("kubernetes-api",))["kubernetes-api"])


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever speaks to a cluster fails."""

    def spoken(*args: object, **more: object) -> None:
        raise AssertionError("a cluster was spoken to")

    for module, name in ((client, "Client"), (discovery, "Discovery"), (apply, "Applier")):
        monkeypatch.setattr(getattr(module, name), "__init__", spoken)


@pytest.fixture
def driver(api: Published, alone: None) -> Iterator[Driver]:
    with driven(KUBECONFIG, lambda log: Reviewer(log, api, Preview.SYMBOLIC)) as made:
        yield made


def changed(path: str, value: Any) -> dict[str, Any]:
    """The Deployment with one value put at a path, or taken away from it (None)."""
    item = copy.deepcopy(DEPLOYMENT)
    steps = path.replace("[", ".").replace("]", "").split(".")
    place: Any = item
    for step in steps[:-1]:
        place = place[int(step)] if step.isdigit() else place[step]
    if value is None:
        del place[steps[-1]]
    else:
        place[steps[-1]] = value
    return item


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (
            f"{CONTAINER}.livenesProbe",
            {},
            f"{CONTAINER}.livenesProbe is no property there; nearest: liveness",
        ),
        ("spec.selector", None, "spec.selector is missing: it must be an object"),
        ("spec.replicas", "2", "spec.replicas is a string, where an integer belongs"),
        ("spec.replicas", 1.5, "spec.replicas is a number, where an integer belongs"),
        (f"{CONTAINER}.imagePullPolicy", "always", f"{CONTAINER}.imagePullPolicy has a value that isn't"),
        (f"{CONTAINER}.ports[0].protocol", "QUIC", f"{CONTAINER}.ports[0].protocol has a value that isn't"),
        (f"{CONTAINER}.ports", {}, f"{CONTAINER}.ports is an object, where an array belongs"),
        (
            f"{CONTAINER}.readinessProbe.tcpSocket.port",
            True,
            f"{CONTAINER}.readinessProbe.tcpSocket.port is a",
        ),
        (f"{CONTAINER}.resources.limits.memory", [], f"{CONTAINER}.resources.limits.memory is an array"),
        ("metadata.labels", {"app": 1}, "metadata.labels.app is a number, where a string belongs"),
        ("kind", "Deploiment", "kind is none that Kubernetes v1.36.3 has in apps/v1"),
        (
            "apiVersion",
            "apps/v1beta1",
            "apiVersion has no Deployment in Kubernetes v1.36.3; allowed: apps/v1",
        ),
        ("Spec", {}, "Spec is no property there; nearest: spec;"),
    ],
)
def test_a_mistake_is_told_with_its_place(driver: Driver, path: str, value: Any, reason: str) -> None:
    _, problems = driver.check("apps/v1:Deployment", "vllm", changed(path, value))
    assert len(problems) == 1
    assert problems[0].startswith(reason)


def test_values_of_lists_are_checked_against_their_enum(driver: Driver) -> None:
    policy = {"spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egres"]}, "metadata": {"name": "deny"}}
    _, problems = driver.check("networking.k8s.io/v1:NetworkPolicy", "deny", policy)
    assert problems == [
        "spec.policyTypes[1] has a value that isn't allowed there; nearest: Egress; allowed: Egress, Ingress"
    ]


def test_a_value_that_is_wrong_is_not_shown(driver: Driver) -> None:
    secret = {"metadata": {"name": "token"}, "data": {"token": 12345678}, "types": "hunter2"}
    _, problems = driver.check("core/v1:Secret", "token", secret)
    assert len(problems) == 2
    assert not any("12345678" in one or "hunter2" in one for one in problems)


def test_what_is_unknown_passes_and_namespaces_are_filled_in(driver: Driver) -> None:
    found = driver.checked("core/v1:ConfigMap", "settings", {"metadata": {}, "data": {"url": UNKNOWN}})
    assert found["metadata"]["namespace"] == "default"
    cluster_wide = driver.checked("core/v1:Namespace", "llm", {"metadata": {"name": "llm"}})
    assert "namespace" not in cluster_wide["metadata"]


def test_what_controllers_bring_is_let_through_and_told_once(driver: Driver) -> None:
    for name in ("one", "two"):
        issuer = {"apiVersion": "cert-manager.io/v1", "kind": "ClusterIssuer", "metadata": {"name": name}}
        found = driver.checked("cert-manager.io/v1:ClusterIssuer", name, issuer | {"spec": {"x": 1}})
        assert "namespace" not in found["metadata"]
    assert driver.engine.text.count("ClusterIssuer are not checked in a review") == 1


def test_what_a_planned_definition_brings_is_let_through(driver: Driver) -> None:
    spec = {
        "group": "stable.example.com",
        "names": {"kind": "CronTab", "plural": "crontabs"},
        "scope": "Namespaced",
        "versions": [{"name": "v1", "served": True, "storage": True}],
    }
    tab = {"apiVersion": "stable.example.com/v1", "kind": "CronTab", "metadata": {"name": "tab"}}
    _, problems = driver.check("stable.example.com/v1:CronTab", "tab", tab)
    assert len(problems) == 1
    driver.checked(
        "apiextensions.k8s.io/v1:CustomResourceDefinition", "c", {"metadata": {"name": "c"}, "spec": spec}
    )
    driver.checked("stable.example.com/v1:CronTab", "tab", tab)


def test_a_preview_marks_what_only_a_cluster_would_tell(driver: Driver) -> None:
    urn = driver.urn("apps/v1:Deployment", "vllm")
    made = driver.previewed("apps/v1:Deployment", "vllm", DEPLOYMENT)
    state = shown(made.state)
    assert made.id == "llm-serving/vllm"
    assert state["metadata"]["uid"] == state["metadata"]["resourceVersion"] == digest(urn)
    assert state["spec"] == DEPLOYMENT["spec"]
    assert state["__inputs"]["spec"] == DEPLOYMENT["spec"]


def test_an_ordinary_preview_leaves_it_unknown(api: Published, alone: None) -> None:
    with driven(KUBECONFIG, lambda log: Reviewer(log, api, Preview.ORDINARY)) as driver:
        state = shown(driver.preview("apps/v1:Deployment", "vllm", DEPLOYMENT))
    assert "uid" not in state["metadata"]


def test_a_diff_goes_by_the_inputs_of_the_state(driver: Driver) -> None:
    made = driver.previewed("apps/v1:Deployment", "vllm", DEPLOYMENT)
    assert not driver.diff(made, DEPLOYMENT).changed
    made.state["metadata"]["uid"] = "f3f9e2b4-0000-4000-8000-000000000001"
    found = driver.diff(made, changed("spec.replicas", 3))
    assert (found.kinds, found.replaces) == ({"spec.replicas": "UPDATE"}, False)
    assert driver.diff(made, changed("spec.selector.matchLabels", {"app": "other"})).replaces
    updated = driver.update(made, changed("spec.replicas", 3), preview=True)
    assert shown(updated.state)["spec"]["replicas"] == 3
    assert shown(updated.state)["metadata"]["uid"] == "f3f9e2b4-0000-4000-8000-000000000001"


def test_outside_a_preview_everything_is_refused(driver: Driver) -> None:
    made = driver.previewed("apps/v1:Deployment", "vllm", DEPLOYMENT)
    calls: list[Callable[[], object]] = [
        lambda: driver.create("apps/v1:Deployment", "vllm", DEPLOYMENT),
        lambda: driver.update(made, changed("spec.replicas", 3)),
        lambda: driver.delete(made),
        lambda: driver.read(made),
        lambda: driver.import_("apps/v1:Deployment", "vllm", "llm-serving/vllm"),
    ]
    for call in calls:
        with pytest.raises(Failed, match="in a review, which contacts no cluster"):
            call()


def test_settings_that_name_no_cluster_are_refused_in_a_review_too(api: Published) -> None:
    with (
        driven(None, lambda log: Reviewer(log, api, Preview.SYMBOLIC)) as driver,
        pytest.raises(Failed, match="none is taken from the surroundings"),
    ):
        driver.configure(context="x")


@pytest.mark.parametrize("stack", SITES)
def test_every_object_of_the_stacks_is_as_the_release_has_it(
    driver: Driver, stack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ground, "Kubeconfig", AnsweredKubeconfig)
    asked = [one for one in objects(Site(SITES[stack]), stack) if one.type.startswith("kubernetes:")]
    found = {
        one.name: problems
        for one in asked
        if (problems := driver.check(one.type.removeprefix("kubernetes:"), one.name, one.inputs)[1])
    }
    assert len(asked) > 50
    assert found == {}


def test_a_preview_that_nobody_knows_and_a_plugin_of_no_review_say_so() -> None:
    with pytest.raises(SystemExit, match="is symbolic or ordinary, not 'symbol'"):
        chosen([], "symbol")
    done = subprocess.run(
        [sys.executable, "-m", "toolchain.providers.kubernetes", "127.0.0.1:1"],
        cwd=ROOT,
        env={**os.environ, "SOVEREIGN_PREVIEW": "symbolic"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "this plugin is not one of a review" in done.stderr


def test_the_published_api_is_that_of_the_control_plane(api: Published) -> None:
    assert api.release == build.programs.KUBERNETES
    assert Path(build.ensure(("kubernetes-api",))["kubernetes-api"]).stat().st_size < 1_000_000
