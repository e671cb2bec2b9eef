"""Detailed diffs: which properties were added, changed or removed, and which of these ask to replace."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from toolchain.providers.core import paths
from toolchain.providers.core.values import UNKNOWN, Output, Path, Secret

_MISSING: Any = object()


class Kind(Enum):
    """What happened to a property; the values are the engine's names."""

    ADD = "ADD"
    UPDATE = "UPDATE"
    DELETE = "DELETE"


@dataclass(frozen=True, slots=True)
class Difference:
    """One property that differs; `replace` when it can't be changed in place."""

    path: Path
    kind: Kind
    replace: bool = False


def differences(old: Any, new: Any, path: Path = ()) -> Iterator[Difference]:
    """What differs from `old` to `new`, as deep as both are of one shape; lists are compared by position.

    A secret equals its value. An unknown new value differs from whatever was there: it may turn out to.
    """
    old, new = _inner(old), _inner(new)
    if isinstance(old, dict) and isinstance(new, dict):
        for key in (*old, *(key for key in new if key not in old)):
            yield from _step(old.get(key, _MISSING), new.get(key, _MISSING), (*path, key))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            yield from _step(_at(old, index), _at(new, index), (*path, index))
    elif new is UNKNOWN or not _same(old, new):
        yield Difference(path, Kind.UPDATE)


def without(found: Iterable[Difference], ignored: Sequence[str]) -> list[Difference]:
    """`found` less what lies at or in one of the `ignored` property paths; raises ValueError when one is no
    path.
    """
    patterns = [paths.parsed(text) for text in ignored]
    return [
        difference
        for difference in found
        if not any(paths.covers(pattern, difference.path) for pattern in patterns)
    ]


def replacing(found: Iterable[Difference], asks: Callable[[Path], bool]) -> list[Difference]:
    """`found`, marked for replacement where `asks` says so of the path."""
    return [
        Difference(difference.path, difference.kind, difference.replace or asks(difference.path))
        for difference in found
    ]


def _step(old: Any, new: Any, path: Path) -> Iterator[Difference]:
    if old is _MISSING:
        yield Difference(path, Kind.ADD)
    elif new is _MISSING:
        yield Difference(path, Kind.DELETE)
    else:
        yield from differences(old, new, path)


def _at(items: list[Any], index: int) -> Any:
    return items[index] if index < len(items) else _MISSING


def _inner(value: Any) -> Any:
    while isinstance(value, Secret | Output):
        value = value.value
    return value


def _same(old: Any, new: Any) -> bool:
    # True == 1 in Python, not in a property
    return isinstance(old, bool) == isinstance(new, bool) and bool(old == new)
