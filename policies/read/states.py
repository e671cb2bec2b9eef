"""Resources as previews and state exports hold them: the engine's ResourceV3 (apitype/core.go, v3.259.0)."""

from collections.abc import Mapping
from typing import Any

from policies.model import Resource
from policies.read.errors import UnreadableInput
from policies.read.values import plain

#: Options that later rules look at.
_OPTIONS = ("protect", "ignoreChanges", "retainOnDelete", "importID", "deletedWith", "aliases")


def resource(state: Any, where: str) -> Resource:
    """One resource. Raises UnreadableInput where it has no URN or type."""
    if not isinstance(state, Mapping):
        raise UnreadableInput(f"{where} is not a resource: export or preview the stack again.")
    urn, token = state.get("urn"), state.get("type")
    if not isinstance(urn, str) or not isinstance(token, str):
        raise UnreadableInput(f"{where} has no URN or no type: export or preview the stack again.")
    inputs = plain(state.get("inputs") or {})
    dependencies = state.get("propertyDependencies") or {}
    return Resource(
        urn=urn,
        type=token,
        name=urn.rpartition("::")[2],
        inputs=inputs if isinstance(inputs, dict) else {},
        provider=str(state.get("provider") or ""),
        parent=str(state.get("parent") or ""),
        custom=bool(state.get("custom", False)),
        read=bool(state.get("external", False)),
        dependencies={key: tuple(urns or ()) for key, urns in dependencies.items()},
        options={key: state[key] for key in _OPTIONS if key in state},
        recorded=isinstance(inputs, dict),
    )


def stack_name(urn: str) -> str | None:
    """The stack in `urn:pulumi:STACK::PROJECT::TYPE::NAME`."""
    head = urn.split("::", 1)[0]
    return head.removeprefix("urn:pulumi:") if head.startswith("urn:pulumi:") else None
