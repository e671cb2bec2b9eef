"""The local cluster as it runs: what is real about it, and that every fault is repaired by the next `up`.

It has a cluster of its own, in a folder whose name has a space and a comma, because it kills processes.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.cluster import GPU, GPUS_PER_NODE, ROOT, LiveCluster, live, programs
from toolchain.cluster import Cluster, ClusterError, Status, pki
from toolchain.cluster.api import ApiError
from toolchain.cluster.control_plane import NAMES, SERVICE_ADDRESS
from toolchain.cluster.processes import Identity, Process, strays

pytestmark = pytest.mark.cluster
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


def up(
    cluster: Cluster, nodes: int = 4, report: Callable[[str], None] = lambda _: None, **changes: Any
) -> Status:
    arguments: dict[str, Any] = {"nodes": nodes, "gpu": GPU, "gpus_per_node": GPUS_PER_NODE, **programs()}
    return cluster.up(report=report, **(arguments | changes))


def identities(cluster: Cluster) -> dict[str, Identity | None]:
    return {name: Process(cluster.directory, name).identity() for name in NAMES}


def kill(cluster: Cluster, *names: str) -> None:
    for name in names:
        identity = Process(cluster.directory, name).identity()
        assert identity
        os.kill(identity.pid, signal.SIGKILL)
        while identity.alive():
            time.sleep(0.01)


def dependents(name: str) -> tuple[str, ...]:
    return NAMES[NAMES.index(name) + 1 :] if name in ("etcd", "kube-apiserver") else ()


def deployment(name: str, replicas: int, gpus: int) -> dict[str, Any]:
    labels = {"app": name}
    container = {
        "name": "main",
        "image": f"registry.internal/{name}@sha256:{'0' * 64}",
        "resources": {"limits": {"nvidia.com/gpu": str(gpus)}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


@contextlib.contextmanager
def deployed(on: LiveCluster, name: str, replicas: int, gpus: int) -> Iterator[str]:
    path = "/apis/apps/v1/namespaces/default/deployments"
    on.request("POST", path, deployment(name, replicas, gpus))
    try:
        yield f"{path}/{name}"
    finally:
        on.request("DELETE", f"{path}/{name}?propagationPolicy=Foreground")
        eventually(lambda: not pods(on, name))


def pods(on: LiveCluster, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = on.request(
        "GET", f"/api/v1/namespaces/default/pods?labelSelector=app%3D{name}"
    )["items"]
    return found


def ready_replicas(on: LiveCluster, path: str) -> int:
    return int(on.request("GET", path)["status"].get("readyReplicas", 0))


def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"still not so after {seconds} s"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("local") / "a b,c" / "cluster")
    yield cluster
    cluster.down(delete=True)
    assert strays(cluster.directory) == {}
    assert not cluster.directory.exists()


@pytest.fixture
def running(own: Cluster) -> LiveCluster:
    """The cluster, up again with four nodes whatever the test before did to it."""
    return live(own, up(own))


@pytest.fixture
def namespace(running: LiveCluster, request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"test-{time.monotonic_ns()}"
    body = {"metadata": {"name": name, "labels": RESTRICTED}}
    running.request("POST", "/api/v1/namespaces", body)
    yield name
    with contextlib.suppress(ApiError):
        running.request("DELETE", f"/api/v1/namespaces/{name}")


def test_it_comes_up_with_its_nodes(running: LiveCluster) -> None:
    status = running.cluster.status()
    assert status.running
    assert (status.nodes, status.nodes_ready) == (4, 4)
    assert set(status.components.values()) == {"running"}
    assert running.kubectl("config", "current-context").strip() == "sovereign-local"
    assert running.kubectl("get", "nodes", "-o", "name").split() == [f"node/gpu-node-{i}" for i in range(4)]
    assert running.kubectl("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}") == running.uid


def test_a_service_gets_the_address_that_it_asks_for(cluster: LiveCluster) -> None:
    def service(name: str, **spec: Any) -> dict[str, Any]:
        ports = [{"port": 443}]
        meta = {"name": name, "namespace": "default"}
        return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": ports, **spec}}

    asking = service("asks", type="LoadBalancer", loadBalancerIP="10.12.0.10")
    made = [asking, service("asks-not", type="LoadBalancer"), service("inside")]
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": made})
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=given)
    try:
        address = "jsonpath={.status.loadBalancer.ingress[0].ip}=10.12.0.10"
        cluster.kubectl("wait", "service/asks", f"--for={address}", "--timeout=30s")
        for name in ("asks-not", "inside"):
            status = cluster.request("GET", f"/api/v1/namespaces/default/services/{name}")["status"]
            assert not status.get("loadBalancer")
    finally:
        cluster.kubectl("delete", "service", "asks", "asks-not", "inside")


def test_a_second_up_changes_nothing_and_is_quick(running: LiveCluster) -> None:
    before = identities(running.cluster)
    said: list[str] = []
    start = time.monotonic()
    status = up(running.cluster, report=said.append)
    assert time.monotonic() - start < 2
    assert status == running.cluster.status()
    assert identities(running.cluster) == before
    assert said == []


def test_nobody_gets_in_without_a_certificate(running: LiveCluster) -> None:
    record = json.loads((running.cluster.directory / "cluster.json").read_bytes())
    for name, authority in (("kube-apiserver", "ca"), ("etcd", "etcd-ca")):
        context = ssl.create_default_context(
            cafile=str(running.cluster.directory / "pki" / f"{authority}.crt")
        )
        address = ("127.0.0.1", record["ports"][name])
        refused = False
        try:
            with (
                socket.create_connection(address, timeout=5) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as secured,
            ):
                secured.sendall(b"GET /api/v1/nodes HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                refused = b" 401 " in secured.recv(4096)
        except (ssl.SSLError, ConnectionError):  # refused in the handshake
            refused = True
        assert refused, name


def test_a_service_account_may_do_nothing_by_default(running: LiveCluster, namespace: str) -> None:
    account = f"system:serviceaccount:{namespace}:default"
    review = {"spec": {"user": account, "resourceAttributes": {"verb": "list", "resource": "secrets"}}}
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    assert not running.request("POST", path, review)["status"]["allowed"]


def test_pod_security_refuses_at_admission(running: LiveCluster, namespace: str) -> None:
    pod = {
        "metadata": {"name": "root"},
        "spec": {"containers": [{"name": "main", "image": "registry.internal/x"}]},
    }
    with pytest.raises(ApiError, match="violates PodSecurity") as caught:
        running.request("POST", f"/api/v1/namespaces/{namespace}/pods", pod)
    assert caught.value.status == 403


def test_a_validating_admission_policy_refuses(running: LiveCluster, namespace: str) -> None:
    group = "/apis/admissionregistration.k8s.io/v1"
    policy = {
        "metadata": {"name": namespace},
        "spec": {
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "resourceRules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE"],
                        "resources": ["services"],
                    }
                ],
            },
            "validations": [{"expression": "object.spec.type != 'LoadBalancer'", "message": "no way out"}],
        },
    }
    binding = {
        "metadata": {"name": namespace},
        "spec": {"policyName": namespace, "validationActions": ["Deny"]},
    }
    service = {"metadata": {"generateName": "x"}, "spec": {"type": "LoadBalancer", "ports": [{"port": 1}]}}
    running.request("POST", f"{group}/validatingadmissionpolicies", policy)
    running.request("POST", f"{group}/validatingadmissionpolicybindings", binding)
    try:

        def refused() -> bool:
            try:
                running.request("POST", f"/api/v1/namespaces/{namespace}/services", service)
            except ApiError as error:
                return "no way out" in str(error)
            return False

        eventually(refused)
    finally:
        running.request("DELETE", f"{group}/validatingadmissionpolicybindings/{namespace}")
        running.request("DELETE", f"{group}/validatingadmissionpolicies/{namespace}")


def test_secrets_are_not_in_clear_on_disk_nor_in_the_audit_log(running: LiveCluster, namespace: str) -> None:
    base = f"/api/v1/namespaces/{namespace}"
    running.request("POST", f"{base}/secrets", {"metadata": {"name": "s"}, "stringData": {"k": "quiet-word"}})
    running.request("POST", f"{base}/configmaps", {"metadata": {"name": "c"}, "data": {"k": "loud-word"}})
    stored = b"".join(
        path.read_bytes() for path in (running.cluster.directory / "data").rglob("*") if path.is_file()
    )
    assert b"loud-word" in stored  # or this test would look at the wrong files
    assert b"quiet-word" not in stored
    audit = (running.cluster.directory / "logs" / "audit.log").read_text()
    assert any(
        event["verb"] == "create"
        and event["objectRef"]["resource"] == "secrets"
        and event["objectRef"]["namespace"] == namespace
        and event["user"]["username"] == "sovereign-admin"
        for event in map(json.loads, audit.splitlines())
        if event.get("objectRef")
    )
    assert "quiet-word" not in audit


def test_gpus_are_counted_by_the_scheduler(running: LiveCluster) -> None:
    with deployed(running, "twenty", replicas=20, gpus=1) as path:
        eventually(lambda: ready_replicas(running, path) == 20)
    with deployed(running, "too-many", replicas=5, gpus=8) as path:
        eventually(lambda: ready_replicas(running, path) == 4)
        (waiting,) = [pod for pod in pods(running, "too-many") if pod["status"]["phase"] == "Pending"]
        assert "nodeName" not in waiting["spec"]


def test_nodes_follow_what_is_asked_and_pods_move(running: LiveCluster) -> None:
    with deployed(running, "movers", replicas=4, gpus=6) as path:
        eventually(lambda: ready_replicas(running, path) == 4)
        assert up(running.cluster, nodes=8).nodes_ready == 8
        assert up(running.cluster, nodes=2, gpus_per_node=16).nodes_ready == 2
        eventually(lambda: ready_replicas(running, path) == 4)
        eventually(
            lambda: (
                {pod["spec"].get("nodeName") for pod in pods(running, "movers")}
                == {"gpu-node-0", "gpu-node-1"}
            )
        )
    assert up(running.cluster, nodes=0).nodes == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_component_is_started_again_with_what_depends_on_it(running: LiveCluster, name: str) -> None:
    before = identities(running.cluster)
    kill(running.cluster, name)
    assert not running.cluster.status().running
    status = up(running.cluster)
    assert (status.running, status.uid) == (True, running.uid)
    after = identities(running.cluster)
    assert {item for item in NAMES if before[item] != after[item]} == {name, *dependents(name)}
    with deployed(running, f"after-{name}", replicas=2, gpus=1) as path:
        eventually(lambda: ready_replicas(running, path) == 2)


def test_all_killed_with_stale_pid_files_comes_up_with_its_data(running: LiveCluster, namespace: str) -> None:
    kill(running.cluster, *NAMES)
    assert not running.cluster.status().running
    status = up(running.cluster)
    assert (status.running, status.uid) == (True, running.uid)
    assert running.request("GET", f"/api/v1/namespaces/{namespace}")["metadata"]["name"] == namespace


def test_down_is_quick_even_where_etcd_was_killed(running: LiveCluster) -> None:
    kill(running.cluster, "etcd")
    start = time.monotonic()
    running.cluster.down()
    assert time.monotonic() - start < 10
    assert strays(running.cluster.directory) == {}


def test_all_killed_goes_down_cleanly(running: LiveCluster) -> None:
    kill(running.cluster, *NAMES)
    running.cluster.down()
    assert not list((running.cluster.directory / "pids").iterdir())
    assert up(running.cluster).uid == running.uid


def test_a_server_that_hangs_does_not_hang_status(running: LiveCluster) -> None:
    identity = identities(running.cluster)["kube-apiserver"]
    assert identity
    os.kill(identity.pid, signal.SIGSTOP)
    try:
        start = time.monotonic()
        assert not running.cluster.status().running
        assert time.monotonic() - start < 4
    finally:
        os.kill(identity.pid, signal.SIGCONT)
    eventually(lambda: running.cluster.status().running)


def test_lost_pid_files_leave_no_second_copy(running: LiveCluster) -> None:
    before = identities(running.cluster)
    shutil.rmtree(running.cluster.directory / "pids")
    said: list[str] = []
    assert up(running.cluster, report=said.append).running
    assert any("left over" in line for line in said)
    assert not any(identity and identity.alive() for identity in before.values())
    assert strays(running.cluster.directory, filter(None, identities(running.cluster).values())) == {}


def test_a_port_that_was_taken_meanwhile_is_left_to_its_new_owner(running: LiveCluster) -> None:
    running.cluster.down()
    record = json.loads((running.cluster.directory / "cluster.json").read_bytes())
    taken = record["ports"]["kube-apiserver"]
    said: list[str] = []
    with socket.create_server(("127.0.0.1", taken)):
        status = up(running.cluster, report=said.append)
        assert status.running
        assert status.server != running.server
        assert any(f"port {taken} of kube-apiserver is taken" in line for line in said)
        kubeconfig = yaml.safe_load((running.cluster.directory / "kubeconfig").read_bytes())
        assert kubeconfig["clusters"][0]["cluster"]["server"] == status.server
        assert "gpu-node-0" in running.kubectl("get", "nodes")


@pytest.mark.parametrize("port", ["etcd", "etcd-peer"])
def test_etcd_keeps_its_data_when_it_moves(running: LiveCluster, port: str) -> None:
    running.cluster.down()
    record = json.loads((running.cluster.directory / "cluster.json").read_bytes())
    with socket.create_server(("127.0.0.1", record["ports"][port])):
        assert up(running.cluster).uid == running.uid


def test_certificates_near_their_end_are_renewed(running: LiveCluster) -> None:
    folder = running.cluster.directory / "pki"
    names = {leaf.name for leaf in pki.leaves(SERVICE_ADDRESS)}
    for name in names:
        (folder / f"{name}.crt").unlink()
    long_ago = datetime.now(UTC) - timedelta(days=340)
    old = (folder / "ca.crt").read_bytes()
    # authorities of that time, too: certificates don't come from an authority that is younger
    assert set(pki.ensure(folder, SERVICE_ADDRESS, now=long_ago)) >= names
    assert old != (folder / "ca.crt").read_bytes()
    said: list[str] = []
    assert up(running.cluster, report=said.append).uid == running.uid
    assert any(line.startswith(f"issued {len(names)} keys") for line in said)
    assert "gpu-node-0" in running.kubectl("get", "nodes")


@pytest.mark.parametrize("name", ["etcd", "kube-controller-manager", "kwok"])
def test_a_component_that_cannot_start_is_named_and_what_was_started_stops(
    running: LiveCluster, tmp_path: Path, name: str
) -> None:
    broken = tmp_path / name
    broken.write_text("#!/bin/sh\necho 'Error: no such stage' >&2; exit 1\n")
    broken.chmod(0o700)
    before = identities(running.cluster)
    with pytest.raises(ClusterError) as caught:
        up(running.cluster, binaries=programs()["binaries"] | {name: broken})
    assert str(caught.value).startswith(f"{name} ended right after its start: no such stage. Its log: ")
    after = identities(running.cluster)
    assert after == before | dict.fromkeys([name, *dependents(name)])

    running.cluster.down()
    with pytest.raises(ClusterError, match="no such stage"):
        up(running.cluster, binaries=programs()["binaries"] | {name: broken})
    assert set(identities(running.cluster).values()) == {None}
    assert strays(running.cluster.directory) == {}
    assert up(running.cluster).uid == running.uid


PROGRAM = """
import signal, sys
from pathlib import Path
from toolchain.cluster import Cluster
signal.signal(signal.SIGINT, signal.default_int_handler)
binaries = {{name: Path(path) for name, path in {binaries}.items()}}
stages = [Path(path) for path in {stages}]
Cluster(Path({folder!r})).up(nodes=4, gpu={gpu!r}, gpus_per_node=8, binaries=binaries, stages=stages,
                             report=lambda line: print(line, flush=True))
"""


def command(cluster: Cluster) -> list[str]:
    given = programs()
    source = PROGRAM.format(
        binaries={name: str(path) for name, path in given["binaries"].items()},
        stages=[str(path) for path in given["stages"]],
        folder=str(cluster.directory),
        gpu=GPU,
    )
    return [sys.executable, "-c", source]


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (signal.SIGINT, "starting etcd"),
        (signal.SIGINT, "starting kube-apiserver"),
        (signal.SIGINT, "starting kwok"),
        (signal.SIGKILL, "starting kube-apiserver"),
        (signal.SIGKILL, "starting kwok"),
    ],
)
def test_an_interrupted_up_leaves_nothing_that_the_next_one_trips_over(
    running: LiveCluster, number: signal.Signals, moment: str
) -> None:
    running.cluster.down()
    with subprocess.Popen(command(running.cluster), cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            if line.strip() == moment:
                process.send_signal(number)
                break
        process.stdout.read()
        process.wait(60)
    assert process.returncode != 0
    if number == signal.SIGINT:
        assert strays(running.cluster.directory) == {}
    assert up(running.cluster).uid == running.uid


def test_two_at_once_make_one_cluster(running: LiveCluster) -> None:
    running.cluster.down()
    first, second = (
        subprocess.Popen(command(running.cluster), cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    )
    said = [process.communicate(timeout=120)[0] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0)
    assert sum("starting kube-apiserver" in text for text in said) == 1
    assert running.cluster.status().running
    assert strays(running.cluster.directory, filter(None, identities(running.cluster).values())) == {}


def test_a_removed_folder_leaves_nothing_running_after_down(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "cluster")
    up(cluster, nodes=1)
    shutil.rmtree(cluster.directory)
    assert set(strays(cluster.directory)) == set(NAMES)
    cluster.down()
    assert strays(cluster.directory) == {}


def test_two_clusters_do_not_know_of_each_other(running: LiveCluster, tmp_path: Path) -> None:
    other = Cluster(tmp_path / "cluster")
    try:
        results: list[Status] = []
        thread = threading.Thread(target=lambda: results.append(up(other, nodes=1)))
        thread.start()
        here = up(running.cluster)
        thread.join(120)
        (there,) = results
        assert (here.nodes, there.nodes) == (4, 1)
        assert here.uid != there.uid
        assert here.server != there.server
        other.down(delete=True)
        assert running.cluster.status() == here
    finally:
        other.down(delete=True)


def test_a_hundred_nodes(running: LiveCluster) -> None:
    status = up(running.cluster, nodes=100)
    assert (status.nodes, status.nodes_ready) == (100, 100)
    with deployed(running, "wide", replicas=200, gpus=4) as path:
        eventually(lambda: ready_replicas(running, path) == 200)
    start = time.monotonic()
    up(running.cluster, nodes=100)
    assert time.monotonic() - start < 2
