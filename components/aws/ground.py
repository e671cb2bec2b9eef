"""The ground on AWS, from the network to the cluster, in the order in which its parts stand on each other.

It comes in two stages: what AWS makes, then, once there is a cluster, what stands in it (`platform`), which
ends in the value that all platforms hand to serving/.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pulumi import ComponentResource, Output, Resource, ResourceOptions
from pulumi_aws.iam import ServiceLinkedRole

from components.aws.access import ClientVpn, SessionHost, VpnMembers
from components.aws.account import AccountDefaults
from components.aws.addons import AddOns
from components.aws.audit import AuditBucket
from components.aws.backup import Backups
from components.aws.cluster import Cluster, Entries, identify
from components.aws.detection import Detection, Inventory
from components.aws.dns import DnsFirewall
from components.aws.endpoints import Endpoints, UsedEndpoints
from components.aws.keys import KeyPeople, Keys, KeyUse
from components.aws.kubernetes import ClusterProvider
from components.aws.logs import LogKeeping
from components.aws.network import Network, UsedNetwork
from components.aws.nodes import Machines, Nodes
from components.aws.place import Place
from components.aws.registry import IMAGES, Registry
from components.aws.roles import Roles
from components.aws.storage import ClusterStorage
from components.aws.trail import Trail
from components.aws.use import CREATE, Part, Use
from components.aws.weights import WeightsBucket
from components.ground import AuditSink, Ground, Images, Storage, Weights
from components.serving.names import slug
from facts import eks
from facts.zones import Zone


@dataclass(frozen=True, kw_only=True)
class Singletons:
    """What an account has once, so that others live with it too: somebody else's, unless it says `create`.

    `defaults`: disks encrypted, nothing public (account.py). `autoscaling`: the role by which AWS starts
    nodes. `trail`, `inventory` (AWS Config) and `detection` (GuardDuty) watch.
    """

    defaults: Part
    autoscaling: Part
    trail: Part
    inventory: Part
    detection: Part


@dataclass(frozen=True, kw_only=True)
class Ways:
    """How people reach the API: by recorded sessions on a host with this AMI, or by a VPN; the zone names
    each under `access`."""

    sessions: str | None = None
    vpn: VpnMembers | None = None


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the ground is made of, and what of it a landing zone has already.

    `network`: its addresses, or one that is there; `services`: those of the cluster's Services, outside it.
    `system`: the nodes of everything but engines; `gpus`: those of each model's engines, by its name.
    `kubernetes`: a version of facts/eks.yaml, the newest unless it is named. `names`: of the site, that are
    answered inside. `auditor`: namespace and service account of the audit service. `days`: how long logs,
    records and backups are kept and locked; `earlier`: how long it was before, for as long as
    backups of then are kept.
    """

    network: str | UsedNetwork
    endpoints: UsedEndpoints | None = None
    keys: Mapping[KeyUse, Use] = field(default_factory=dict)
    singletons: Singletons
    people: KeyPeople
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    ways: Ways = Ways()
    system: Machines
    gpus: Mapping[str, Machines]
    kubernetes: str | None = None
    services: str = "172.20.0.0/16"
    names: tuple[str, ...] = ()
    auditor: tuple[str, str]
    days: int
    earlier: tuple[int, ...] = ()


class AwsGround(ComponentResource):
    """One account's ground for one cluster."""

    cluster: Output[str]  #: the cluster's name
    registry: Registry
    weights: WeightsBucket
    audit: AuditBucket

    def __init__(
        self, name: str, place: Place, zone: Zone, parts: Parts, opts: ResourceOptions | None = None
    ) -> None:
        """Raises NetworkError, AccessError or CatalogueError."""
        super().__init__("sovereign:aws:AwsGround", name, None, opts)
        self._place, self._parts = place, parts
        within, once = ResourceOptions(parent=self), parts.singletons
        roles = Roles(name, place, place.name, parts.auditor, opts=within)
        before: list[Resource] = []
        if once.autoscaling == CREATE:
            service = place.principal("autoscaling")
            before.append(ServiceLinkedRole(name, aws_service_name=service, opts=place.within(self)))
        keyed = ResourceOptions(parent=self, depends_on=before)
        self._keys = keys = Keys(name, place, roles, parts.people, parts.keys, opts=keyed)
        logs = LogKeeping(keys.logs, parts.days)
        network = Network(name, place, parts.network, logs, opts=within)
        sessions = parts.ways.sessions is not None
        endpoints = Endpoints(name, place, network, sessions=sessions, use=parts.endpoints, opts=within)
        if not isinstance(parts.network, UsedNetwork):
            DnsFirewall(name, place, network, endpoints, logs, names=parts.names, opts=within)
        if once.defaults == CREATE:
            AccountDefaults(name, place, keys.volumes, opts=within)
        publishers = parts.people.publishers
        self.registry = Registry(name, place, keys.registry, IMAGES, roles.nodes.arn, publishers, within)
        self.weights = WeightsBucket(f"{name}-weights", place, keys.weights, endpoints.s3, roles, within)
        writer = roles.audit
        deployers = parts.people.deployers
        self.audit = AuditBucket(
            f"{name}-audit", place, keys.audit, endpoints.s3, parts.days, writer, deployers, within
        )
        self._watch(name, endpoints.s3)
        Backups(name, place, keys.backup, parts.days, parts.earlier, roles, within)
        if parts.ways.sessions is not None:
            image = parts.ways.sessions
            SessionHost(f"{name}-door", place, zone, network, endpoints, image, keys.volumes, logs, within)
        if parts.ways.vpn is not None:
            ClientVpn(f"{name}-vpn", place, zone, network, parts.ways.vpn, logs, within)
        self._stand(name, network, roles, logs)
        self.register_outputs({"cluster": self.cluster})

    def _watch(self, name: str, endpoint: Output[str]) -> None:
        place, once, key, days = self._place, self._parts.singletons, self._keys.logs, self._parts.days
        within = ResourceOptions(parent=self)
        if once.trail == CREATE:
            watched = [self.weights.arn, self.audit.arn]
            deployers = self._parts.people.deployers
            Trail(f"{name}-trail", place, key, endpoint, days, watched, deployers, within)
        if once.inventory == CREATE:
            Inventory(f"{name}-inventory", place, key, endpoint, days, within)
        if self._guarded:
            Detection(name, place, within)

    @property
    def _guarded(self) -> bool:
        return self._parts.singletons.detection == CREATE and self._place.has("guardduty")

    def _stand(self, name: str, network: Network, roles: Roles, logs: LogKeeping) -> None:
        """The cluster, its nodes, and what runs there from the start."""
        place, parts, keys, within = self._place, self._parts, self._keys, ResourceOptions(parent=self)
        release = eks.release(parts.kubernetes)
        entries = Entries(deployers=parts.people.deployers, groups=parts.groups)
        cluster = Cluster(name, place, network, roles, keys, logs, entries, release, parts.services, within)
        groups = {"system": parts.system, **{f"gpu-{slug(one)}": gpu for one, gpu in parts.gpus.items()}}
        nodes = [
            Nodes(f"{name}-{label}", place, cluster, network, roles, keys.volumes, machines, within).group
            for label, machines in groups.items()
        ]
        addons = AddOns(name, place, cluster, roles, nodes, guard=self._guarded, opts=within)
        self.cluster, self._endpoint = cluster.name, cluster.endpoint
        self._authority, self._ready = cluster.authority, (*cluster.entered, *addons.made)
        identify(place, self, self.cluster, "audit", parts.auditor, roles.audit)

    def platform(self, uid: str, weights: Mapping[str, Weights], audit: AuditSink, images: Images) -> Ground:
        """What serving/ takes, with what the ground makes in the cluster. `uid`: that of the namespace
        kube-system; in a review plan, where there is no cluster, whatever stands for it. The volume of each
        of `weights` is storage.py's `volume_of`."""
        place, within = self._place, ResourceOptions(parent=self)
        name = place.name
        provider = ClusterProvider(
            name, place, self.cluster, self._endpoint, self._authority, uid, self._ready, within
        ).provider
        sizes = {model: one.size for model, one in weights.items()}
        storage = ClusterStorage(name, place, self._keys.volumes, self.weights.name, sizes, provider, within)
        gpus = {model: one.gpu for model, one in self._parts.gpus.items() if one.gpu is not None}
        return Ground(
            provider=provider,
            cluster_uid=uid,
            storage=Storage(storage.class_name, None),
            weights=weights,
            audit=audit,
            images=images,
            gpus=gpus,
            gpu_labels={model: gpu.products[0] for model, gpu in gpus.items()},
            made=storage.made,
            keeps=True,
        )
