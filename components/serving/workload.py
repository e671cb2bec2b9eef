"""The one pod template that all workloads share, and what stands around a workload.

A pod here is not root, can't become root, writes to named volumes only, speaks to no Kubernetes API and runs
an image pinned by digest. The API server holds it to that too (namespaces.py).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pulumi import Resource
from pulumi_kubernetes.core.v1 import (
    CapabilitiesArgs,
    ContainerArgs,
    ContainerPortArgs,
    EmptyDirVolumeSourceArgs,
    EnvVarArgs,
    LifecycleArgs,
    LifecycleHandlerArgs,
    PersistentVolumeClaim,
    PersistentVolumeClaimSpecArgs,
    PersistentVolumeClaimVolumeSourceArgs,
    PodSecurityContextArgs,
    PodSpecArgs,
    PodTemplateSpecArgs,
    ProbeArgs,
    ResourceRequirementsArgs,
    SeccompProfileArgs,
    SecretVolumeSourceArgs,
    SecurityContextArgs,
    Service,
    ServiceAccount,
    ServicePortArgs,
    ServiceSpecArgs,
    SleepActionArgs,
    TCPSocketActionArgs,
    TolerationArgs,
    VolumeArgs,
    VolumeMountArgs,
    VolumeResourceRequirementsArgs,
)
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget, PodDisruptionBudgetSpecArgs

from components.ground import Storage
from components.serving import names
from components.serving.isolation import Place

_USER = 10001
#: seconds from the moment a pod is to stop until its endpoint has gone everywhere and no new call comes
_LEAVE = 15


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What one workload's pod has of its own. Sizes are Kubernetes quantities, times are seconds.

    `secrets`, `claims` map a mount path to the Secret or PersistentVolumeClaim there; `scratch` and `memory`
    map one to the size of an empty directory on disk or in memory. `claims_read_only` is what may not be
    written.
    """

    app: str
    image: str
    args: Sequence[str]
    cpu: str
    memory_limit: str
    start_within: int
    drain_within: int
    command: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    metrics: bool = True
    gpus: int = 0
    gpu_product: str | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
    claims: Mapping[str, str] = field(default_factory=dict)
    claims_read_only: bool = False
    scratch: Mapping[str, str] = field(default_factory=lambda: {"/tmp": "1Gi"})
    memory: Mapping[str, str] = field(default_factory=dict)

    @property
    def selector(self) -> LabelSelectorArgs:
        return LabelSelectorArgs(match_labels={"app": self.app})

    def template(self) -> PodTemplateSpecArgs:
        """The pod, hardened."""
        return PodTemplateSpecArgs(
            metadata=ObjectMetaArgs(labels=names.labels(self.app)),
            spec=PodSpecArgs(
                service_account_name=self.app,
                automount_service_account_token=False,
                enable_service_links=False,
                dns_policy="ClusterFirst",  # `Default` would be the node's resolver, outside every policy
                termination_grace_period_seconds=_LEAVE + self.drain_within + 15,
                node_selector={"nvidia.com/gpu.product": self.gpu_product} if self.gpu_product else None,
                tolerations=[TolerationArgs(key="nvidia.com/gpu", operator="Exists", effect="NoSchedule")]
                if self.gpus
                else None,
                security_context=PodSecurityContextArgs(
                    run_as_non_root=True,
                    run_as_user=_USER,
                    run_as_group=_USER,
                    fs_group=_USER,
                    fs_group_change_policy="OnRootMismatch",
                    seccomp_profile=SeccompProfileArgs(type="RuntimeDefault"),
                ),
                containers=[self._container()],
                volumes=[volume for volume, _ in self._volumes()],
            ),
        )

    def _container(self) -> ContainerArgs:
        amount = {"cpu": self.cpu, "memory": self.memory_limit}
        if self.gpus:
            amount["nvidia.com/gpu"] = str(self.gpus)
        ports = [ContainerPortArgs(name="https", container_port=names.HTTPS, protocol="TCP")]
        if self.metrics:
            ports.append(ContainerPortArgs(name="metrics", container_port=names.METRICS, protocol="TCP"))
        return ContainerArgs(
            name=self.app,
            image=self.image,
            image_pull_policy="IfNotPresent",
            command=list(self.command) or None,
            args=list(self.args),
            env=[EnvVarArgs(name=name, value=value) for name, value in sorted(self.environment.items())],
            ports=ports,
            resources=ResourceRequirementsArgs(requests=amount, limits=amount),
            security_context=SecurityContextArgs(
                allow_privilege_escalation=False,
                privileged=False,
                capabilities=CapabilitiesArgs(drop=["ALL"]),
                read_only_root_filesystem=True,
                run_as_non_root=True,
                seccomp_profile=SeccompProfileArgs(type="RuntimeDefault"),
            ),
            # the servers ask for a client certificate and the kubelet has none, so it knocks at the port: it
            # opens when a server is ready to serve, and closes with the process, which ends when its engine
            # dies
            startup_probe=_knock(period=10, failures=math.ceil(self.start_within / 10)),
            readiness_probe=_knock(period=5, failures=2),
            liveness_probe=_knock(period=10, failures=6),
            lifecycle=LifecycleArgs(pre_stop=LifecycleHandlerArgs(sleep=SleepActionArgs(seconds=_LEAVE))),
            volume_mounts=[mount for _, mount in self._volumes()],
        )

    def _volumes(self) -> list[tuple[VolumeArgs, VolumeMountArgs]]:
        found: list[tuple[VolumeArgs, VolumeMountArgs]] = []

        def add(path: str, read_only: bool, **source: Any) -> None:
            name = path.strip("/").replace("/", "-")
            found.append(
                (
                    VolumeArgs(name=name, **source),
                    VolumeMountArgs(name=name, mount_path=path, read_only=read_only),
                )
            )

        for path, secret in self.secrets.items():
            add(path, True, secret=SecretVolumeSourceArgs(secret_name=secret, default_mode=0o440))
        for path, claim in self.claims.items():
            source = PersistentVolumeClaimVolumeSourceArgs(claim_name=claim, read_only=self.claims_read_only)
            add(path, self.claims_read_only, persistent_volume_claim=source)
        for path, size in self.scratch.items():
            add(path, False, empty_dir=EmptyDirVolumeSourceArgs(size_limit=size))
        for path, size in self.memory.items():
            add(path, False, empty_dir=EmptyDirVolumeSourceArgs(medium="Memory", size_limit=size))
        return found


def _knock(period: int, failures: int) -> ProbeArgs:
    return ProbeArgs(
        tcp_socket=TCPSocketActionArgs(port="https"),
        period_seconds=period,
        failure_threshold=failures,
        timeout_seconds=3,
    )


def metadata(app: str, place: Place, name: str | None = None) -> ObjectMetaArgs:
    """The name, namespace and labels of an object that belongs to a part."""
    return ObjectMetaArgs(name=name or app, namespace=place.name, labels=names.labels(app))


def claim(
    app: str,
    place: Place,
    name: str,
    *,
    access: str,
    size: str,
    storage: Storage,
    volume: str | None = None,
    parent: Resource,
) -> PersistentVolumeClaim:
    """A claim on encrypted storage, or on a `volume` there that is full already; it says by which key."""
    return PersistentVolumeClaim(
        f"{place.name}/{name}",
        metadata=ObjectMetaArgs(
            name=name,
            namespace=place.name,
            labels=names.labels(app),
            annotations={"llm.kit/encryption-key": storage.key},
        ),
        spec=PersistentVolumeClaimSpecArgs(
            access_modes=[access],
            storage_class_name=storage.class_name,
            volume_name=volume,
            resources=VolumeResourceRequirementsArgs(requests={"storage": size}),
        ),
        opts=place.options(parent),
    )


def service_account(app: str, place: Place, parent: Resource) -> ServiceAccount:
    """The part's identity in the cluster. Nothing is bound to it and no token is mounted: no part needs the
    API.
    """
    return ServiceAccount(
        f"{place.name}/{app}",
        metadata=metadata(app, place),
        automount_service_account_token=False,
        opts=place.options(parent),
    )


def service(app: str, place: Place, metrics: bool, parent: Resource) -> Service:
    """The part's name in the cluster."""
    ports = [ServicePortArgs(name="https", port=names.HTTPS, target_port="https", protocol="TCP")]
    if metrics:
        ports.append(
            ServicePortArgs(name="metrics", port=names.METRICS, target_port="metrics", protocol="TCP")
        )
    return Service(
        f"{place.name}/{app}",
        metadata=metadata(app, place),
        spec=ServiceSpecArgs(type="ClusterIP", selector={"app": app}, ports=ports),
        opts=place.options(parent),
    )


def disruption_budget(app: str, place: Place, parent: Resource) -> PodDisruptionBudget:
    """A drain takes one pod at a time, and is never blocked for good."""
    return PodDisruptionBudget(
        f"{place.name}/{app}",
        metadata=metadata(app, place),
        spec=PodDisruptionBudgetSpecArgs(
            max_unavailable=1, selector=LabelSelectorArgs(match_labels={"app": app})
        ),
        opts=place.options(parent),
    )
