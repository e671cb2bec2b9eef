"""What the control plane consists of: each component's command line, and the files that it reads.

All paths are relative to the cluster's folder, where every component runs: so spaces, commas and the
length of the checkout's path don't matter. Flags: https://kubernetes.io/docs/reference/command-line-tools-reference/
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from toolchain.cluster import pki
from toolchain.cluster.errors import ClusterError
from toolchain.cluster.files import private_folder, write

CONTEXT = "sovereign-local"
HOST = "127.0.0.1"
SERVICE_NETWORK = "10.96.0.0/16"
SERVICE_ADDRESS = "10.96.0.1"  # of the Service `kubernetes`: the first of SERVICE_NETWORK
POD_NETWORK = "10.128.0.0/9"  # a /24 for each node
NODE_LEASE_SECONDS = 40  # what a kubelet has by default

ETCD, API_SERVER = "etcd", "kube-apiserver"
_LOAD_BALANCER = Path(__file__).with_name("load-balancer.yaml")
CONTROLLERS, SCHEDULER, KWOK = "kube-controller-manager", "kube-scheduler", "kwok"
#: in the order of their start
NAMES = (ETCD, API_SERVER, CONTROLLERS, SCHEDULER, KWOK)

#: port -> the component that listens on it
PORTS = {"etcd": ETCD, "etcd-peer": ETCD, "kube-apiserver": API_SERVER}


@dataclass(frozen=True)
class Component:
    """One program of the cluster: its binary, its arguments, and the files that it reads at its start."""

    name: str
    binary: Path
    arguments: tuple[str, ...]
    inputs: tuple[str, ...]

    @property
    def command(self) -> list[str]:
        return [str(self.binary), *self.arguments]

    def digest(self, folder: Path) -> str:
        """What it runs with, as one string: another binary, argument, certificate or setting changes it."""
        state = self.binary.stat()
        digest = hashlib.sha256(repr((self.command, state.st_size, state.st_mtime_ns)).encode())
        for name in self.inputs:
            digest.update(hashlib.sha256((folder / name).read_bytes()).digest())
        return digest.hexdigest()


def server(ports: Mapping[str, int]) -> str:
    """The API server's URL."""
    return f"https://{HOST}:{ports['kube-apiserver']}"


def components(binaries: Mapping[str, Path], ports: Mapping[str, int]) -> tuple[Component, ...]:
    """All components, in the order of their start."""
    client_url = f"https://{HOST}:{ports['etcd']}"
    peer_url = f"https://{HOST}:{ports['etcd-peer']}"
    return (
        Component(
            ETCD,
            binaries[ETCD],
            (
                "--name=local",
                "--data-dir=data/etcd",
                f"--listen-client-urls={client_url}",
                f"--advertise-client-urls={client_url}",
                f"--listen-peer-urls={peer_url}",
                f"--initial-advertise-peer-urls={peer_url}",
                f"--initial-cluster=local={peer_url}",
                "--client-cert-auth=true",
                "--trusted-ca-file=pki/etcd-ca.crt",
                "--cert-file=pki/etcd.crt",
                "--key-file=pki/etcd.key",
                "--peer-client-cert-auth=true",
                "--peer-trusted-ca-file=pki/etcd-ca.crt",
                "--peer-cert-file=pki/etcd.crt",
                "--peer-key-file=pki/etcd.key",
                "--log-outputs=stderr",
                "--log-level=warn",
            ),
            ("pki/etcd-ca.crt", "pki/etcd.crt"),
        ),
        Component(
            API_SERVER,
            binaries[API_SERVER],
            (
                f"--bind-address={HOST}",
                f"--advertise-address={HOST}",
                f"--secure-port={ports['kube-apiserver']}",
                # nothing in the cluster could reach an endpoint on the loopback address
                "--endpoint-reconciler-type=none",
                f"--etcd-servers={client_url}",
                "--etcd-cafile=pki/etcd-ca.crt",
                "--etcd-certfile=pki/apiserver-etcd-client.crt",
                "--etcd-keyfile=pki/apiserver-etcd-client.key",
                "--encryption-provider-config=config/encryption.yaml",
                "--client-ca-file=pki/ca.crt",
                "--tls-cert-file=pki/apiserver.crt",
                "--tls-private-key-file=pki/apiserver.key",
                "--tls-min-version=VersionTLS12",
                "--anonymous-auth=false",
                "--authorization-mode=Node,RBAC",
                "--enable-admission-plugins=NodeRestriction",
                "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
                "--service-account-key-file=pki/sa.pub",
                "--service-account-signing-key-file=pki/sa.key",
                f"--service-cluster-ip-range={SERVICE_NETWORK}",
                "--requestheader-client-ca-file=pki/front-proxy-ca.crt",
                "--requestheader-allowed-names=front-proxy-client",
                "--requestheader-username-headers=X-Remote-User",
                "--requestheader-group-headers=X-Remote-Group",
                "--requestheader-extra-headers-prefix=X-Remote-Extra-",
                "--proxy-client-cert-file=pki/front-proxy-client.crt",
                "--proxy-client-key-file=pki/front-proxy-client.key",
                "--audit-policy-file=config/audit-policy.yaml",
                "--audit-log-path=logs/audit.log",
                "--audit-log-maxsize=20",
                "--audit-log-maxbackup=2",
                "--profiling=false",
            ),
            (
                "pki/etcd-ca.crt",
                "pki/apiserver-etcd-client.crt",
                "pki/ca.crt",
                "pki/apiserver.crt",
                "pki/sa.pub",
                "pki/front-proxy-ca.crt",
                "pki/front-proxy-client.crt",
                "config/encryption.yaml",
                "config/audit-policy.yaml",
            ),
        ),
        Component(
            CONTROLLERS,
            binaries[CONTROLLERS],
            (
                f"--kubeconfig=config/{CONTROLLERS}.kubeconfig",
                "--secure-port=0",
                "--leader-elect=false",
                "--profiling=false",
                "--use-service-account-credentials=true",
                "--service-account-private-key-file=pki/sa.key",
                "--root-ca-file=pki/ca.crt",
                "--cluster-signing-cert-file=pki/ca.crt",
                "--cluster-signing-key-file=pki/ca.key",
                "--allocate-node-cidrs=true",
                f"--cluster-cidr={POD_NETWORK}",
                f"--service-cluster-ip-range={SERVICE_NETWORK}",
                # the defaults (20 and 30 requests a second) make a hundred nodes wait for their controllers
                "--kube-api-qps=200",
                "--kube-api-burst=300",
            ),
            (f"config/{CONTROLLERS}.kubeconfig", "pki/ca.crt", "pki/sa.pub"),
        ),
        Component(
            SCHEDULER,
            binaries[SCHEDULER],
            (
                f"--kubeconfig=config/{SCHEDULER}.kubeconfig",
                "--secure-port=0",
                "--leader-elect=false",
                "--profiling=false",
            ),
            (f"config/{SCHEDULER}.kubeconfig",),
        ),
        Component(
            KWOK,
            binaries[KWOK],
            (
                f"--kubeconfig=config/{KWOK}.kubeconfig",
                "--config=config/kwok.yaml",
                "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
                f"--node-ip={HOST}",
                f"--node-lease-duration-seconds={NODE_LEASE_SECONDS}",
                f"--cidr={POD_NETWORK}",
            ),
            (f"config/{KWOK}.kubeconfig", "config/kwok.yaml"),
        ),
    )


def write_configuration(folder: Path, ports: Mapping[str, int], stages: Sequence[Path]) -> list[str]:
    """Makes keys, certificates, kubeconfigs and settings in `folder`, and leaves alone what is right already.

    `stages` are KWOK's Stage files for nodes and pods. Gives the names of the certificates issued now.
    Raises ClusterError where the key of the stored Secrets is lost or a stage can't be read.
    """
    issued = pki.ensure(folder / "pki", SERVICE_ADDRESS)
    config = private_folder(folder / "config")
    _keep_encryption_key(folder)
    write(config / "audit-policy.yaml", _yaml(AUDIT_POLICY))
    write(config / "kwok.yaml", _kwok_stages(stages))
    for name, certificate in ((CONTROLLERS, "controller-manager"), (SCHEDULER, "scheduler"), (KWOK, "kwok")):
        write(config / f"{name}.kubeconfig", _kubeconfig(folder / "pki", server(ports), certificate, name))
    write(folder / "kubeconfig", _kubeconfig(folder / "pki", server(ports), "admin", "sovereign-admin"))
    return issued


#: who did what, without contents; left out are the simulated nodes' heartbeats: ten a second for 100 nodes
AUDIT_POLICY: dict[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {
            "level": "None",
            "users": ["kwok-controller"],
            "namespaces": ["kube-node-lease"],
            "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}],
        },
        {"level": "Metadata"},
    ],
}


def _keep_encryption_key(folder: Path) -> None:
    file = folder / "config" / "encryption.yaml"
    if file.exists():
        return
    if (folder / "data" / "etcd" / "member").exists():
        raise ClusterError(
            f"{file} is gone, and with it the key of the Secrets in {folder / 'data'}. Put the file back, or "
            "remove the local cluster and its data with `sovereign cluster down`, then start it again."
        )
    key = {"name": "local", "secret": base64.b64encode(secrets.token_bytes(32)).decode()}
    configuration = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": [{"secretbox": {"keys": [key]}}]}],
    }
    write(file, _yaml(configuration))


def _kwok_stages(stages: Sequence[Path]) -> bytes:
    documents: list[dict[str, Any]] = []
    kinds = set()
    for path in sorted(stages):
        try:
            for document in filter(None, yaml.safe_load_all(path.read_bytes())):
                kinds.add(document["spec"]["resourceRef"]["kind"])
                documents.append(document)
        except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
            raise ClusterError(
                f"The KWOK stage file {path} can't be read ({type(error).__name__}). "
                "Build the toolchain again."
            ) from error
    if not {"Node", "Pod"} <= kinds:
        raise ClusterError(
            "KWOK needs stages for nodes and for pods, and the files given hold "
            f"{', '.join(sorted(kinds)) or 'none'}. Build the toolchain again."
        )
    documents.append(yaml.safe_load(_LOAD_BALANCER.read_bytes()))
    return yaml.safe_dump_all(documents, sort_keys=True).encode()


def _kubeconfig(folder: Path, url: str, certificate: str, user: str) -> bytes:
    def embedded(name: str) -> str:
        return base64.b64encode((folder / name).read_bytes()).decode()

    return _yaml(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": CONTEXT,
            "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": user}}],
            "clusters": [
                {
                    "name": CONTEXT,
                    "cluster": {"server": url, "certificate-authority-data": embedded("ca.crt")},
                }
            ],
            "users": [
                {
                    "name": user,
                    "user": {
                        "client-certificate-data": embedded(f"{certificate}.crt"),
                        "client-key-data": embedded(f"{certificate}.key"),
                    },
                }
            ],
        }
    )


def _yaml(value: Any) -> bytes:
    return yaml.safe_dump(value, sort_keys=False).encode()
