"""What others make for a stack, because it may not: the objects that a whole cluster shares, as plain data.

With `cluster.rights: namespaces` the cluster's owner applies them once, and again when the settings or the
zone have changed; the stack then needs the rights of its role in its own namespaces, and no others.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from components.serving import namespaces, vllm
from facts.site import Site
from facts.zones import Zone
from stacks.served import served
from stacks.service import admission_policies
from stacks.settings import Settings

_RBAC: Final = "rbac.authorization.k8s.io"
_LABELS: Final = {"app.kubernetes.io/part-of": "sovereign"}
#: What a stack makes in its namespaces, by API group.
_MAKES: Final[Mapping[str, tuple[str, ...]]] = {
    "": ("configmaps", "persistentvolumeclaims", "resourcequotas", "secrets", "serviceaccounts", "services"),
    "apps": ("deployments", "statefulsets"),
    "autoscaling": ("horizontalpodautoscalers",),
    "cert-manager.io": ("certificates", "issuers"),
    "gateway.networking.k8s.io": ("tlsroutes",),
    "monitoring.coreos.com": ("podmonitors", "prometheusrules", "servicemonitors"),
    "networking.k8s.io": ("networkpolicies",),
    "policy": ("poddisruptionbudgets",),
    _RBAC: ("rolebindings", "roles"),
}
#: What whoever waits for it looks at.
_LOOKS: Final[Mapping[str, tuple[str, ...]]] = {
    "": ("endpoints", "events", "pods"),
    "apps": ("replicasets",),
    "discovery.k8s.io": ("endpointslices",),
}
_CHANGE: Final = ("create", "delete", "get", "list", "patch", "update", "watch")
_LOOK: Final = ("get", "list", "watch")


def deployers(stack: str) -> str:
    """The Kubernetes group of whoever applies the stack: an access entry of EKS gives it to a role."""
    return f"sovereign:{stack}"


def of_cluster(settings: Settings, site: Site, zone: Zone, stack: str) -> list[dict[str, Any]]:
    """The objects, in the order in which they are applied. Raises CatalogueError for a model that is not
    known."""
    names = settings.namespaces
    places = (names.gateway, names.serving, names.audit)
    made = [_object("v1", "Namespace", metadata=namespaces.metadata(place)) for place in places]
    for model in served(settings, site):
        made.append(_object("scheduling.k8s.io/v1", "PriorityClass", **_priority(model, names.serving)))
    made += admission_policies(settings, site, zone)
    for place in places:
        made += _rights(place, stack)
    return made


def _priority(model: vllm.Model, namespace: str) -> dict[str, Any]:
    given = dict(vllm.priority(model, namespace))
    return {
        "metadata": given["metadata"],
        "value": given["value"],
        "globalDefault": given["global_default"],
        "preemptionPolicy": given["preemption_policy"],
        "description": given["description"],
    }


def _rights(namespace: str, stack: str) -> Iterator[dict[str, Any]]:
    """A role over what the stack makes in a namespace, for those who apply it."""
    name = "deployer"
    metadata = {"name": name, "namespace": namespace, "labels": _LABELS}
    rules = [
        {"apiGroups": [group], "resources": list(kinds), "verbs": list(verbs)}
        for granted, verbs in ((_MAKES, _CHANGE), (_LOOKS, _LOOK))
        for group, kinds in granted.items()
    ]
    yield _object(f"{_RBAC}/v1", "Role", metadata=metadata, rules=rules)
    yield _object(
        f"{_RBAC}/v1",
        "RoleBinding",
        metadata=metadata,
        roleRef={"apiGroup": _RBAC, "kind": "Role", "name": name},
        subjects=[{"apiGroup": _RBAC, "kind": "Group", "name": deployers(stack)}],
    )


def _object(version: str, kind: str, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, **fields}
