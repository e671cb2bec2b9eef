"""What a change of settings does to a stack that stands: which of its resources change in place, are replaced,
made or taken away.

As the engine does it: each resource is compared with what it was, by the stand-in for AWS or by the rules of
the API server. What a replaced one will be called is unknown to those that name it; where it goes before the new
one is made, it takes those along that can't change what they have of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from facts.sentinels import digest
from policies.model import Resource
from tests.support.aws_stacks import Rendered, known, stand_in
from toolchain.providers.core import UNKNOWN, Compared, Urn
from toolchain.providers.core.diff import differences, replacing
from toolchain.providers.kubernetes import immutable, objects
from toolchain.providers.standin.data import TypeData

_TRIGGER = "replacementTrigger"


class Kind(Enum):
    """What happens to a resource."""

    IN_PLACE = "in place"
    REPLACED = "replaced"
    NEW = "new"
    GONE = "gone"


@dataclass(frozen=True)
class Step:
    """What happens to one resource."""

    kind: Kind
    resource: Resource

    @property
    def refused(self) -> bool:
        """Whether the engine does it only when somebody has lifted the protection first."""
        return self.kind in (Kind.REPLACED, Kind.GONE) and bool(self.resource.options["protect"])


def steps(before: Rendered, after: Rendered) -> list[Step]:
    """What happens from one to the other, in the order of the plan; what stays as it is is left out."""
    return [*_Comparison(before, after).steps()]


class _Comparison:
    def __init__(self, before: Rendered, after: Rendered) -> None:
        assert after.settings.aws is not None
        self._before, self._old, self._new = before, _made(before), _made(after)
        self._aws = stand_in(after.settings.aws.region, after.settings.aws.account)
        #: marks of what is replaced
        self._gone: set[str] = set()
        #: URNs of what goes before it is made anew
        self._first: set[str] = set()
        #: URN of what changes -> the values of outputs that change with it
        self._moved: dict[str, set[str]] = {}

    def steps(self) -> Iterator[Step]:
        for urn, resource in self._new.items():
            if urn not in self._old:
                yield Step(Kind.NEW, resource)
                continue
            compared = self._compared(resource, self._known_inputs(resource))
            if self._triggered(resource) or _replaces(compared) or self._taken_along(resource):
                self._gone.add(digest(urn))
                if compared.delete_first:
                    self._first.add(urn)
                yield Step(Kind.REPLACED, resource)
            elif compared.differences:
                moving = known().types.get(resource.type, TypeData()).moving
                self._moved[urn] = {str(self._before.answers[urn][name]) for name in moving}
                yield Step(Kind.IN_PLACE, resource)
        yield from (Step(Kind.GONE, one) for urn, one in self._old.items() if urn not in self._new)

    def _compared(self, new: Resource, inputs: dict[str, Any]) -> Compared:
        old = dict(self._old[new.urn].inputs)
        if new.package == "aws":
            state = dict(self._before.answers[new.urn])
            return self._aws.diff(Urn(new.urn), state["id"], state, old, inputs, [])
        if new.kind == "core/Secret":
            return Compared([])  # made anew for each rendering
        asks = immutable.replaces(
            objects.kind_of(old), objects.kind_of(inputs), old, {"ConfigMap": True, "Secret": True}
        )
        return Compared(replacing(differences(old, inputs), asks))

    def _triggered(self, resource: Resource) -> bool:
        """Whether the program itself asks for it: by an option, of whatever changes."""
        return resource.options.get(_TRIGGER) != self._old[resource.urn].options.get(_TRIGGER)

    def _taken_along(self, resource: Resource) -> bool:
        taken = {key: UNKNOWN for key, urns in resource.dependencies.items() if self._first & set(urns)}
        return bool(taken) and _replaces(self._compared(resource, {**resource.inputs, **taken}))

    def _known_inputs(self, resource: Resource) -> dict[str, Any]:
        return {key: self._known(value, self._moves(resource, key)) for key, value in resource.inputs.items()}

    def _moves(self, resource: Resource, key: str) -> set[str]:
        """The values of outputs that a property is computed from, and that change."""
        sources = resource.dependencies.get(key, ())
        return {value for urn in sources for value in self._moved.get(urn, ())}

    def _known(self, value: Any, moving: set[str]) -> Any:
        """A value, unknown where it speaks of what is replaced, or is an output that changes."""
        if isinstance(value, dict):
            return {key: self._known(item, moving) for key, item in value.items()}
        if isinstance(value, list):
            return [self._known(item, moving) for item in value]
        if isinstance(value, str) and (value in moving or any(mark in value for mark in self._gone)):
            return UNKNOWN
        return value


def _replaces(compared: Compared) -> bool:
    return any(one.replace for one in compared.differences)


def _made(stack: Rendered) -> dict[str, Resource]:
    return {one.urn: one for one in stack.resources if one.custom and not one.is_provider}
