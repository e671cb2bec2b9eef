"""What the kit doesn't do yet: refused with that sentence, rather than made half."""

from collections.abc import Iterator

from facts.zones import Zone
from policies import kubernetes
from policies.kubernetes import PODS
from policies.rule import Hit, Subject, rule

_ALLOCATION = (
    "resource.k8s.io/DeviceClass",
    "resource.k8s.io/ResourceClaim",
    "resource.k8s.io/ResourceClaimTemplate",
    "resource.k8s.io/ResourceSlice",
)
_ROUTING = (
    "inference.networking.k8s.io/InferencePool",
    "inference.networking.x-k8s.io/InferenceModel",
    "inference.networking.x-k8s.io/InferenceObjective",
    "inference.networking.x-k8s.io/InferencePool",
)


@rule(
    "later.allocation",
    title="Dynamic resource allocation comes later",
    routes=["S06"],
    controls=["AI Act 15"],
    fix="Ask for GPUs by number in the container's limits.",
    pack="protection",
    severity="medium",
    kinds=[*PODS, *_ALLOCATION],
)
def allocation(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Which GPU a claim gives isn't in the plan, so whether the model fits can't be told. Pods ask for
    whole GPUs or slices of them by number."""
    assert subject.resource is not None
    if subject.resource.kind in _ALLOCATION:
        yield subject.refuse("", seen=subject.resource.kind, why="dynamic resource allocation comes later")
    for pod in kubernetes.pods(subject):
        claims = pod.spec["resourceClaims"]
        if any(True for _ in claims.each()):
            yield subject.refuse(claims, seen="resourceClaims", why="dynamic resource allocation comes later")


@rule(
    "later.routing",
    title="Prefix-aware routing comes later",
    routes=["S06"],
    controls=["AI Act 15"],
    fix="Let the gateway reach the engines through their Service.",
    pack="protection",
    severity="medium",
    kinds=_ROUTING,
)
def routing(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A router that picks engines by what they have cached learns from prompts which is which, and it stands
    beside the gateway, where requests are permitted and recorded."""
    assert subject.resource is not None
    yield subject.refuse("", seen=str(subject.resource.kind), why="prefix-aware routing comes later")
