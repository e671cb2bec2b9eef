"""The settings of a ground on AWS: what stands under `aws` in a stack's settings."""

from collections.abc import Iterable, Iterator
from ipaddress import ip_network
from typing import Annotated, Literal, Self

from pydantic import Field, Tag, model_validator

from facts import aws
from facts.days import Day
from facts.networks import NetworkSet
from stacks.part import MAPPING, TEXT, TEXT_OR_MAPPING, Count, Network, Part, Text, form

#: addresses of Services that EKS takes: of RFC 1918, and prefixes between these
#: (docs.aws.amazon.com/eks/latest/APIReference/API_KubernetesNetworkConfigRequest.html)
_SERVICES = NetworkSet.of(("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
_WIDEST, _NARROWEST = 12, 24

#: components/aws/keys.py has one for each use
KeyUse = Literal["audit", "backup", "cluster", "logs", "registry", "volumes", "weights"]

Role = Annotated[str, form(r"arn:[a-z-]+:iam::\d{12}:role/\S+", "a role is named by its ARN")]


class Used(Part):
    """A part that the landing zone has already: somebody answers for it, by name and for a time."""

    #: an id, a name or an ARN, as the part needs
    id: Text
    #: the sentence that the owner stands for
    what: Annotated[str, Field(min_length=10)]
    owner: Text
    since: Day
    until: Day

    @model_validator(mode="after")
    def _answered_for(self) -> Self:
        for name in ("id", "what", "owner"):
            if not getattr(self, name).strip():
                raise ValueError(f"{name}: is empty: say it, because somebody must answer for the part")
        if self.until < self.since:
            raise ValueError("until: ends before it begins: give a day that isn't before `since`")
        return self


#: one of an account or organisation: made by the kit, or somebody else's
Once = Annotated[
    Annotated[Literal["create"], Tag(TEXT)] | Annotated[Used, Tag(MAPPING)],
    TEXT_OR_MAPPING,
]


class UsedNetwork(Part):
    """A VPC of the landing zone; subnets by availability zone."""

    vpc: Used
    cidr: Network
    nodes: dict[str, Text]
    endpoints: dict[str, Text]
    control_plane: dict[str, Text]
    route_tables: tuple[Text, ...]


class UsedEndpoints(Part):
    """Endpoints of the landing zone: S3's gateway, AWS's list of its addresses, the group of the rest."""

    s3: Used
    prefix_list: Text
    group: Text


class UsedCluster(Part):
    """An EKS cluster of the landing zone, with its nodes, its storage and what runs in it from the start."""

    cluster: Used
    endpoint: Text
    #: its certificates, base64 of PEM as AWS tells them
    authority: Annotated[str, form(r"[A-Za-z0-9+/]{16,16384}={0,2}", "it is PEM in base64, on one line")]
    #: the role of its nodes, which pull images
    nodes: Role


class Singletons(Part):
    """What an account has once."""

    defaults: Once
    autoscaling: Once
    trail: Once
    inventory: Once
    detection: Once


class People(Part):
    """Roles that the kit doesn't make."""

    deployers: Annotated[tuple[Role, ...], Field(min_length=1)]
    publishers: tuple[Role, ...] = ()
    auditors: tuple[Role, ...] = ()


class Vpn(Part):
    """A client VPN: people sign on at a provider of identities."""

    addresses: Network
    certificate: Text
    identities: Text
    groups: Annotated[tuple[Text, ...], Field(min_length=1)]


class Ways(Part):
    """How people reach the private API; the zone has to allow each under `access`."""

    #: the AMI of a host on which Session Manager opens recorded sessions
    sessions: Text | None = None
    vpn: Vpn | None = None


class Reservation(Part):
    """GPUs that are kept, in one availability zone; without an id the kit makes it, and it is paid for."""

    zone: Text
    id: Text | None = None
    block: bool = False

    @model_validator(mode="after")
    def _bought(self) -> Self:
        if self.block and self.id is None:
            raise ValueError("id: is missing: a capacity block is bought beforehand: name its id")
        return self


class Machines(Part):
    """Machines of one type."""

    #: as EC2 names it, such as g6.12xlarge; for engines the smallest that has their GPUs where it is left out
    type: Text | None = None
    count: Count
    zones: tuple[Text, ...] = ()
    reservation: Reservation | None = None


class Aws(Part):
    """One account in one region."""

    region: Text
    account: Annotated[str, form(r"\d{12}", "an account is twelve digits, quoted")]
    #: the first three of the region unless some are named
    zones: tuple[Text, ...] = ()
    #: its addresses, or a VPC that is there
    network: Annotated[
        Annotated[Network, Tag(TEXT)] | Annotated[UsedNetwork, Tag(MAPPING)],
        TEXT_OR_MAPPING,
    ]
    endpoints: UsedEndpoints | None = None
    keys: dict[KeyUse, Used] = Field(default_factory=dict)
    cluster: UsedCluster | None = None
    singletons: Singletons
    #: the policy that denies other regions: `create` where this account is the organisation's own
    organisation: Once
    #: what the policy is attached to where it is created: a root, an organisational unit or an account
    organisation_target: Text | None = None
    people: People
    ways: Ways = Ways()
    #: the nodes of everything but engines
    system: Machines | None = None
    #: the nodes of each model's engines, by the model's name
    gpus: dict[str, Machines] = Field(default_factory=dict)
    #: a version of facts/eks.yaml; the newest unless it is named
    kubernetes: Text | None = None
    #: what `retentionDays` was before, for as long as backups of then are kept
    earlier_retentions: tuple[Count, ...] = ()
    #: addresses of the cluster's Services, outside the network
    services: Network = "172.20.0.0/16"
    #: names of the site that are answered inside, exact or *.suffix
    names: tuple[Text, ...] = ()

    def faults(self, models: Iterable[str], clients: Iterable[str], days: int) -> Iterator[str]:
        """What of it contradicts itself, the models of the stack (by name), the networks of its clients, or
        its retention."""
        if self.organisation == "create" and not self.organisation_target:
            yield "aws.organisationTarget: is missing: name what the policy of regions is attached to"
        if self.cluster is not None:
            yield from self._used_cluster_faults()
            return
        if self.system is None:
            yield "aws.system: is missing: say which machines everything but the engines runs on"
        if set(self.gpus) != set(models):
            yield f"aws.gpus: says which machines each model's engines run on: {', '.join(sorted(models))}"
        if len({days, *self.earlier_retentions}) <= len(self.earlier_retentions):
            yield "aws.earlierRetentions: names each other retention once, and not that of now: retentionDays"
        yield from self._services_faults(clients)
        yield from self._zone_faults()

    def _services_faults(self, clients: Iterable[str]) -> Iterator[str]:
        """The cluster keeps the addresses of its Services to itself: whoever else has them isn't reached."""
        services = ip_network(self.services)
        inside = _SERVICES.covers(NetworkSet.of([self.services]))
        if not inside or not _WIDEST <= services.prefixlen <= _NARROWEST:
            yield (
                f"aws.services: is no network that EKS takes: give one inside {_SERVICES}, with a prefix of "
                f"/{_WIDEST} to /{_NARROWEST}"
            )
        others = {
            "aws.network": [self.network if isinstance(self.network, str) else self.network.cidr],
            "aws.ways.vpn.addresses": [self.ways.vpn.addresses] if self.ways.vpn else [],
            "clients.networks": list(clients),
        }
        for key, networks in others.items():
            if any(services.overlaps(ip_network(network)) for network in networks):
                yield f"aws.services: has addresses of {key}: give the Services a network of their own"

    def _zone_faults(self) -> Iterator[str]:
        """Machines stand in availability zones in which the network has subnets."""
        try:
            there = self.zones or aws.region(self.region).first_zones
        except aws.UnknownRegion:
            return  # the place refuses it, with the regions that there are
        groups = {"aws.system": self.system, **{f"aws.gpus.{name}": one for name, one in self.gpus.items()}}
        for key, machines in groups.items():
            kept = machines.reservation if machines else None
            if kept is not None and kept.zone not in there:
                yield f"{key}.reservation.zone: the network has no subnet there: use {', '.join(there)}"
            if machines is not None and not set(machines.zones) <= set(there):
                yield f"{key}.zones: the network has no subnet in some of them: use {', '.join(there)}"

    def _used_cluster_faults(self) -> Iterator[str]:
        """What stands on a cluster that is there stands on all that the cluster stands on."""
        used = {
            "network": isinstance(self.network, UsedNetwork),
            "endpoints": self.endpoints is not None,
            "keys.audit": "audit" in self.keys,
            "keys.registry": "registry" in self.keys,
            "organisation": isinstance(self.organisation, Used),
            **{
                f"singletons.{name}": isinstance(getattr(self.singletons, name), Used)
                for name in type(self.singletons).model_fields
            },
        }
        for part, there in used.items():
            if not there:
                yield f"aws.{part}: is to be one of the landing zone, as aws.cluster is: name it"
        for part, given in (("system", self.system), ("gpus", self.gpus), ("kubernetes", self.kubernetes)):
            if given:
                yield f"aws.{part}: the cluster has its own: leave it out"
