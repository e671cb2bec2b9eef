"""A real local cluster for tests: one for the whole session, in a folder of its own, gone at the end.

Tests use it through the fixture `cluster`; each makes namespaces of its own and leaves the rest alone.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from toolchain import build
from toolchain.cluster import REQUIRED, Cluster, Status
from toolchain.cluster.api import Api

ROOT = Path(__file__).resolve().parent.parent.parent
HOME = ROOT / ".sovereign" / "tests"
NODES, GPU, GPUS_PER_NODE = 4, "NVIDIA-H100-80GB-HBM3", 8


@dataclass(frozen=True)
class LiveCluster:
    """A running cluster: `kubeconfig` and `server` to reach it, and `uid` of its kube-system namespace."""

    cluster: Cluster
    kubeconfig: Path
    server: str
    uid: str
    kubectl_path: Path

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
        """What kubectl prints; raises AssertionError with what it complains about."""
        done = subprocess.run(
            [self.kubectl_path, "--kubeconfig", self.kubeconfig, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env={"PATH": os.defpath, "KUBECACHEDIR": str(self.cluster.directory / "data" / "kubectl")},
            timeout=timeout,
        )
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr.strip()}"
        return done.stdout

    def request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> Any:
        """One request as the administrator; raises toolchain.cluster.api.ApiError with its `status`."""
        port = urlsplit(self.server).port
        assert port
        with closing(Api(port, self.cluster.directory / "pki", timeout=30)) as api:
            return api.request(method, path, body, content_type)


def programs() -> dict[str, Any]:
    """The arguments of Cluster.up that come from the toolchain; builds what is missing."""
    return {"binaries": build.ensure((*REQUIRED, "kubectl")), "stages": build.kwok_stages()}


def live(cluster: Cluster, status: Status) -> LiveCluster:
    """The running cluster that `up` gave this status of."""
    assert status.kubeconfig
    assert status.server
    assert status.uid
    kubectl = build.ensure(["kubectl"])["kubectl"]
    return LiveCluster(cluster, status.kubeconfig, status.server, status.uid, kubectl)


@contextmanager
def shared_cluster(nodes: int = NODES) -> Iterator[LiveCluster]:
    """A cluster that is up inside the block. Those of sessions that were killed are removed first."""
    remove_leftovers()
    cluster = Cluster(HOME / f"cluster-{os.getpid()}")
    try:
        yield live(cluster, cluster.up(nodes=nodes, gpu=GPU, gpus_per_node=GPUS_PER_NODE, **programs()))
    finally:
        cluster.down(delete=True)


def remove_leftovers() -> None:
    """Stops and removes the clusters whose test session doesn't run any more."""
    for folder in HOME.glob("cluster-*"):
        match = re.fullmatch(r"cluster-(\d+)", folder.name)
        if match and not Path("/proc", match.group(1)).exists():
            Cluster(folder).down(delete=True)
