"""The service on its ground, in the order in which it stands on each other."""

from collections.abc import Mapping
from typing import Any

from pulumi import Output

from components.ground import Ground
from components.serving.admission import Admission
from components.serving.audit import AuditService
from components.serving.certificates import ClusterAuthority
from components.serving.entrance import Clients, Entrance, LoadBalancer, SharedGateway
from components.serving.gateway import Gateway
from components.serving.isolation import Isolation, Peer
from components.serving.keys import Keys
from components.serving.names import slug
from components.serving.namespaces import NamespaceNames, Namespaces
from components.serving.observability import Observability
from components.serving.observers import Observers
from components.serving.vllm import VllmServer
from facts.site import Site
from facts.zones import Zone
from policies import admission, rules
from stacks import served
from stacks.settings import Settings


def stand_up(
    settings: Settings,
    site: Site,
    zone: Zone,
    ground: Ground,
    audit_key: Output[str],
    certificates: Output[str] | None,
) -> Mapping[str, str]:
    """Everything that runs; gives the stack's outputs. The keys are those of secret_config.py; without
    certificates, cert-manager issues them."""
    names = NamespaceNames(**settings.namespaces.model_dump())
    models = served.served(settings, site)

    if not ground.shared:
        Admission("admission", admission_policies(settings, site, zone), ground)
    namespaces = Namespaces("namespaces", names, ground)
    callers = clients(settings)
    door = callers.through if isinstance(callers.through, SharedGateway) else None
    peer = Peer(door.namespace, door.pods) if door else None
    isolation = Isolation("isolation", namespaces, callers.networks, peer, ground)
    issuer = ClusterAuthority("certificates", names.serving, ground) if certificates is None else certificates
    other = None if settings.clients.issuer == "kit" else settings.clients.issuer
    served_names = [model.name for model in models]
    keys = Keys("keys", audit_key, issuer, served_names, isolation, callers.host, other)
    audit = AuditService("audit", isolation.audit, keys, ground)
    engines = {
        model.name: VllmServer(slug(model.name), model, isolation.serving, keys, ground) for model in models
    }
    urls = {name: engine.url for name, engine in engines.items()}
    gateway = Gateway("gateway", urls, audit, isolation.gateway, keys, ground)
    if callers.through is not None:
        Entrance("entrance", callers, isolation.gateway)
    Observers("observers", settings.observers, isolation)
    if settings.observability == "prometheus-operator":
        identities = [model.identity for model in models]
        Observability("observability", isolation, keys, identities, names.monitoring, ground)
    return {"cluster": ground.cluster_uid, "gateway": gateway.url, "models": ", ".join(sorted(urls))}


def admission_policies(settings: Settings, site: Site, zone: Zone) -> list[dict[str, Any]]:
    """The admission policies that hold the stack's namespaces, as objects."""
    names = settings.namespaces
    guarded = (names.gateway, names.serving, names.audit)
    return admission.policies(rules.load(site.folder), zone, names.serving, guarded)


def clients(settings: Settings) -> Clients:
    """Who may call, and through what."""
    given = settings.clients
    through: LoadBalancer | SharedGateway | None = None
    if given.load_balancer is not None:
        through = LoadBalancer(**given.load_balancer.model_dump())
    elif given.gateway is not None:
        through = SharedGateway(**given.gateway.model_dump())
    return Clients(given.networks, given.host, through)
