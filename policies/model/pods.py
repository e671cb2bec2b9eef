"""Where an object holds pods: the kinds of the Kubernetes API by name, custom resources by what pods look
like, because no list of their kinds is whole.

What a custom resource holds is told by operators' own API references: KubeRay (template), Argo (template,
container, script, sidecars), KServe (containers, model), Prometheus and OpenTelemetry (containers,
additionalContainers, hostNetwork), Tekton (steps, sidecars), Spark (template, sidecars).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from policies.model.marker import Marker

#: Kinds that hold pods, and where in them the pod's own `metadata` and `spec` lie ("": at its root).
TEMPLATES: Final[Mapping[str, tuple[str, ...]]] = {
    "core/Pod": ("",),
    "core/PodTemplate": ("template",),
    "core/ReplicationController": ("spec.template",),
    "apps/Deployment": ("spec.template",),
    "apps/DaemonSet": ("spec.template",),
    "apps/ReplicaSet": ("spec.template",),
    "apps/StatefulSet": ("spec.template",),
    "batch/Job": ("spec.template",),
    "batch/CronJob": ("spec.jobTemplate.spec.template",),
    "leaderworkerset.x-k8s.io/LeaderWorkerSet": (
        "spec.leaderWorkerTemplate.leaderTemplate",
        "spec.leaderWorkerTemplate.workerTemplate",
    ),
}
#: Stands, for rules that look at pods, for every other kind that holds some.
HOLDER: Final = "any/Holder"

#: The lists of a pod's containers.
CONTAINERS: Final = ("containers", "initContainers", "ephemeralContainers")

#: Groups of the Kubernetes API whose other kinds hold no pods: objects of theirs needn't be searched.
_WITHOUT: Final = frozenset(
    (
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "autoscaling",
        "coordination.k8s.io",
        "core",
        "discovery.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
    )
)
#: Settings that nothing but a pod has.
_SETTINGS: Final = frozenset(("dnsConfig", "dnsPolicy", "hostAliases", "hostIPC", "hostNetwork", "hostPID"))
#: Under these names operators keep containers besides the lists of a pod: each, or the one, with its image.
_MORE: Final = re.compile(r"container|\w+Containers|model|script|sidecars|steps")


@dataclass(frozen=True)
class Holding:
    """What holds a pod: a mapping with its `metadata` and `spec`, or, where it is `flat`, its specification
    itself. `groups`: under which keys of the specification its containers are."""

    value: Mapping[str, Any]
    path: str
    flat: bool
    groups: tuple[str, ...]


def may_hold(kind: str | None) -> bool:
    """Whether objects of a kind must be searched for pods."""
    return kind is not None and kind not in TEMPLATES and kind.rpartition("/")[0] not in _WITHOUT


def holdings(inputs: Mapping[str, Any]) -> tuple[Holding, ...]:
    """The pods in an object."""
    return tuple(_search(inputs, "", None))


def _search(value: Any, path: str, template: Mapping[str, Any] | None) -> Iterator[Holding]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _search(item, f"{path}[{index}]", None)
    elif isinstance(value, Mapping):
        groups = tuple(name for name, item in value.items() if isinstance(name, str) and _holds(name, item))
        if groups or not _SETTINGS.isdisjoint(value):
            if template is not None:
                yield Holding(template, path.removesuffix(".spec"), False, groups)
            else:
                yield Holding(value, path, True, groups)
        for name, item in value.items():
            # the labels of the custom resource itself need not be those of its pods
            inner = value if name == "spec" and path else None
            yield from _search(item, f"{path}.{name}" if path else name, inner)


def _holds(name: str, value: Any) -> bool:
    """Whether what stands under a name is a container, or a list of them."""
    if name in CONTAINERS:
        return isinstance(value, Marker) or (isinstance(value, list) and any(map(_may_be_one, value)))
    if not _MORE.fullmatch(name):
        return False
    listed = value if isinstance(value, list) else [value]
    return any(isinstance(one, Mapping) and isinstance(one.get("image"), str | Marker) for one in listed)


def _may_be_one(value: Any) -> bool:
    return isinstance(value, Mapping | Marker)
