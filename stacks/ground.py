"""The ground that a stack's settings name: one cluster, known by its UID, and what is in it."""

from components.ground import AuditSink, Ground, Images, NodeCache, Storage, Weights
from components.onprem import embedded
from components.onprem.cluster import OnPremCluster, identify
from components.onprem.kubeconfig import Kubeconfig
from components.serving.audit import RECORDS
from facts.site import Site
from stacks import settings as schema
from stacks.served import gpus_of
from stacks.settings import Settings


def lay(settings: Settings, site: Site, stack: str) -> Ground:
    """Finds the cluster, makes what the ground needs there. Raises ClusterError or CatalogueError
    before anything is made."""
    key = settings.weights_key
    kinds = gpus_of(settings)
    access, uid = _cluster(settings, site)
    provider = OnPremCluster(stack, access, uid).provider
    audit = AuditSink(
        settings.audit.size, settings.retention_days, settings.audit.networks, settings.audit.port
    )
    images = Images(**settings.images.model_dump())
    if settings.embedded is None:
        return Ground(
            provider=provider,
            cluster_uid=uid,
            storage=Storage(_given(settings.storage_class), _given(settings.storage_key)),
            weights={
                model.name: _weights(model.weights, _given(model.weights.volume), key)
                for model in settings.models
            },
            audit=audit,
            images=images,
            gpus=kinds,
            gpu_labels={name: gpu.products[0] for name, gpu in kinds.items()},
        )
    service = settings.namespaces.serving
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
        audit=audit,
        images=images,
        gpus=kinds,
        gpu_labels={model.name: settings.embedded.gpu for model in settings.models},
        made=storage.made,
    )


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
