"""The service on its ground, in the order in which it stands on each other."""

from collections.abc import Mapping

from pulumi import Output

from components.ground import Ground
from components.serving.audit import AuditService
from components.serving.gateway import Gateway
from components.serving.isolation import Isolation
from components.serving.keys import Keys
from components.serving.namespaces import NamespaceNames, Namespaces
from components.serving.observers import Observers
from components.serving.vllm import Model, VllmServer
from stacks.settings import Settings


def stand_up(
    settings: Settings, ground: Ground, audit_key: Output[str], certificates: Output[str]
) -> Mapping[str, str]:
    """Everything that runs; gives the stack's outputs. The keys are those of secret_config.py."""
    names = NamespaceNames(**settings.namespaces.model_dump())
    served = settings.model
    model = Model(served.name, served.path, served.gpus, served.max_length, served.replicas)

    namespaces = Namespaces("namespaces", names, ground)
    isolation = Isolation("isolation", namespaces, settings.clients, ground)
    keys = Keys("keys", audit_key, certificates, isolation)
    audit = AuditService("audit", isolation.audit, keys, ground)
    vllm = VllmServer("vllm", model, isolation.serving, keys, ground)
    gateway = Gateway("gateway", model, vllm, audit, isolation.gateway, keys, ground)
    Observers("observers", settings.observers, isolation)
    return {"cluster": ground.cluster_uid, "gateway": gateway.url, "model": model.name}
