"""Shapes: which properties an object has and of which type, as data; checked before anything is sent
anywhere.

type: object            string, number, boolean, object, array or any
required: [name]        keys of an object that must be there
properties: {name: ...} shapes of an object's known keys
values: ...             shape of all its other keys; without it they may be anything
closed: true            no other keys at all
items: ...              shape of an array's items
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from toolchain.providers.core.values import UNKNOWN, Output, Path, Secret

_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "array": list,
}
_KEYS = {"type", "required", "properties", "values", "closed", "items"}


@dataclass(frozen=True)
class Shape:
    """What a property has to look like."""

    type: str = "any"
    required: tuple[str, ...] = ()
    properties: Mapping[str, "Shape"] = field(default_factory=dict)
    values: "Shape | None" = None
    closed: bool = False
    items: "Shape | None" = None


@dataclass(frozen=True)
class Problem:
    """One property that isn't as its shape says; `reason` never holds its value."""

    path: Path
    reason: str


def load(data: Mapping[str, Any]) -> Shape:
    """The shape that `data` (as in a YAML file) writes; raises ValueError for an unknown key or type."""
    if surplus := set(data) - _KEYS:
        raise ValueError(f"a shape has no {', '.join(sorted(surplus))}")
    kind = data.get("type", "any")
    if kind != "any" and kind not in _TYPES:
        raise ValueError(f"a shape's type is any, {', '.join(_TYPES)}; not {kind!r}")
    return Shape(
        type=kind,
        required=tuple(data.get("required", ())),
        properties={name: load(inner) for name, inner in data.get("properties", {}).items()},
        values=load(data["values"]) if "values" in data else None,
        closed=bool(data.get("closed", False)),
        items=load(data["items"]) if "items" in data else None,
    )


def problems(value: Any, shape: Shape, path: Path = ()) -> Iterator[Problem]:
    """What in `value` isn't as `shape` says. What isn't known yet may still turn out well, and passes."""
    while isinstance(value, Secret | Output):
        value = value.value
    if value is UNKNOWN or (shape.type == "any" and not shape.properties):
        return
    if shape.type != "any" and not _is(value, shape.type):
        yield Problem(path, f"is {_named(value)}, where {_article(shape.type)} belongs")
        return
    if isinstance(value, dict):
        yield from _object_problems(value, shape, path)
    elif isinstance(value, list) and shape.items is not None:
        for index, item in enumerate(value):
            yield from problems(item, shape.items, (*path, index))


def _object_problems(value: dict[str, Any], shape: Shape, path: Path) -> Iterator[Problem]:
    for name in shape.required:
        if value.get(name) is None:
            yield Problem((*path, name), "is missing")
    for name, item in value.items():
        inner = shape.properties.get(name, shape.values)
        if inner is not None:
            if item is not None or shape.values is inner:
                yield from problems(item, inner, (*path, name))
        elif shape.closed:
            known = ", ".join(sorted(shape.properties))
            yield Problem((*path, name), f"is no property of this; there are {known}")


def _is(value: Any, kind: str) -> bool:
    if kind == "number" and isinstance(value, bool):
        return False
    return isinstance(value, _TYPES[kind])


def _named(value: Any) -> str:
    if value is None:
        return "null"
    for name in ("boolean", "string", "number", "object", "array"):
        if _is(value, name):
            return _article(name)
    return "something else"


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "ao" else f"a {kind}"
