"""The service on its ground, in the order in which it stands on each other."""

from collections.abc import Mapping

from pulumi import Output

from components.ground import Ground
from components.serving.admission import Admission
from components.serving.audit import AuditService
from components.serving.certificates import ClusterAuthority
from components.serving.gateway import Gateway
from components.serving.isolation import Isolation
from components.serving.keys import Keys
from components.serving.names import slug
from components.serving.namespaces import NamespaceNames, Namespaces
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

    Admission("admission", admission.policies(rules.load(site.folder), zone, names.serving), ground)
    namespaces = Namespaces("namespaces", names, ground)
    isolation = Isolation("isolation", namespaces, settings.clients, ground)
    issuer = ClusterAuthority("certificates", names.serving, ground) if certificates is None else certificates
    keys = Keys("keys", audit_key, issuer, [model.name for model in models], isolation)
    audit = AuditService("audit", isolation.audit, keys, ground)
    engines = {
        model.name: VllmServer(slug(model.name), model, isolation.serving, keys, ground) for model in models
    }
    urls = {name: engine.url for name, engine in engines.items()}
    gateway = Gateway("gateway", urls, audit, isolation.gateway, keys, ground)
    Observers("observers", settings.observers, isolation)
    return {"cluster": ground.cluster_uid, "gateway": gateway.url, "models": ", ".join(sorted(urls))}
