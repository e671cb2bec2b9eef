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
    ConfigMapVolumeSourceArgs,
    ContainerArgs,
    ContainerPortArgs,
    EmptyDirVolumeSourceArgs,
    EnvVarArgs,
    EphemeralVolumeSourceArgs,
    LifecycleArgs,
    LifecycleHandlerArgs,
    PersistentVolumeClaim,
    PersistentVolumeClaimSpecArgs,
    PersistentVolumeClaimTemplateArgs,
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
    TopologySpreadConstraintArgs,
    VolumeArgs,
    VolumeMountArgs,
    VolumeResourceRequirementsArgs,
)
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget, PodDisruptionBudgetSpecArgs

from components.ground import NodeCache, Storage
from components.serving.isolation import Place
from components.serving.names import HTTPS, METRICS, Identity
from facts import budgets

_USER = 10001


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """What runs before the server, on the same volumes, and lets it start by ending well."""

    name: str
    image: str
    command: Sequence[str]
    args: Sequence[str]
    cpu: str
    memory: str


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What one workload's pod has of its own. Sizes are Kubernetes quantities, times are seconds.

    `secrets`, `config_maps`, `claims` map a mount path to the object there; `caches` map one to a volume on
    the node's disk; `scratch` and `memory` map one to the size of an empty directory on disk or in memory.
    `claims_read_only`: the server may not write them. `spread`: the node label over whose values pods are
    spread. `gpu_resource`: what a GPU, or a slice of one, is called in requests. `writable_root`: an
    exception that the pod's annotations explain (policies/rules/hardening.py).
    """

    who: Identity
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
    gpu_resource: str = "nvidia.com/gpu"
    gpu_product: str | None = None
    spread: str | None = None
    priority_class: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    prepare: Preparation | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
    config_maps: Mapping[str, str] = field(default_factory=dict)
    caches: Mapping[str, NodeCache] = field(default_factory=dict)
    claims: Mapping[str, str] = field(default_factory=dict)
    claims_read_only: bool = False
    scratch: Mapping[str, str] = field(default_factory=lambda: {"/tmp": "1Gi"})
    memory: Mapping[str, str] = field(default_factory=dict)
    writable_root: bool = False

    @property
    def selector(self) -> LabelSelectorArgs:
        return LabelSelectorArgs(match_labels=self.who.selector)

    def template(self) -> PodTemplateSpecArgs:
        """The pod, hardened."""
        return PodTemplateSpecArgs(
            metadata=ObjectMetaArgs(labels=self.who.labels, annotations=dict(self.annotations) or None),
            spec=PodSpecArgs(
                service_account_name=self.who.name,
                automount_service_account_token=False,
                enable_service_links=False,
                dns_policy="ClusterFirst",  # `Default` would be the node's resolver, outside every policy
                priority_class_name=self.priority_class,
                termination_grace_period_seconds=budgets.grace_seconds(self.drain_within),
                node_selector={"nvidia.com/gpu.product": self.gpu_product} if self.gpu_product else None,
                tolerations=[
                    TolerationArgs(
                        key=f"{self.gpu_resource.partition('/')[0]}/gpu",
                        operator="Exists",
                        effect="NoSchedule",
                    )
                ]
                if self.gpus
                else None,
                topology_spread_constraints=[
                    TopologySpreadConstraintArgs(
                        max_skew=1,
                        topology_key=self.spread,
                        # two engines in one room beat one engine and a pod that waits for a room that failed
                        when_unsatisfiable="ScheduleAnyway",
                        label_selector=self.selector,
                    )
                ]
                if self.spread
                else None,
                security_context=PodSecurityContextArgs(
                    run_as_non_root=True,
                    run_as_user=_USER,
                    run_as_group=_USER,
                    fs_group=_USER,
                    fs_group_change_policy="OnRootMismatch",
                    seccomp_profile=SeccompProfileArgs(type="RuntimeDefault"),
                ),
                init_containers=[self._prepare(self.prepare)] if self.prepare else None,
                containers=[self._container()],
                volumes=[volume for volume, _ in self._volumes()],
            ),
        )

    @property
    def _disk(self) -> str:
        """Of the node's own disk: all scratch space, and as much again as logs may grow to."""
        return f"{sum(int(size.removesuffix('Gi')) for size in self.scratch.values()) + 1}Gi"

    def _container(self) -> ContainerArgs:
        amount = {"cpu": self.cpu, "memory": self.memory_limit, "ephemeral-storage": self._disk}
        if self.gpus:
            amount[self.gpu_resource] = str(self.gpus)
        ports = [ContainerPortArgs(name="https", container_port=HTTPS, protocol="TCP")]
        if self.metrics:
            ports.append(ContainerPortArgs(name="metrics", container_port=METRICS, protocol="TCP"))
        return ContainerArgs(
            name=self.who.app,
            image=self.image,
            image_pull_policy="IfNotPresent",
            command=list(self.command) or None,
            args=list(self.args),
            env=[EnvVarArgs(name=name, value=value) for name, value in sorted(self.environment.items())],
            ports=ports,
            resources=ResourceRequirementsArgs(requests=amount, limits=amount),
            security_context=_hardened(self.writable_root),
            # the servers ask for a client certificate and the kubelet has none, so it knocks at the port: it
            # opens when a server is ready to serve, and closes with the process, which ends when its engine
            # dies
            startup_probe=_knock(period=10, failures=math.ceil(self.start_within / 10)),
            readiness_probe=_knock(budgets.READINESS_PERIOD, budgets.READINESS_FAILURES),
            liveness_probe=_knock(period=10, failures=6),
            lifecycle=LifecycleArgs(
                pre_stop=LifecycleHandlerArgs(sleep=SleepActionArgs(seconds=budgets.LEAVE))
            ),
            volume_mounts=[mount for _, mount in self._volumes()],
        )

    def _prepare(self, what: Preparation) -> ContainerArgs:
        """Sees what is claimed and cached, and writes the caches only."""
        amount = {"cpu": what.cpu, "memory": what.memory, "ephemeral-storage": self._disk}
        seen = {*self.claims, *self.caches, *self.config_maps, "/tmp"}
        return ContainerArgs(
            name=what.name,
            image=what.image,
            image_pull_policy="IfNotPresent",
            command=list(what.command),
            args=list(what.args),
            resources=ResourceRequirementsArgs(requests=amount, limits=amount),
            security_context=_hardened(),
            volume_mounts=[
                VolumeMountArgs(
                    name=mount.name,
                    mount_path=mount.mount_path,
                    read_only=mount.mount_path not in {*self.caches, "/tmp"},
                )
                for _, mount in self._volumes()
                if mount.mount_path in seen
            ],
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
        for path, config_map in self.config_maps.items():
            add(path, True, config_map=ConfigMapVolumeSourceArgs(name=config_map, default_mode=0o444))
        for path, cache in self.caches.items():
            add(path, True, ephemeral=_ephemeral(cache))
        for path, claim in self.claims.items():
            source = PersistentVolumeClaimVolumeSourceArgs(claim_name=claim, read_only=self.claims_read_only)
            add(path, self.claims_read_only, persistent_volume_claim=source)
        for path, size in self.scratch.items():
            add(path, False, empty_dir=EmptyDirVolumeSourceArgs(size_limit=size))
        for path, size in self.memory.items():
            add(path, False, empty_dir=EmptyDirVolumeSourceArgs(medium="Memory", size_limit=size))
        return found


def _key(storage: Storage) -> dict[str, str] | None:
    """The annotation of a claim that says by which key its disk is encrypted."""
    return {"llm.kit/encryption-key": storage.key} if storage.key else None


def _ephemeral(cache: NodeCache) -> EphemeralVolumeSourceArgs:
    return EphemeralVolumeSourceArgs(
        volume_claim_template=PersistentVolumeClaimTemplateArgs(
            metadata=ObjectMetaArgs(annotations=_key(cache.storage)),
            spec=PersistentVolumeClaimSpecArgs(
                access_modes=["ReadWriteOnce"],
                storage_class_name=cache.storage.class_name,
                resources=VolumeResourceRequirementsArgs(requests={"storage": cache.size}),
            ),
        )
    )


def _hardened(writable_root: bool = False) -> SecurityContextArgs:
    return SecurityContextArgs(
        allow_privilege_escalation=False,
        privileged=False,
        capabilities=CapabilitiesArgs(drop=["ALL"]),
        read_only_root_filesystem=not writable_root,
        run_as_non_root=True,
        seccomp_profile=SeccompProfileArgs(type="RuntimeDefault"),
    )


def _knock(period: int, failures: int) -> ProbeArgs:
    return ProbeArgs(
        tcp_socket=TCPSocketActionArgs(port="https"),
        period_seconds=period,
        failure_threshold=failures,
        timeout_seconds=3,
    )


def metadata(
    who: Identity,
    place: Place,
    name: str | None = None,
    annotations: Mapping[str, str] | None = None,
) -> ObjectMetaArgs:
    """The name, namespace and labels of an object that belongs to a part."""
    return ObjectMetaArgs(
        name=name or who.name,
        namespace=place.name,
        labels=who.labels,
        annotations=dict(annotations) if annotations else None,
    )


def claim(
    who: Identity,
    place: Place,
    name: str,
    *,
    access: str,
    size: str,
    storage: Storage,
    volume: str | None = None,
    protect: bool = False,
    parent: Resource,
) -> PersistentVolumeClaim:
    """A claim on encrypted storage, or on a `volume` there that is full already. It says by which key its
    disk was encrypted, where that key is the storage's for good. `protect`: goes by an explicit word only."""
    options = place.options(parent)
    options.protect = protect or None
    return PersistentVolumeClaim(
        f"{place.name}/{name}",
        metadata=ObjectMetaArgs(
            name=name,
            namespace=place.name,
            labels=who.labels,
            annotations=_key(storage) if volume is None else None,
        ),
        spec=PersistentVolumeClaimSpecArgs(
            access_modes=[access],
            storage_class_name=storage.class_name,
            volume_name=volume,
            resources=VolumeResourceRequirementsArgs(requests={"storage": size}),
        ),
        opts=options,
    )


def service_account(who: Identity, place: Place, parent: Resource) -> ServiceAccount:
    """The part's identity in the cluster. Nothing is bound to it and no token is mounted: no part needs the
    API.
    """
    return ServiceAccount(
        f"{place.name}/{who.name}",
        metadata=metadata(who, place),
        automount_service_account_token=False,
        opts=place.options(parent),
    )


def service(who: Identity, place: Place, metrics: bool, parent: Resource) -> Service:
    """The part's name in the cluster."""
    ports = [ServicePortArgs(name="https", port=HTTPS, target_port="https", protocol="TCP")]
    if metrics:
        ports.append(ServicePortArgs(name="metrics", port=METRICS, target_port="metrics", protocol="TCP"))
    return Service(
        f"{place.name}/{who.name}",
        metadata=metadata(who, place),
        spec=ServiceSpecArgs(type="ClusterIP", selector=who.selector, ports=ports),
        opts=place.options(parent),
    )


def disruption_budget(who: Identity, place: Place, parent: Resource) -> PodDisruptionBudget:
    """A drain takes one pod at a time, and is never blocked for good."""
    return PodDisruptionBudget(
        f"{place.name}/{who.name}",
        metadata=metadata(who, place),
        spec=PodDisruptionBudgetSpecArgs(
            max_unavailable=1, selector=LabelSelectorArgs(match_labels=who.selector)
        ),
        opts=place.options(parent),
    )
