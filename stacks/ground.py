"""The ground that a stack's settings name: one cluster, known by its UID, and what is in it."""

from components.ground import AuditSink, Gpus, Ground, Images, Storage, Weights
from components.onprem import embedded
from components.onprem.cluster import OnPremCluster, identify
from components.onprem.kubeconfig import Kubeconfig
from components.serving.audit import RECORDS
from facts.site import Site
from stacks.settings import Settings


def lay(settings: Settings, site: Site, stack: str) -> Ground:
    """Finds the cluster, makes what the ground needs there. Raises ClusterError before anything is made."""
    access, uid = _cluster(settings, site)
    provider = OnPremCluster(stack, access, uid).provider
    audit = AuditSink(
        settings.audit.size, settings.retention_days, settings.audit.networks, settings.audit.port
    )
    images = Images(settings.images.vllm, settings.images.gateway, settings.images.audit)
    if settings.embedded is None:
        return Ground(
            provider=provider,
            cluster_uid=uid,
            storage=Storage(_given(settings.storage_class), _given(settings.storage_key)),
            weights=Weights(_given(settings.model.volume), settings.model.size),
            audit=audit,
            images=images,
            gpus=Gpus(settings.model.gpu),
        )
    storage = embedded.SimulatedStorage(
        "storage", settings.model.size, settings.audit.size, (settings.namespaces.audit, RECORDS), provider
    )
    return Ground(
        provider=provider,
        cluster_uid=uid,
        storage=Storage(embedded.CLASS, embedded.KEY),
        weights=Weights(embedded.WEIGHTS, settings.model.size),
        audit=audit,
        images=images,
        gpus=Gpus(settings.embedded.gpu),
        made=storage.made,
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
