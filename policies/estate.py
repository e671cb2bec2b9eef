"""The workloads of the service in a plan: its engines, its gateway, its audit service, by what they run or
are called (components/serving/names.py)."""

from collections.abc import Iterator
from typing import Final

from policies import kubernetes, vllm
from policies.kubernetes import PODS, Pod, looks, quiet
from policies.model import Plan
from policies.rule import Subject
from policies.vllm import Engine

GATEWAY: Final = "llm-gateway"
AUDIT: Final = "llm-audit"


def engine(plan: Plan) -> tuple[Subject, Engine] | None:
    """An engine of the plan, and a look at the object that runs it; None where it has none."""
    return next(engines(plan), None)


def engines(plan: Plan) -> Iterator[tuple[Subject, Engine]]:
    """The engines of the plan, each with a look at its object."""
    for look in looks(plan, PODS):
        leaves = look.resource.leaves if look.resource is not None else ()
        if leaves is None or any(isinstance(leaf.value, str) and "vllm" in leaf.value for leaf in leaves):
            yield from ((look, found) for found in vllm.engines(look))


def running(plan: Plan, app: str) -> Iterator[tuple[Subject, Pod]]:
    """The pods of the plan with this `app`, unless they are scaled to none."""
    for look in looks(plan, PODS):
        for pod in kubernetes.pods(look):
            if quiet(pod.labels)["app"].text() == app and look["spec"]["replicas"].value != 0:
                yield look, pod
