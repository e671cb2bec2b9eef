"""`pulumi preview --json --show-sames`: the steps of a plan. A partial one is refused, not judged as if
whole.

Without --show-sames the file lacks every unchanged resource; what is absent would then be taken for missing.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from policies.model import Plan, Resource
from policies.read.errors import UnreadableInput
from policies.read.settings import stack_facts
from policies.read.states import resource, stack_name

#: Steps after which the resource is gone, or that take away what another step makes anew.
_GONE = frozenset({"delete", "delete-replaced", "discard", "discard-replaced", "remove-pending-replace"})

AGAIN = "run `pulumi preview --json --show-sames` again and give that file"


def is_preview(data: Any) -> bool:
    """Whether parsed JSON has the form of a preview."""
    return (
        isinstance(data, Mapping)
        and "apiVersion" not in data
        and ("steps" in data or "changeSummary" in data)
    )


def read(data: Mapping[str, Any], name: str, allowed_types: frozenset[str] | None = None) -> Plan:
    """The plan of a preview. Raises UnreadableInput where it is partial or malformed."""
    steps = data.get("steps")
    if not isinstance(steps, list) or not steps:
        raise UnreadableInput(f"{name} is a preview without steps: {AGAIN}.")
    for diagnostic in data.get("diagnostics") or ():
        if isinstance(diagnostic, Mapping) and _stopped(diagnostic):
            raise UnreadableInput(
                f"{name} is of a preview that failed, so resources may be missing: {AGAIN}."
            )
    resources: dict[str, Resource] = {}
    shown: dict[str, int] = {}
    unchanged: list[str] = []
    for index, step in enumerate(steps):
        if not isinstance(step, Mapping) or not isinstance(step.get("op"), str):
            raise UnreadableInput(f"{name}: step {index} has no operation: {AGAIN}.")
        shown[step["op"]] = shown.get(step["op"], 0) + 1
        if step["op"] not in _GONE:
            new = resource(step.get("newState"), f"{name}: the new state of step {index}")
            resources[new.urn] = new
            if step["op"] == "same":
                unchanged.append(new.urn)
    _complete(data, shown, resources, name)
    stack = next((found for urn in resources if (found := stack_name(urn))), None)
    config = data.get("config")
    return Plan.of(
        resources.values(),
        stack_facts(config if isinstance(config, Mapping) else {}, stack),
        source="preview",
        allowed_types=allowed_types,
        unchanged=unchanged,
    )


def _stopped(diagnostic: Mapping[str, Any]) -> bool:
    """Whether the program or a provider failed. A preview that only a policy pack refused is whole."""
    message = str(diagnostic.get("message", "")).strip().removeprefix("error: ")
    return diagnostic.get("severity") == "error" and message != "preview failed"


def _complete(
    data: Mapping[str, Any], shown: Mapping[str, int], resources: Mapping[str, Resource], name: str
) -> None:
    summary = data.get("changeSummary")
    hidden = 0
    if isinstance(summary, Mapping):
        hidden = sum(
            count - shown.get(op, 0)
            for op, count in summary.items()
            if op in ("same", "create", "update", "read", "import", "refresh") and isinstance(count, int)
        )
    missing = next((urn for urn in _referenced(resources) if urn not in resources), None)
    if hidden > 0 or missing is not None:
        some = "1 resource is" if hidden == 1 else f"{hidden} resources are"
        what = some if hidden > 0 else f"{missing} is"
        raise UnreadableInput(f"{name} was made without --show-sames: {what} missing from it; {AGAIN}.")


def _referenced(resources: Mapping[str, Resource]) -> Iterator[str]:
    for one in resources.values():
        if one.parent:
            yield one.parent
        if one.provider:
            yield one.provider.rpartition("::")[0]
        for urns in one.dependencies.values():
            yield from urns
