"""The ground that a stack's settings name: one cluster, known by its UID, and what is in it.

On a cloud it comes in two stages: what the cloud makes, then what stands in the cluster. A review, which
makes nothing, plans both at once; a release goes on only when the cluster is there and has told its UID.
"""

from pulumi_kubernetes import Provider

from components.aws.place import Place
from components.ground import AuditSink, Ground, Images, NodeCache, Storage, Weights
from components.onprem import embedded
from components.onprem.cluster import OnPremCluster, identify
from components.onprem.kubeconfig import Kubeconfig
from components.serving.audit import RECORDS
from facts.site import Site
from facts.zones import Zone
from stacks import aws, stages
from stacks import settings as schema
from stacks.served import gpus_of
from stacks.settings import Settings


def lay(settings: Settings, site: Site, zone: Zone, stack: str) -> Ground | None:
    """Finds the cluster, makes what the ground needs there; None where there is no cluster yet. Raises
    ClusterError, CatalogueError or the errors of a platform before anything is made."""
    if settings.cluster.of_ground:
        place = aws.place_of(settings, stack)
        return on_aws(settings, site, zone, place, stages.cluster_uid(settings, stack))
    access, uid = _cluster(settings, site)
    provider = OnPremCluster(stack, access, uid).provider
    return (
        _there(settings, provider, uid) if settings.embedded is None else _embedded(settings, provider, uid)
    )


def on_aws(settings: Settings, site: Site, zone: Zone, place: Place, uid: str | None) -> Ground | None:
    """`uid`: that of the cluster, or what stands for it; None where the cloud's part comes first."""
    assert settings.aws is not None, "the settings hold it where the cluster is the ground's"
    if settings.aws.cluster is not None:
        tenant = aws.settle(settings, place)
        return None if uid is None else _there(settings, tenant.provider(uid), uid)
    made = aws.lay(settings, site, zone, place)
    if uid is None:
        return None
    return made.platform(uid, aws.weights(settings, place), _sink(settings), _images(settings))


def _there(settings: Settings, provider: Provider, uid: str) -> Ground:
    """A cluster that has nodes, storage and volumes of weights already."""
    key, kinds = settings.weights_key, gpus_of(settings)
    return Ground(
        provider=provider,
        cluster_uid=uid,
        storage=Storage(_given(settings.storage_class), _given(settings.storage_key)),
        weights={
            model.name: _weights(model.weights, _given(model.weights.volume), key)
            for model in settings.models
        },
        audit=_sink(settings),
        images=_images(settings),
        gpus=kinds,
        gpu_labels={name: gpu.products[0] for name, gpu in kinds.items()},
        shared=settings.cluster.rights == "namespaces",
        keeps=settings.aws is not None,
    )


def _embedded(settings: Settings, provider: Provider, uid: str) -> Ground:
    """The local cluster, whose storage and volumes are simulated."""
    assert settings.embedded is not None, "whoever calls has seen that it is there"
    key, service, product = settings.weights_key, settings.namespaces.serving, settings.embedded.gpu
    storage = embedded.SimulatedStorage(
        "storage",
        service,
        {model.name: model.weights.size for model in settings.models},
        settings.audit.size,
        (settings.namespaces.audit, RECORDS),
        provider,
    )
    return Ground(
        provider=provider,
        cluster_uid=uid,
        storage=Storage(storage.class_name, embedded.KEY),
        weights={
            model.name: _weights(model.weights, embedded.volume_of(service, model.name), key)
            for model in settings.models
        },
        audit=_sink(settings),
        images=_images(settings),
        gpus=gpus_of(settings),
        gpu_labels={model.name: product for model in settings.models},
        made=storage.made,
    )


def _sink(settings: Settings) -> AuditSink:
    kept = settings.audit
    return AuditSink(kept.size, settings.retention_days, kept.networks, kept.port)


def _images(settings: Settings) -> Images:
    return Images(**settings.images.model_dump())


def _weights(given: schema.Weights, volume: str, key: str) -> Weights:
    cache = given.cache
    return Weights(
        volume=volume,
        size=given.size,
        read_rate=given.read_rate * 1_000_000,
        digest=given.digest,
        public_key=key,
        cache=NodeCache(Storage(cache.storage_class, cache.storage_key), cache.size) if cache else None,
    )


def _cluster(settings: Settings, site: Site) -> tuple[Kubeconfig, str]:
    if settings.cluster.embedded:
        access = Kubeconfig.read(site.cluster / "kubeconfig")
        return access, access.uid()
    access = Kubeconfig.read(site.path(settings.cluster.kubeconfig), settings.cluster.context)
    return access, identify(access, settings.cluster.uid)


def _given(value: str | None) -> str:
    assert value is not None, "the settings ask for it on a cluster of one's own"
    return value
