"""When an object is as it should be: what its status has to say, kind by kind.

Workloads are ready when `kubectl rollout status` says so (k8s.io/kubectl,
pkg/polymorphichelpers/rollout_status.go); the other kinds are those for which the official plugin waits
(provider/pkg/await).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toolchain.providers.core import Refused
from toolchain.providers.kubernetes import objects
from toolchain.providers.kubernetes.objects import kind_of

Obj = Mapping[str, Any]
#: gives the object or list at an API path with a query, None when it isn't there
Look = Callable[[str, Mapping[str, str]], dict[str, Any] | None]

DEFAULT_SECONDS = 600.0


@dataclass(frozen=True)
class Progress:
    """How far an object is: `failed` says that waiting longer won't help."""

    done: bool
    message: str = ""
    failed: bool = False


READY = Progress(True)
Judge = Callable[[Obj, Look], Progress]


@dataclass(frozen=True)
class Readiness:
    """How to judge objects of a kind, and how many seconds to wait for them unless told otherwise.

    `refreshed` says that a refresh judges them as well, so that one that isn't ready any more is repaired.
    """

    judge: Judge
    seconds: float = DEFAULT_SECONDS
    refreshed: bool = False


def readiness_of(obj: Obj) -> Readiness | None:
    """How to judge `obj`, None when there is nothing to wait for; raises Refused for a waitFor that isn't
    understood.
    """
    if objects.asks(obj, objects.SKIP_AWAIT):
        return None
    if text := objects.annotation(obj, objects.WAIT_FOR):
        return Readiness(_waits_for(text))
    kind = kind_of(obj)
    return _KINDS.get((kind.group, kind.name))


def at(obj: Any, *path: str) -> Any:
    """What lies at `path`, None when there is no such thing."""
    for key in path:
        obj = obj.get(key) if isinstance(obj, dict) else None
    return obj


def condition(obj: Obj, type: str) -> Mapping[str, Any]:
    """The condition of a type in the object's status; empty when there is none."""
    for found in at(obj, "status", "conditions") or []:
        if isinstance(found, dict) and found.get("type") == type:
            return found
    return {}


def holds(obj: Obj, type: str) -> bool:
    """Whether the condition of a type is True."""
    return condition(obj, type).get("status") == "True"


def _number(obj: Obj, *path: str) -> int:
    value = at(obj, *path)
    return value if isinstance(value, int) else 0


def _observed(obj: Obj) -> bool:
    return _number(obj, "status", "observedGeneration") >= _number(obj, "metadata", "generation")


def _deployment(obj: Obj, look: Look) -> Progress:
    if at(obj, "spec", "paused"):
        return READY
    if not _observed(obj):
        return Progress(False, "waiting for the deployment controller")
    progressing = condition(obj, "Progressing")
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return Progress(
            False, str(progressing.get("message", "its progress deadline has passed")), failed=True
        )
    wanted, status = at(obj, "spec", "replicas"), "status"
    wanted = 1 if wanted is None else wanted
    updated = _number(obj, status, "updatedReplicas")
    total = _number(obj, status, "replicas")
    available = _number(obj, status, "availableReplicas")
    if updated < wanted:
        trouble = condition(obj, "ReplicaFailure")
        said = f": {trouble['message']}" if trouble.get("status") == "True" and trouble.get("message") else ""
        return Progress(False, f"{updated} of {wanted} replicas are made{said}")
    if total > updated:
        return Progress(False, f"{total - updated} old replicas are still ending")
    if available < updated:
        return Progress(False, f"{available} of {updated} replicas are available")
    return READY


def _stateful_set(obj: Obj, look: Look) -> Progress:
    if at(obj, "spec", "updateStrategy", "type") == "OnDelete":
        return READY
    if not _observed(obj):
        return Progress(False, "waiting for the stateful set controller")
    wanted = at(obj, "spec", "replicas")
    wanted = 1 if wanted is None else wanted
    ready = _number(obj, "status", "readyReplicas")
    if ready < wanted:
        return Progress(False, f"{ready} of {wanted} replicas are ready")
    partition = _number(obj, "spec", "updateStrategy", "rollingUpdate", "partition")
    updated = _number(obj, "status", "updatedReplicas")
    if partition and updated < wanted - partition:
        return Progress(False, f"{updated} of {wanted - partition} replicas are updated")
    if not partition and at(obj, "status", "updateRevision") != at(obj, "status", "currentRevision"):
        return Progress(False, f"{updated} of {wanted} replicas are updated")
    return READY


def _daemon_set(obj: Obj, look: Look) -> Progress:
    if at(obj, "spec", "updateStrategy", "type") == "OnDelete":
        return READY
    if not _observed(obj):
        return Progress(False, "waiting for the daemon set controller")
    wanted = _number(obj, "status", "desiredNumberScheduled")
    updated = _number(obj, "status", "updatedNumberScheduled")
    available = _number(obj, "status", "numberAvailable")
    if updated < wanted:
        return Progress(False, f"{updated} of {wanted} pods are updated")
    if available < wanted:
        return Progress(False, f"{available} of {wanted} pods are available")
    return READY


def _replication_controller(obj: Obj, look: Look) -> Progress:
    wanted = at(obj, "spec", "replicas")
    wanted = 1 if wanted is None else wanted
    available = _number(obj, "status", "availableReplicas")
    return Progress(_observed(obj) and available >= wanted, f"{available} of {wanted} replicas are available")


def _job(obj: Obj, look: Look) -> Progress:
    if holds(obj, "Failed"):
        failed = condition(obj, "Failed")
        return Progress(False, f"it failed: {failed.get('message') or failed.get('reason')}", failed=True)
    if holds(obj, "Complete") or at(obj, "spec", "suspend"):
        return READY
    active, succeeded = _number(obj, "status", "active"), _number(obj, "status", "succeeded")
    return Progress(False, f"{active} pods run, {succeeded} have succeeded")


def _pod(obj: Obj, look: Look) -> Progress:
    phase = at(obj, "status", "phase")
    if phase == "Succeeded" or (phase == "Running" and holds(obj, "Ready")):
        return READY
    if phase == "Failed":
        reason = at(obj, "status", "message") or at(obj, "status", "reason") or "its containers have ended"
        return Progress(False, f"it failed: {reason}", failed=True)
    return Progress(False, f"it is {phase or 'not started'}")


def _claim(obj: Obj, look: Look) -> Progress:
    phase = at(obj, "status", "phase")
    if phase == "Bound":
        return READY
    name = at(obj, "spec", "storageClassName")
    if phase == "Pending" and name:
        storage = look(f"/apis/storage.k8s.io/v1/storageclasses/{name}", {})
        if storage and storage.get("volumeBindingMode") == "WaitForFirstConsumer":
            return READY
    return Progress(False, f"it is {phase or 'new'}, of storage class {name or '(none)'}")


def _volume(obj: Obj, look: Look) -> Progress:
    phase = at(obj, "status", "phase")
    return Progress(phase in ("Available", "Bound"), f"it is {phase or 'new'}")


def _service(obj: Obj, look: Look) -> Progress:
    spec = obj.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return READY
    if spec.get("type") == "LoadBalancer" and not at(obj, "status", "loadBalancer", "ingress"):
        return Progress(False, "it has no address of a load balancer yet")
    if spec.get("clusterIP") == "None" or not spec.get("selector"):
        return READY
    namespace, name = objects.namespace_of(obj), objects.name_of(obj)
    slices = look(
        f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
        {"labelSelector": f"kubernetes.io/service-name={name}"},
    )
    items = (slices or {}).get("items") or []
    if not items:
        return Progress(False, "waiting for the endpoints controller")
    waiting = sum(
        1
        for part in items
        for endpoint in part.get("endpoints") or []
        if at(endpoint, "conditions", "ready") is False and not at(endpoint, "conditions", "terminating")
    )
    return Progress(waiting == 0, f"{waiting} of the pods that it selects aren't ready")


def _ingress(obj: Obj, look: Look) -> Progress:
    addresses = at(obj, "status", "loadBalancer", "ingress")
    return Progress(bool(addresses), "it has no address of a load balancer yet")


def _quota(obj: Obj, look: Look) -> Progress:
    wanted, known = at(obj, "spec", "hard"), at(obj, "status", "hard")
    return Progress(wanted == known or not wanted, "the quota controller hasn't taken it up yet")


def _secret(obj: Obj, look: Look) -> Progress:
    if obj.get("type") != "kubernetes.io/service-account-token":
        return READY
    return Progress(bool(obj.get("data")), "its token isn't made yet")


def _namespace(obj: Obj, look: Look) -> Progress:
    phase = at(obj, "status", "phase")
    return Progress(phase == "Active", f"it is {phase or 'new'}", failed=phase == "Terminating")


def _definition(obj: Obj, look: Look) -> Progress:
    names = condition(obj, "NamesAccepted")
    if names.get("status") == "False":
        return Progress(False, f"its names aren't accepted: {names.get('message')}", failed=True)
    return Progress(holds(obj, "Established"), "it isn't established yet")


_KINDS: dict[tuple[str, str], Readiness] = {
    ("apps", "Deployment"): Readiness(_deployment, refreshed=True),
    ("apps", "StatefulSet"): Readiness(_stateful_set, refreshed=True),
    ("apps", "DaemonSet"): Readiness(_daemon_set, refreshed=True),
    ("batch", "Job"): Readiness(_job, refreshed=True),
    ("", "Pod"): Readiness(_pod, refreshed=True),
    ("", "Service"): Readiness(_service, refreshed=True),
    ("networking.k8s.io", "Ingress"): Readiness(_ingress, refreshed=True),
    ("", "ReplicationController"): Readiness(_replication_controller),
    ("", "PersistentVolumeClaim"): Readiness(_claim, seconds=300.0),
    ("", "PersistentVolume"): Readiness(_volume, seconds=300.0),
    ("", "ResourceQuota"): Readiness(_quota, seconds=60.0),
    ("", "Secret"): Readiness(_secret, seconds=5.0),
    ("", "Namespace"): Readiness(_namespace, seconds=60.0),
    ("apiextensions.k8s.io", "CustomResourceDefinition"): Readiness(_definition, seconds=60.0),
}


def _waits_for(text: str) -> Judge:
    """What the annotation pulumi.com/waitFor asks for: `condition=Type[=Status]`, `jsonpath={.a.b}[=value]`,
    or a JSON list of such.
    """
    try:
        listed = json.loads(text)
    except ValueError:
        listed = [text]
    judges = [_expression(item) for item in (listed if isinstance(listed, list) else [text])]

    def judge(obj: Obj, look: Look) -> Progress:
        for one in judges:
            progress = one(obj, look)
            if not progress.done:
                return progress
        return READY

    return judge


def _expression(text: Any) -> Judge:
    form, _, rest = str(text).partition("=")
    if form == "condition" and rest:
        type, _, status = rest.partition("=")
        return lambda obj, look: Progress(
            condition(obj, type).get("status") == (status or "True"), f"waiting for the condition {rest}"
        )
    if form == "jsonpath" and rest.startswith("{.") and "}" in rest:
        path, _, value = rest[2:].partition("}")
        steps = path.split(".")
        if all(step.replace("-", "").isalnum() for step in steps):
            return lambda obj, look: _holds_value(at(obj, *steps), value.removeprefix("="), rest)
    raise Refused(
        f"The annotation {objects.WAIT_FOR} says {text!r}; it takes condition=TYPE[=STATUS] or "
        "jsonpath={.a.b}[=VALUE]."
    )


def _holds_value(found: Any, wanted: str, text: str) -> Progress:
    shown = str(found).lower() if isinstance(found, bool) else str(found)
    return Progress(found is not None and (not wanted or shown == wanted), f"waiting for {text}")


def selector(obj: Obj) -> str:
    """The label selector of a workload's pods, as the API takes it in a query; "" when it has none."""
    chosen = at(obj, "spec", "selector")
    if not isinstance(chosen, dict):
        return ""
    labels = chosen.get("matchLabels") if "matchLabels" in chosen or "matchExpressions" in chosen else chosen
    parts = [f"{key}={value}" for key, value in (labels or {}).items()]
    for expression in chosen.get("matchExpressions") or []:
        parts.append(_expressed(expression))
    return ",".join(parts)


def _expressed(expression: Mapping[str, Any]) -> str:
    key, operator = expression.get("key"), expression.get("operator")
    values: Sequence[str] = expression.get("values") or ()
    forms = {
        "In": f"{key} in ({','.join(values)})",
        "NotIn": f"{key} notin ({','.join(values)})",
        "Exists": f"{key}",
        "DoesNotExist": f"!{key}",
    }
    return forms.get(str(operator), f"{key}")
