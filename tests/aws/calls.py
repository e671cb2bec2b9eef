"""From the inputs of a resource to the calls that make it at AWS, and what the service's own model says.

The model is botocore's: members that must be there, types, enums, patterns, lengths. calls.yaml says which
calls make a type, and in which member a property goes where the names differ.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.validate import ParamValidator

from facts.site import ROOT
from policies.model import Resource

_FILE = ROOT / "tests" / "aws" / "calls.yaml"
#: classes of characters that models name as Java does; Python has no such names
_CLASSES = {
    "L": r"\w",
    "M": "",
    "N": r"\d",
    "Nd": r"\d",
    "P": r"""!"#%&'()*,\-./:;?@\[\\\]_{}""",
    "S": "$+<=>^`|~",
    "Z": r"\s",
    "Zs": r"\s",
}


@dataclass(frozen=True)
class Call:
    """One call, as boto3 takes it: `kms`, `CreateKey` and its parameters."""

    service: str
    operation: str
    parameters: Mapping[str, Any]

    @property
    def model(self) -> OperationModel:
        return service_model(self.service).operation_model(self.operation)


class Unmapped(ValueError):
    """A property that no call takes."""


@cache
def table() -> Mapping[str, Any]:
    """What calls.yaml says."""
    found: Mapping[str, Any] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return found


@cache
def service_model(service: str) -> ServiceModel:
    return ServiceModel(_models().load_service_model(service, "service-2"), service)


@cache
def _models() -> Loader:
    return Loader()


def calls(resource: Resource, answers: Mapping[str, Any]) -> list[Call]:
    """The calls that make a resource; `answers` are what AWS says of it (`id`, `region`), where a later call
    needs it. Raises Unmapped."""
    entry = table()["types"][resource.type]
    left = {path for path in _paths(resource.inputs) if not _under(path, entry.get("aside", {}))}
    made = []
    for row in entry["calls"]:
        service, _, operation = row["call"].partition(".")
        shape = service_model(service).operation_model(operation).input_shape
        mapping = _Mapping(row, answers)
        made.append(Call(service, operation, mapping.fit(resource.inputs, shape)))
        left -= mapping.taken
    if left:
        raise Unmapped(
            f"{resource.type} {resource.name}: no call takes {', '.join(sorted(left))}: say in "
            f"{_FILE.name} which member it goes in, or why it goes nowhere."
        )
    return made


def problems(call: Call) -> list[str]:
    """What the model of the service finds wrong, by member."""
    shape = call.model.input_shape
    if shape is None:
        return [f"{call.operation} takes no parameters"] if call.parameters else []
    given = {**_tokens(shape), **call.parameters}
    report = ParamValidator().validate(given, shape).generate_report()
    named = f"{call.service}.{call.operation}"
    return [
        *report.splitlines(),
        *(f"{path} {fault}" for path, fault in _strict(given, shape, "")),
        *(
            f"{path} {fault}"
            for path, value in _leaves(given)
            for fault in _beyond(value, f"{named} {re.sub(r'[[][0-9]+]', '', path)}")
        ),
    ]


class _Mapping:
    """One call's row: properties go by name, whatever the case, unless `takes` says another member. What the
    keys of a row mean is told in calls.yaml."""

    def __init__(self, row: Mapping[str, Any], answers: Mapping[str, Any]) -> None:
        self._renamed: Mapping[str, Any] = row.get("takes", {})
        self._added: Mapping[str, str] = row.get("adds", {})
        self._into: str = row.get("into", "")
        self._only: bool = row.get("only", False)
        self._answers = answers
        #: paths of the properties that the call takes
        self.taken: set[str] = set()

    def fit(self, inputs: Mapping[str, Any], shape: Shape | None) -> dict[str, Any]:
        if shape is None:
            return {}
        made: dict[str, Any] = {}
        for member, source in self._added.items():
            value = yaml.safe_load(source[1:]) if source.startswith("=") else self._answers[source[1:]]
            _put(made, shape, member.split("."), value)
        self._members(inputs, shape, made, "")
        return made

    def _members(self, given: Mapping[str, Any], shape: Shape, made: dict[str, Any], above: str) -> None:
        later = [key for key in given if isinstance(self._renamed.get(f"{above}{key}"), list)]
        for key in [*(key for key in given if key not in later), *later]:
            path = f"{above}{key}"
            target = self._target(path, key, shape, made)
            if target is None:
                continue
            way = target.split(".")
            inner = _shape_at(shape, way)
            self.taken.add(path)
            _put(made, shape, way, self._value(given[key], inner, path))

    def _target(self, path: str, key: str, shape: Shape, made: Mapping[str, Any]) -> str | None:
        said = self._renamed.get(path)
        if isinstance(said, list):
            return next((way for way in said if _there(made, way.split(".")[:-1])), None)
        if said is not None:
            return str(said)
        if self._only and "." not in path:
            return None
        if (own := _named(shape, key)) is not None:
            return own
        if self._into and "." not in path:
            inner = _named(shape.members[self._into], key)
            return None if inner is None else f"{self._into}.{inner}"
        return None

    def _value(self, value: Any, shape: Shape, path: str) -> Any:
        """A value in the form that the shape has: one alone as a list, a list of one alone, text as what it
        says."""
        if shape.type_name == "list":
            if isinstance(value, dict) and (pair := _pair(shape.member)):
                self.taken |= {f"{path}.{key}" for key in value}
                return [dict(zip(pair, item, strict=True)) for item in value.items()]
            items = value if isinstance(value, list) else [value]
            return [self._value(item, shape.member, path) for item in items]
        if shape.type_name == "structure":
            only = value[0] if isinstance(value, list) and len(value) == 1 else value
            if not isinstance(only, dict):
                return value
            made: dict[str, Any] = {}
            self._members(only, shape, made, f"{path}.")
            return made
        if shape.type_name == "map" and isinstance(value, dict):
            self.taken |= {f"{path}.{key}" for key in value}
        if shape.type_name == "boolean" and value in ("true", "false"):
            return value == "true"
        return value


def _named(shape: Shape, key: str) -> str | None:
    """The member of a structure that a property's name means."""
    return next((name for name in shape.members if name.casefold() == key.casefold()), None)


def _pair(shape: Shape) -> tuple[str, str] | None:
    """The names of key and value, where a list holds such pairs (tags)."""
    names = tuple(getattr(shape, "members", ()))
    for key, value in (("Key", "Value"), ("TagKey", "TagValue")):
        if set(names) == {key, value}:
            return key, value
    return None


def _shape_at(shape: Shape, way: list[str]) -> Shape:
    for step in way:
        while shape.type_name == "list":
            shape = shape.member
        shape = shape.members[step]
    return shape


def _put(made: dict[str, Any], shape: Shape, way: list[str], value: Any) -> None:
    """Sets a member below others; a list on the way has one item."""
    place = made
    for step in way[:-1]:
        shape = shape.members[step]
        if shape.type_name == "list":
            shape, place = shape.member, place.setdefault(step, [{}])[0]
        else:
            place = place.setdefault(step, {})
    wanted = shape.members[way[-1]]
    place[way[-1]] = [value] if wanted.type_name == "list" and not isinstance(value, list) else value


def _there(made: Any, way: list[str]) -> bool:
    for step in way:
        made = made[0] if isinstance(made, list) else made
        if step not in made:
            return False
        made = made[step]
    return True


def _paths(value: Any, above: str = "") -> Iterator[str]:
    """The paths of all that is said, without the places in lists; what is empty says nothing."""
    if isinstance(value, list):
        for item in value:
            yield from _paths(item, above)
    elif isinstance(value, dict):
        for key, item in value.items():
            path = f"{above}.{key}" if above else key
            if item not in ([], {}):
                yield path
                yield from _paths(item, path)


def _under(path: str, aside: Mapping[str, str]) -> bool:
    return any(path == one or path.startswith(f"{one}.") for one in aside)


def _tokens(shape: Shape) -> dict[str, str]:
    """What botocore fills in by itself."""
    return {
        name: "0" * 36 for name, member in shape.members.items() if member.metadata.get("idempotencyToken")
    }


def _strict(value: Any, shape: Shape, path: str) -> Iterator[tuple[str, str]]:
    """(path, fault) of what botocore leaves to the service: enums, patterns, how long or large a value may
    be."""
    limits = shape.metadata
    if (most := limits.get("max")) is not None and _size(value) > most:
        yield path, f"is of size {_size(value)}, and {most} is the most"
    if shape.type_name == "structure" and isinstance(value, dict):
        for name, item in value.items():
            if name in shape.members:
                yield from _strict(item, shape.members[name], f"{path}.{name}" if path else name)
    elif shape.type_name == "list" and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _strict(item, shape.member, f"{path}[{index}]")
    elif shape.type_name == "map" and isinstance(value, dict):
        for key, item in value.items():
            yield from _strict(key, shape.key, f"{path} key")
            yield from _strict(item, shape.value, f"{path}.{key}")
    elif shape.type_name == "string" and isinstance(value, str):
        lacking = table()["lacking"].get(shape.name, {"values": ()})["values"]
        if shape.enum and value not in (*shape.enum, *lacking):
            yield path, f"is {value}, which is none of its {len(shape.enum)} values"
        if "pattern" in limits and not _matches(limits["pattern"], value):
            yield path, f"is {value}, which doesn't match {limits['pattern']}"


def _beyond(value: Any, member: str) -> Iterator[str]:
    """What the model doesn't say, and the service's documentation does."""
    said = table()["beyond"].get(member)
    if said is None or not isinstance(value, str | int):
        return
    if "max" in said and _size(value) > said["max"]:
        yield f"is of size {_size(value)}, and {said['max']} is the most: {said['source']}"
    if "pattern" in said and not _matches(said["pattern"], str(value)):
        yield f"is {value}, which doesn't match {said['pattern']}: {said['source']}"
    if "values" in said and value not in said["values"]:
        yield f"is {value}, which is none of {said['values']}: {said['source']}"


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}[{index}]")
    else:
        yield path, value


def _size(value: Any) -> float:
    return value if isinstance(value, int | float) else len(value)


def _matches(pattern: str, value: str) -> bool:
    """Whole, as services mean it; one that is tied to the beginning alone says what follows by itself."""
    python = re.sub(r"\\p\{(?:Is)?(\w+)\}", lambda found: _CLASSES[found[1]], pattern)
    begins_only = python.startswith("^") and not python.endswith("$")
    return bool((re.match if begins_only else re.fullmatch)(python, value, re.DOTALL))
