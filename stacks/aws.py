"""From a stack's settings to the ground on AWS that they ask for."""

from collections.abc import Mapping

from components.aws.access import VpnMembers
from components.aws.endpoints import UsedEndpoints
from components.aws.ground import AwsGround, Parts, Singletons, Ways
from components.aws.keys import KeyPeople
from components.aws.network import UsedNetwork
from components.aws.nodes import Machines, Reservation
from components.aws.organisation import RegionGuard
from components.aws.place import Place
from components.aws.storage import volume_of
from components.aws.tenant import Surroundings, Tenant, UsedCluster
from components.aws.use import CREATE, Part, Use
from components.ground import Weights
from components.serving.names import AUDIT
from facts import aws, instances
from facts.gpus import Gpu
from facts.site import Site
from facts.zones import Zone
from stacks import aws_settings as schema
from stacks.served import gpus_of, served
from stacks.settings import Settings

#: the cloud, as facts/instances.yaml has it
_CLOUD = "aws"


def place_of(settings: Settings, stack: str) -> Place:
    """Where it stands. Raises PlaceError."""
    given = _given(settings)
    return Place.at(stack, region=given.region, account=given.account, zones=given.zones)


def lay(settings: Settings, site: Site, zone: Zone, place: Place) -> AwsGround:
    """What AWS makes. Raises the errors of its components, and NotThere for a model that no GPU there
    holds."""
    given = _given(settings)
    ground = AwsGround(place.name, place, zone, parts(settings, site, given))
    if given.organisation == CREATE:
        assert given.organisation_target is not None, "the settings hold it where the policy is created"
        target, deployers = given.organisation_target, given.people.deployers
        RegionGuard(f"{place.name}-regions", place, zone, target, deployers, after=[ground])
    return ground


def settle(settings: Settings, place: Place) -> Tenant:
    """What the stack makes of its own where network, keys and cluster are there."""
    given = _given(settings)
    assert given.cluster is not None, "whoever calls has seen that it is there"
    assert given.endpoints is not None, "the settings hold it where the cluster is used"
    found = Surroundings(
        cluster=UsedCluster(
            cluster=_use(given.cluster.cluster),
            endpoint=given.cluster.endpoint,
            authority=given.cluster.authority,
            nodes=given.cluster.nodes,
        ),
        endpoint=_use(given.endpoints.s3),
        registry_key=_use(given.keys["registry"]),
        audit_key=_use(given.keys["audit"]),
    )
    auditor, people = (settings.namespaces.audit, AUDIT), given.people
    days = settings.retention_days
    return Tenant(place.name, place, found, people.publishers, people.deployers, auditor, days)


def weights(settings: Settings, place: Place) -> Mapping[str, Weights]:
    """The signed weights of each model, on the volumes that the ground makes of its bucket."""
    return {
        model.name: Weights(
            volume=volume_of(place, model.name),
            size=model.weights.size,
            read_rate=model.weights.read_rate * 1_000_000,
            digest=model.weights.digest,
            public_key=settings.weights_key,
        )
        for model in settings.models
    }


def parts(settings: Settings, site: Site, given: schema.Aws) -> Parts:
    """The settings as components take them."""
    once, system = given.singletons, given.system
    assert system is not None, "the settings hold it where the cluster is made"
    return Parts(
        network=given.network if isinstance(given.network, str) else _network(given.network),
        endpoints=UsedEndpoints(
            s3=_use(given.endpoints.s3),
            prefix_list=given.endpoints.prefix_list,
            group=given.endpoints.group,
        )
        if given.endpoints
        else None,
        keys={use: _use(one) for use, one in given.keys.items()},
        singletons=Singletons(
            defaults=_part(once.defaults),
            autoscaling=_part(once.autoscaling),
            trail=_part(once.trail),
            inventory=_part(once.inventory),
            detection=_part(once.detection),
        ),
        people=KeyPeople(**given.people.model_dump()),
        ways=Ways(
            sessions=given.ways.sessions,
            vpn=VpnMembers(**given.ways.vpn.model_dump()) if given.ways.vpn else None,
        ),
        system=_machines(system, system.type or "m7i.xlarge"),
        gpus=_gpu_machines(settings, site, given),
        kubernetes=given.kubernetes,
        services=given.services,
        names=given.names,
        auditor=(settings.namespaces.audit, AUDIT),
        days=settings.retention_days,
        earlier=given.earlier_retentions,
    )


def _gpu_machines(settings: Settings, site: Site, given: schema.Aws) -> Mapping[str, Machines]:
    kinds, found = gpus_of(settings), {}
    for model in served(settings, site):
        asked, kind = given.gpus[model.name], kinds[model.name]
        attested = (asked.type,) if asked.type else ()
        machine = instances.choose(_CLOUD, given.region, model.demand, kind.name, model.gpus, attested)
        type = asked.type or machine.name
        there = _offered(f"aws.gpus.{model.name}", asked, type, given)
        found[model.name] = _machines(asked, type, kind, there)
    return found


def _offered(key: str, asked: schema.Machines, type: str, given: schema.Aws) -> tuple[str, ...]:
    """The availability zones for machines of a type: those that are asked for, else those of the place in
    which the type is offered. Who names the type answers for the zones that they name. Raises NotThere."""
    kept, region = asked.reservation, aws.region(given.region)
    offered = region.zones_of(instances.zones(_CLOUD, given.region, type))
    named = (kept.zone,) if kept else asked.zones
    if not offered or (named and asked.type) or (kept and kept.id):
        return named
    place = given.zones or region.first_zones
    if any(zone not in offered for zone in named):
        raise instances.NotThere(
            f"{key}: {type} is known to be offered in {', '.join(offered)} of {given.region} alone: use those "
            "zones, or name the type beside zones that AWS has told you."
        )
    if not (there := tuple(zone for zone in named or place if zone in offered)):
        raise instances.NotThere(
            f"{key}: {type} is known to be offered in {', '.join(offered)} of {given.region}, and the place "
            "has none of these: add one to aws.zones."
        )
    return there


def _machines(
    given: schema.Machines, type: str, gpu: Gpu | None = None, zones: tuple[str, ...] = ()
) -> Machines:
    kept = given.reservation
    return Machines(
        type=type,
        count=given.count,
        zones=zones or given.zones,
        gpu=gpu,
        reservation=Reservation(zone=kept.zone, id=kept.id, block=kept.block) if kept else None,
    )


def _network(given: schema.UsedNetwork) -> UsedNetwork:
    return UsedNetwork(
        vpc=_use(given.vpc),
        cidr=given.cidr,
        nodes=given.nodes,
        endpoints=given.endpoints,
        control_plane=given.control_plane,
        route_tables=given.route_tables,
    )


def _part(given: schema.Once) -> Part:
    return CREATE if isinstance(given, str) else _use(given)


def _use(given: schema.Used) -> Use:
    return Use(**given.model_dump())


def _given(settings: Settings) -> schema.Aws:
    assert settings.aws is not None, "the settings hold it where the cluster is the ground's"
    return settings.aws
