"""Why an object isn't ready: what its pods and the events about it say."""

from collections.abc import Iterator, Mapping
from typing import Any

from toolchain.providers.kubernetes import objects
from toolchain.providers.kubernetes.readiness import Look, at, condition, selector

_WITH_PODS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Job", "ReplicationController"})
PODS, EVENTS = 5, 5  # so many are named
_LONG = 300  # characters of one message


def reasons(obj: Mapping[str, Any], look: Look) -> list[str]:
    """Sentences on what stands in the way, the likeliest cause first; empty when nothing is known."""
    namespace = objects.namespace_of(obj)
    found: list[str] = []
    if obj.get("kind") == "Pod":
        found += _pod(obj)
    elif obj.get("kind") in _WITH_PODS and namespace and (chosen := selector(obj)):
        pods = look(f"/api/v1/namespaces/{namespace}/pods", {"labelSelector": chosen, "limit": "50"})
        troubled = [(pod, list(_pod(pod))) for pod in (pods or {}).get("items") or []]
        for pod, said in [entry for entry in troubled if entry[1]][:PODS]:
            found += [f"pod {objects.name_of(pod)}: {sentence}" for sentence in said]
        trouble = condition(obj, "ReplicaFailure")
        if trouble.get("status") == "True":
            found.append(_short(trouble.get("message")))
    found += _events(obj, look)
    return list(dict.fromkeys(found))


def _pod(pod: Mapping[str, Any]) -> Iterator[str]:
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        yield f"not scheduled: {_short(scheduled.get('message') or scheduled.get('reason'))}"
    for kind in ("initContainerStatuses", "containerStatuses"):
        for status in at(pod, "status", kind) or []:
            waiting = at(status, "state", "waiting")
            if waiting and waiting.get("reason") not in ("PodInitializing", "ContainerCreating"):
                said = ": ".join(_short(waiting[key]) for key in ("reason", "message") if waiting.get(key))
                yield f"container {status.get('name')} waits: {said}"
            ended = at(status, "state", "terminated") or at(status, "lastState", "terminated")
            if ended and ended.get("exitCode"):
                yield (
                    f"container {status.get('name')} ended with exit code {ended['exitCode']} "
                    f"({ended.get('reason') or 'no reason given'})"
                )
    if at(pod, "status", "phase") == "Running" and condition(pod, "Ready").get("status") == "False":
        yield f"not ready: {_short(condition(pod, 'Ready').get('message') or 'its readiness probe fails')}"


def _events(obj: Mapping[str, Any], look: Look) -> Iterator[str]:
    namespace = objects.namespace_of(obj) or "default"
    uid = objects.metadata(obj).get("uid")
    events = look(
        f"/api/v1/namespaces/{namespace}/events",
        {"fieldSelector": f"involvedObject.uid={uid},type=Warning", "limit": "100"},
    )
    items = [event for event in (events or {}).get("items") or [] if isinstance(event, dict)]
    items.sort(key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    for event in items[-EVENTS:]:
        yield f"event {event.get('reason')}: {_short(event.get('message'))}"


def _short(text: Any) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= _LONG else f"{line[:_LONG]}..."
