"""Kinds of property values, as an SDK declares them, and what in a value isn't of its kind."""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

from toolchain.providers.core.shape import Problem
from toolchain.providers.core.values import UNKNOWN, Output, Path, Secret


@dataclass(frozen=True)
class Scalar:
    """A text, number, integer or boolean; `any` is anything at all."""

    name: str


@dataclass(frozen=True)
class Choice:
    """One of some values; an open one takes others too, if they are texts."""

    values: tuple[Any, ...]
    open: bool = False


@dataclass(frozen=True)
class Items:
    """A list, each item of one kind."""

    of: "Kind"


@dataclass(frozen=True)
class Entries:
    """An object with keys of the user's choice, each value of one kind."""

    of: "Kind"


@dataclass(frozen=True)
class Field:
    """A property of an object."""

    kind: "Kind"
    required: bool = False


class Object:
    """An object with named properties and no others. They are read when first asked for: kinds may hold
    themselves."""

    def __init__(self, read: Callable[[], Mapping[str, Field]]) -> None:
        self._read = read

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        return self._read()


@dataclass(frozen=True)
class AnyOf:
    """A value of one of these kinds."""

    kinds: tuple["Kind", ...] = field(default=())


Kind: TypeAlias = Scalar | Choice | Items | Entries | Object | AnyOf

ANY = Scalar("any")
#: names that a message lists at most
LISTED = 40
_SCALARS: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
}


def problems(value: Any, kind: Kind, path: Path = ()) -> Iterator[Problem]:
    """What in `value` isn't of its kind. What isn't known yet may still turn out well, and passes. A reason
    never holds a value."""
    while isinstance(value, Secret | Output):
        value = value.value
    if value is UNKNOWN:
        return
    if isinstance(kind, AnyOf):
        yield from _none_fits(value, kind, path)
    elif not _is(value, kind):
        yield Problem(path, f"is {_said(value)}, where {described(kind)} belongs")
    elif isinstance(kind, Choice):
        if value not in kind.values and not kind.open:
            yield Problem(path, f"has a value that isn't allowed there; {one_of(kind.values, value)}")
    elif isinstance(kind, Items):
        for index, item in enumerate(value):
            yield from problems(item, kind.of, (*path, index))
    elif isinstance(kind, Entries):
        for key, item in value.items():
            yield from problems(item, kind.of, (*path, key))
    elif isinstance(kind, Object):
        yield from _object_problems(value, kind, path)


def described(kind: Kind) -> str:
    """A kind in words, with its article."""
    match kind:
        case Scalar(name):
            return _article(name)
        case Choice():
            return "one of a few values"
        case Items():
            return "an array"
        case Entries() | Object():
            return "an object"
        case AnyOf(kinds):
            return " or ".join(described(one) for one in kinds)


def one_of(names: Iterable[Any], given: Any = "") -> str:
    """How a message lists what is allowed, and what is nearest to what was given; never what was given."""
    known = sorted(str(name) for name in names)
    folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(str(given).casefold(), folded, 1)
    allowed = ", ".join(known) if len(known) <= LISTED else f"{len(known)} values"
    return f"{f'nearest: {folded[near[0]]}; ' if near else ''}allowed: {allowed or 'nothing'}"


def _none_fits(value: Any, kind: AnyOf, path: Path) -> Iterator[Problem]:
    found = [list(problems(value, one, path)) for one in kind.kinds]
    if all(found):
        # of the form of one kind alone: what is wrong inside it says more
        of_form = [inner for inner, one in zip(found, kind.kinds, strict=True) if _is(value, one)]
        if len(of_form) == 1:
            yield from of_form[0]
        else:
            yield Problem(path, f"is {_said(value)}, where {described(kind)} belongs")


def _object_problems(value: dict[str, Any], kind: Object, path: Path) -> Iterator[Problem]:
    fields = kind.fields
    for name, wanted in fields.items():
        if wanted.required and value.get(name) is None:
            yield Problem((*path, name), f"is missing: it must be {described(wanted.kind)}")
    for name, item in value.items():
        if name not in fields:
            yield Problem((*path, name), f"is no property there; {one_of(fields, name)}")
        elif item is not None:
            yield from problems(item, fields[name].kind, (*path, name))


def _is(value: Any, kind: Kind) -> bool:
    """Whether a value is of the outer form of a kind."""
    match kind:
        case Scalar("any"):
            return True
        case Scalar(name):
            return _SCALARS[name](value)
        case Choice(values, open):
            kinds = (*(type(one) for one in values), *((str,) if open else ()))
            return isinstance(value, kinds)
        case Items():
            return isinstance(value, list)
        case Entries() | Object():
            return isinstance(value, dict)
        case AnyOf(kinds):
            return any(_is(value, one) for one in kinds)


def _said(value: Any) -> str:
    for name in ("boolean", "string", "integer", "number"):
        if _SCALARS[name](value):
            return _article("number" if name == "integer" else name)
    if value is None:
        return "null"
    return "an array" if isinstance(value, list) else "an object"


def _article(name: str) -> str:
    return f"an {name}" if name[0] in "aio" else f"a {name}"
