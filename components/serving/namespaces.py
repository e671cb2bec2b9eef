"""The namespaces of the service, each held to the Pod Security standard `restricted`."""

from dataclasses import dataclass

from pulumi import ComponentResource, ResourceOptions
from pulumi_kubernetes.core.v1 import Namespace
from pulumi_kubernetes.meta.v1 import ObjectMetaArgsDict

from components.ground import Ground

#: the standard as this release defines it: `latest` would change under a cluster's upgrade
_POD_SECURITY = "v1.36"


@dataclass(frozen=True)
class NamespaceNames:
    """What the three namespaces are called, and where the cluster's Prometheus runs."""

    gateway: str = "llm-gateway"
    serving: str = "llm-serving"
    audit: str = "llm-audit"
    monitoring: str = "monitoring"


class Namespaces(ComponentResource):
    """One namespace for the gateway, one for the model, one for the audit records; on a shared cluster its
    owner has made them."""

    names: NamespaceNames
    gateway: Namespace | None
    serving: Namespace | None
    audit: Namespace | None

    def __init__(
        self, name: str, names: NamespaceNames, ground: Ground, opts: ResourceOptions | None = None
    ) -> None:
        super().__init__("sovereign:index:Namespaces", name, None, opts)
        self.names = names
        self.gateway = self._namespace(names.gateway, ground)
        self.serving = self._namespace(names.serving, ground)
        self.audit = self._namespace(names.audit, ground)
        self.register_outputs({})

    def _namespace(self, name: str, ground: Ground) -> Namespace | None:
        if ground.shared:
            return None
        return Namespace(
            name,
            metadata=metadata(name),
            opts=ResourceOptions(parent=self, provider=ground.provider, depends_on=list(ground.made)),
        )


def metadata(name: str) -> ObjectMetaArgsDict:
    """What a namespace of the service is called and labelled."""
    modes = ("enforce", "audit", "warn")
    return {
        "name": name,
        "labels": {
            "app.kubernetes.io/part-of": "sovereign",
            **{f"pod-security.kubernetes.io/{mode}": "restricted" for mode in modes},
            **{f"pod-security.kubernetes.io/{mode}-version": _POD_SECURITY for mode in modes},
        },
    }
