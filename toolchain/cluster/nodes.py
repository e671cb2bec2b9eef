"""The simulated GPU nodes: what the scheduler sees of them, and how there come to be as many as asked."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from toolchain.cluster.api import MERGE, Api, ApiError
from toolchain.cluster.errors import ClusterError

HERE = Path(__file__).parent
SIMULATED = "llm.kit/simulated"
ROOMS = 3
DRAIN_SECONDS = 30.0
CONNECTIONS = 4

#: besides its GPUs, a node is an AWS p5.48xlarge: https://aws.amazon.com/ec2/instance-types/p5/
MACHINE = {"cpu": "192", "memory": "2Ti", "ephemeral-storage": "28Ti", "pods": "110"}
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


@dataclass(frozen=True)
class Shape:
    """What each node has: the GPU product, one GPU's memory in MiB, how many; and over how many rooms, as
    failure domains, the nodes are spread."""

    product: str
    memory: int
    count: int
    rooms: int = ROOMS


def shape(product: str, count: int, rooms: int = ROOMS) -> Shape:
    """The shape of a node with `count` GPUs. Raises ClusterError for an unknown product."""
    known: dict[str, int] = yaml.safe_load((HERE / "gpus.yaml").read_bytes())
    if product not in known:
        raise ClusterError(
            f"No GPU product {product!r} is known to the local cluster. Choose one of {', '.join(known)}, "
            f"or add it to {HERE / 'gpus.yaml'}."
        )
    return Shape(product, known[product], count, rooms)


def name(index: int) -> str:
    return f"gpu-node-{index}"


def node(index: int, shape: Shape) -> dict[str, Any]:
    """One node as it is applied, its status included."""
    capacity = {**MACHINE, "nvidia.com/gpu": str(shape.count)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name(index),
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {
                SIMULATED: "true",
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": name(index),
                "kubernetes.io/os": "linux",
                "nvidia.com/gpu.count": str(shape.count),
                "nvidia.com/gpu.memory": str(shape.memory),
                "nvidia.com/gpu.product": shape.product,
                "topology.kubernetes.io/zone": f"zone-{index % shape.rooms + 1}",
            },
        },
        "status": {"capacity": capacity, "allocatable": capacity},
    }


def list_nodes(api: Api) -> list[dict[str, Any]]:
    """The simulated nodes that there are."""
    items: list[dict[str, Any]] = api.get(f"/api/v1/nodes?labelSelector={SIMULATED}%3Dtrue")["items"]
    return items


def is_ready(node: dict[str, Any]) -> bool:
    """Whether pods can be placed on it: Ready, and no longer tainted as not being so."""
    conditions = node.get("status", {}).get("conditions", [])
    taints = {taint["key"] for taint in node["spec"].get("taints", [])}
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions) and not any(
        key.startswith("node.kubernetes.io/") for key in taints
    )


def all_served(api: Api, count: int) -> bool:
    """Whether there are `count` nodes, all ready, and KWOK has renewed the lease of each lately."""
    present = list_nodes(api)
    fresh = {item["metadata"]["name"] for item in api.get(LEASES)["items"] if _is_fresh(item["spec"])}
    return len(present) == count and all(
        is_ready(item) and item["metadata"]["name"] in fresh for item in present
    )


def _is_fresh(lease: dict[str, Any]) -> bool:
    if not lease.get("renewTime"):
        return False
    age = datetime.now(UTC) - datetime.fromisoformat(lease["renewTime"])
    return age < timedelta(seconds=lease.get("leaseDurationSeconds", 0))


def reconcile(api: Api, count: int, shape: Shape) -> int:
    """Brings the nodes to `count` of this shape; gives how many were made, changed or removed."""
    present = {item["metadata"]["name"]: item for item in list_nodes(api)}
    wanted = {name(index): node(index, shape) for index in range(count)}
    changed = [item for key, item in wanted.items() if not _holds(present.get(key), item)]
    shares = [changed[start::CONNECTIONS] for start in range(min(CONNECTIONS, len(changed)))]
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(lambda share: _apply(api, share), shares))
    surplus = sorted(present.keys() - wanted.keys())
    _remove(api, surplus)
    return len(changed) + len(surplus)


def allow_kwok(api: Api) -> None:
    """Gives KWOK the rights that it needs."""
    for item in yaml.safe_load_all((HERE / "kwok-rbac.yaml").read_bytes()):
        plural = f"{item['kind'].lower()}s"
        api.apply(f"/apis/rbac.authorization.k8s.io/v1/{plural}/{item['metadata']['name']}", item)


def release(api: Api) -> None:
    """Drops the nodes' leases: a new KWOK then takes them over at once, not when the old leases run out."""
    for item in list_nodes(api):
        _ignoring_missing(api, "DELETE", f"{LEASES}/{item['metadata']['name']}")


def _apply(api: Api, items: list[dict[str, Any]]) -> None:
    with closing(api.another()) as own:
        for item in items:
            metadata = {"name": item["metadata"]["name"]}
            path = f"/api/v1/nodes/{metadata['name']}"
            if _holds(own.apply(path, item), item):  # a new node takes its status with it, an old one doesn't
                continue
            status = {key: item[key] for key in ("apiVersion", "kind", "status")}
            own.apply(f"{path}/status", status | {"metadata": metadata})


def _holds(present: dict[str, Any] | None, wanted: dict[str, Any]) -> bool:
    if present is None:
        return False
    metadata, status = present["metadata"], present.get("status", {})
    return (
        wanted["metadata"]["labels"].items() <= metadata.get("labels", {}).items()
        and wanted["metadata"]["annotations"].items() <= metadata.get("annotations", {}).items()
        and all(status.get(key) == value for key, value in wanted["status"].items())
    )


def _remove(api: Api, names: list[str]) -> None:
    """Drains the nodes, as an administrator would, then deletes them; their pods come up elsewhere."""
    for node_name in names:
        _ignoring_missing(
            api, "PATCH", f"/api/v1/nodes/{node_name}", {"spec": {"unschedulable": True}}, MERGE
        )
    for path in _pods_on(api, names):
        _ignoring_missing(api, "DELETE", path)
    deadline = time.monotonic() + DRAIN_SECONDS
    while next(_pods_on(api, names), None) and time.monotonic() < deadline:
        time.sleep(0.2)
    for node_name in names:
        _ignoring_missing(api, "DELETE", f"/api/v1/nodes/{node_name}")
        _ignoring_missing(api, "DELETE", f"{LEASES}/{node_name}")


def _pods_on(api: Api, names: list[str]) -> Iterator[str]:
    gone = set(names)
    if not gone:
        return
    for pod in api.get("/api/v1/pods")["items"]:
        if pod["spec"].get("nodeName") in gone:
            yield f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


def _ignoring_missing(api: Api, method: str, path: str, body: Any = None, content_type: str = "") -> None:
    try:
        api.request(method, path, body, content_type)
    except ApiError as error:
        if error.status != 404:
            raise
