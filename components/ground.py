"""The ground: what every platform hands to serving/, and all that serving/ may know of it."""

from dataclasses import dataclass

from pulumi import Resource
from pulumi_kubernetes import Provider


@dataclass(frozen=True)
class Storage:
    """An encrypted StorageClass, and the name of the key that encrypts it."""

    class_name: str
    key: str


@dataclass(frozen=True)
class Weights:
    """The PersistentVolume that holds the model's weights already, and its size (a Kubernetes quantity)."""

    volume: str
    size: str


@dataclass(frozen=True)
class AuditSink:
    """Where audit records go, for how long: a volume of this size, an object store in these networks."""

    size: str
    retention_days: int
    networks: tuple[str, ...] = ()
    port: int = 443


@dataclass(frozen=True)
class Images:
    """What the workloads run, each pinned by digest, from a registry of the zone."""

    vllm: str
    gateway: str
    audit: str


@dataclass(frozen=True)
class Gpus:
    """The GPUs that there are: the product in the label `nvidia.com/gpu.product`; None: all are one kind."""

    product: str | None = None


@dataclass(frozen=True)
class Ground:
    """`provider` points at exactly one cluster, the one whose kube-system namespace has the UID
    `cluster_uid`.

    `made` is what the ground itself made in that cluster: it comes before, and goes after, all that stands on
    it.
    """

    provider: Provider
    cluster_uid: str
    storage: Storage
    weights: Weights
    audit: AuditSink
    images: Images
    gpus: Gpus
    made: tuple[Resource, ...] = ()
