"""Engines on simulated nodes while something happens to them: a drain, a dead node, a change of the model.

The nodes run nothing, so a pod is ready at once; what is tried is what the objects tell the controllers,
the scheduler and the eviction API, which are the real ones.
"""

import copy
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from facts.site import ROOT, Site
from stacks import ground, settings
from stacks.settings import Namespaces
from tests.stacks.support import AnsweredKubeconfig, objects
from tests.support.cluster import LiveCluster

pytestmark = pytest.mark.cluster

OURS = Namespaces(gateway="rollout-gateway", serving="rollout-serving", audit="rollout-audit")
ENGINE = "vllm-llama-3-3-70b"
REPLICAS = 4
PODS = f"/api/v1/namespaces/{OURS.serving}/pods?labelSelector=llm.kit%2Fmodel%3Dllama-3.3-70b"


def rendered(spare: int) -> list[dict[str, Any]]:
    site = Site(ROOT / "stacks")
    chosen = settings.load(site.stack_file("local"))
    model = chosen.models[0].model_copy(update={"replicas": REPLICAS, "spare": spare})
    chosen = chosen.model_copy(update={"namespaces": OURS, "models": (model,)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ground, "Kubeconfig", AnsweredKubeconfig)
        made = [one for one in objects(site, "local", chosen) if one.type.startswith("kubernetes:")]
    return [one.inputs for one in made]


def apply(cluster: LiveCluster, items: list[dict[str, Any]]) -> None:
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=listed)


@pytest.fixture
def stand(cluster: LiveCluster) -> Iterator[LiveCluster]:
    """The local stack's objects with four engines, ready; their namespaces go at the end."""
    items = rendered(spare=0)
    first = [one for one in items if one["kind"] in ("Namespace", "PriorityClass", "StorageClass")]
    apply(cluster, first)
    apply(cluster, [one for one in items if one not in first])
    cluster.kubectl("rollout", "status", f"deployment/{ENGINE}", "-n", OURS.serving, "--timeout=60s")
    yield cluster
    namespaces = (OURS.gateway, OURS.serving, OURS.audit)
    cluster.kubectl("delete", "namespace", *namespaces, "--wait=false")
    for namespace in namespaces:  # their time to drain is no matter here
        cluster.kubectl("delete", "pods", "--all", "-n", namespace, "--force", "--grace-period=0")
    cluster.kubectl("wait", "--for=delete", *(f"namespace/{name}" for name in namespaces), "--timeout=120s")
    others = [one for one in items if not one["metadata"].get("namespace") and one["kind"] != "Namespace"]
    names = [f"{one['kind'].lower()}/{one['metadata']['name']}" for one in others]
    cluster.kubectl("delete", *names, "--ignore-not-found", "--wait=false")


def ready(cluster: LiveCluster) -> int:
    """Engines that are ready and not on their way out."""
    return sum(
        not pod["metadata"].get("deletionTimestamp")
        and any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ()))
        for pod in cluster.request("GET", PODS)["items"]
    )


@contextmanager
def watched(cluster: LiveCluster) -> Iterator[list[int]]:
    """How many engines were ready, over and over, while the body ran."""
    seen, end = [ready(cluster)], threading.Event()

    def look() -> None:
        while not end.is_set():
            seen.append(ready(cluster))
            time.sleep(0.02)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        end.set()
        thread.join()


def until_ready(cluster: LiveCluster, count: int, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while ready(cluster) < count:
        assert time.monotonic() < end, f"{ready(cluster)} of {count} engines are ready after {seconds} s"
        time.sleep(0.1)


def changed(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same with another release of the model: its weights and its arguments move as one."""
    (deployment,) = (
        copy.deepcopy(one)
        for one in items
        if one["kind"] == "Deployment" and one["metadata"]["name"] == ENGINE
    )
    template = deployment["spec"]["template"]
    template["metadata"]["annotations"]["llm.kit/weights-digest"] = f"sha256:{'2' * 64}"
    check = template["spec"]["initContainers"][0]
    check["args"] = [
        f"--digest={'2' * 64}" if argument.startswith("--digest") else argument for argument in check["args"]
    ]
    return [deployment]


def test_engines_are_spread_over_rooms_and_have_their_gpus(stand: LiveCluster) -> None:
    pods = stand.request("GET", PODS)["items"]
    rooms = {
        node["metadata"]["name"]: node["metadata"]["labels"]["topology.kubernetes.io/zone"]
        for node in stand.request("GET", "/api/v1/nodes")["items"]
    }
    used = [rooms[pod["spec"]["nodeName"]] for pod in pods]
    assert max(used.count(room) for room in set(used)) - min(used.count(room) for room in set(used)) <= 1
    assert all(pod["spec"]["priorityClassName"] == f"{OURS.serving}-{ENGINE}" for pod in pods)


def test_a_change_without_spare_gpus_takes_one_engine_at_a_time(stand: LiveCluster) -> None:
    with watched(stand) as seen:
        apply(stand, changed(rendered(spare=0)))
        stand.kubectl("rollout", "status", f"deployment/{ENGINE}", "-n", OURS.serving, "--timeout=120s")
    until_ready(stand, REPLICAS)
    assert min(seen) >= REPLICAS - 1, seen


def test_a_change_over_spare_gpus_misses_no_engine(stand: LiveCluster) -> None:
    apply(stand, [one for one in rendered(spare=1) if one["kind"] in ("Deployment", "ResourceQuota")])
    with watched(stand) as seen:
        apply(stand, changed(rendered(spare=1)))
        stand.kubectl("rollout", "status", f"deployment/{ENGINE}", "-n", OURS.serving, "--timeout=120s")
    until_ready(stand, REPLICAS)
    assert min(seen) >= REPLICAS, seen


def test_a_drain_takes_no_more_than_the_budget_allows(stand: LiveCluster) -> None:
    pods = stand.request("GET", PODS)["items"]
    node = pods[0]["spec"]["nodeName"]
    try:
        with watched(stand) as seen:
            stand.kubectl(
                *("drain", node, "--delete-emptydir-data", "--ignore-daemonsets", "--force"),
                *("--timeout=120s", "--pod-selector=llm.kit/model=llama-3.3-70b"),
                timeout=150,
            )
        until_ready(stand, REPLICAS)
        assert min(seen) >= REPLICAS - 1, seen
        assert all(pod["spec"]["nodeName"] != node for pod in stand.request("GET", PODS)["items"])
    finally:
        stand.kubectl("uncordon", node)


def test_a_dead_nodes_engines_come_back_elsewhere(stand: LiveCluster) -> None:
    pods = stand.request("GET", PODS)["items"]
    node = pods[0]["spec"]["nodeName"]
    lost = sum(pod["spec"]["nodeName"] == node for pod in pods)
    kept = stand.request("GET", f"/api/v1/nodes/{node}")
    stand.kubectl("cordon", node)
    try:
        with watched(stand) as seen:
            # what a node controller finds of a machine that is gone for good
            stand.kubectl("delete", "node", node)
            until_ready(stand, REPLICAS - lost)
            deadline = time.monotonic() + 120
            while any(p["spec"].get("nodeName") == node for p in stand.request("GET", PODS)["items"]):
                assert time.monotonic() < deadline, "the dead node's pods are still there"
                time.sleep(0.2)
            until_ready(stand, REPLICAS)
        assert min(seen) >= REPLICAS - lost, seen
    finally:
        for field in ("resourceVersion", "uid", "creationTimestamp"):
            kept["metadata"].pop(field, None)
        stand.request("POST", "/api/v1/nodes", kept)
        # by a patch: the node's controller writes to it as soon as it is there
        stand.request(
            "PATCH",
            f"/api/v1/nodes/{node}/status",
            {"status": kept["status"]},
            "application/merge-patch+json",
        )


def test_more_engines_than_are_meant_are_refused(stand: LiveCluster) -> None:
    stand.kubectl("scale", f"deployment/{ENGINE}", "-n", OURS.serving, "--replicas=8")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        said = stand.kubectl("get", "events", "-n", OURS.serving, "-o", "json")
        if "exceeded quota" in said:
            break
        time.sleep(0.5)
    else:
        pytest.fail("no event tells that the quota was exceeded")
    assert len(stand.request("GET", PODS)["items"]) == REPLICAS + REPLICAS // 2
