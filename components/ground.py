"""The ground: what every platform hands to serving/, and all that serving/ may know of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from pulumi import Resource
from pulumi_kubernetes import Provider

from facts.gpus import Gpu


@dataclass(frozen=True)
class Storage:
    """An encrypted StorageClass, and the name of the key that encrypts it; None where another key may come,
    and disks keep theirs: then the class says it for those that are made."""

    class_name: str
    key: str | None


@dataclass(frozen=True)
class NodeCache:
    """A copy of the weights on each node's own disk: encrypted storage there, and its size."""

    storage: Storage
    size: str


@dataclass(frozen=True, kw_only=True)
class Weights:
    """The PersistentVolume that holds a model's weights already, and how they are known to be the right ones.

    `size` is a Kubernetes quantity, `read_rate` bytes a second that the volume gives. `digest` is that of the
    signed manifest (`sha256:...`), `public_key` the PEM that its signature is checked with.
    """

    volume: str
    size: str
    read_rate: int
    digest: str
    public_key: str
    cache: NodeCache | None = None


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
    verifier: str


@dataclass(frozen=True)
class Ground:
    """`provider` points at exactly one cluster, the one whose kube-system namespace has the UID
    `cluster_uid`.

    `weights`, `gpus` and `gpu_labels` are by a model's name; a label is the value of `nvidia.com/gpu.product`
    on the nodes meant, and a model without one takes any node that has its GPUs. `made` is what the ground
    itself made in that cluster: it comes before, and goes after, all that stands on it. `shared`: what the
    whole cluster shares (namespaces, classes of priority, admission policies) is made by its owner, because
    the stack has rights in its own namespaces only. `keeps`: records go by an explicit word only.
    """

    provider: Provider
    cluster_uid: str
    storage: Storage
    weights: Mapping[str, Weights]
    audit: AuditSink
    images: Images
    gpus: Mapping[str, Gpu]
    gpu_labels: Mapping[str, str]
    made: tuple[Resource, ...] = ()
    shared: bool = False
    keeps: bool = False
