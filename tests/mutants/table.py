"""Mutants of a table of rules: its data with one thing changed."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml

from policies import rule as registry
from policies import table
from policies.documents import of_yaml
from policies.rule import Rule
from tests.mutants.mutant import Invalid, Mutant, Rules

_Row = dict[str, Any]


def load(file: Path) -> dict[str, Rule]:
    """The rules of a table, in a registry of their own."""
    return _registered(lambda: table.register(file))


def mutants(file: Path) -> Iterator[Mutant]:
    """Each mutant of a table."""
    text = file.read_text(encoding="utf-8")
    [rows] = of_yaml(text)
    lines = _Lines(text)
    for place, row in enumerate(rows):
        for change in (*_of_rule(row), *_of_checks(row)):
            make = partial(_made, row, change)
            line = lines.of(place, *change.at)
            yield Mutant(line, row["id"], change.text, change.hint, make, rule=row["id"])


@dataclass(frozen=True)
class _Change:
    """What is put in the place `at` of a row; _GONE: it is taken out. `moved`: under another key."""

    at: tuple[str | int, ...]
    value: Any
    text: str
    hint: str = "add an example that tells both apart"
    moved: str | None = None


_GONE: Final = object()


def _of_rule(row: _Row) -> Iterator[_Change]:
    yield _Change((), {}, "rule switched off", "add a leak that no other rule refuses for its route")
    selected = len(row.get("types", ())) + len(row.get("kinds", ()))
    for key in ("types", "kinds", "routes"):
        members = row.get(key, ())
        if (len(members) if key == "routes" else selected) > 1:
            for index, one in enumerate(members):
                hint = f"add an example of {one}, or remove it"
                yield _Change((key, index), _GONE, f"{one} removed from {key}", hint)


def _of_checks(row: _Row) -> Iterator[_Change]:
    for number, check in enumerate(row["checks"]):
        at = ("checks", number)
        told = f"at {check.get('at') or 'the whole'}"
        if len(row["checks"]) > 1:
            yield _Change(at, _GONE, f"{told}: check removed", "add a leak that only this check finds")
        for change in _of_check(check):
            yield replace(change, at=(*at, *change.at), text=f"{told}: {change.text}")
        for change in _of_when(check.get("when", {})):
            yield replace(change, at=(*at, "when", *change.at), text=f"{told}: when: {change.text}")


def _of_check(check: _Row) -> Iterator[_Change]:
    yield from _of_values(check)
    if "given" in check or ("never" in check and "at" in check):
        old, new = ("given", "never") if "given" in check else ("never", "given")
        yield _Change((old,), True, f"{old} -> {new}", moved=new)
    if "never" not in check and "given" not in check:
        strict = "is" in check or "matches" in check
        now = check.get("absent", "refuse" if strict else "pass")
        new = "pass" if now == "refuse" else "refuse"
        yield _Change(("absent",), new, f"absent: {now} -> {new}")
    if "matches" in check:
        yield _Change(("matches",), "(?s).*", "matches anything")
        yield _Change(("matches",), "(?!)", "matches nothing")
    if "when" in check:
        yield _Change(("when",), _GONE, "when removed")


def _of_when(when: _Row) -> Iterator[_Change]:
    yield from _of_values(when)
    if "given" in when:
        yield _Change(("given",), not when["given"], f"given: {when['given']} turned round")


def _of_values(part: _Row) -> Iterator[_Change]:
    for key, other in (("is", "isnt"), ("isnt", "is")):
        if key in part:
            yield _Change((key,), part[key], f"{key} -> {other}", moved=other)
            for index, one in enumerate(part[key]):
                if key == "is" or len(part[key]) > 1:
                    yield _Change((key, index), _GONE, f"{one!r} removed from {key}")


def _made(row: _Row, change: _Change) -> Rules:
    if not change.at:
        return {}
    changed = copy.deepcopy(row)
    place: Any = changed
    for key in change.at[:-1]:
        place = place[key]
    last = change.at[-1]
    if change.value is _GONE or change.moved:
        del place[last]
    if change.value is not _GONE:
        place[change.moved or last] = change.value
    try:
        return _registered(lambda: table.make(table.Row.model_validate(changed)))
    except ValueError as error:
        raise Invalid(str(error)) from None


def _registered(make: Callable[[], object]) -> dict[str, Rule]:
    before = dict(registry.REGISTRY)
    registry.REGISTRY.clear()
    try:
        make()
        return dict(registry.REGISTRY)
    finally:
        registry.REGISTRY.clear()
        registry.REGISTRY.update(before)


class _Lines:
    """The line of each place in a YAML text."""

    def __init__(self, text: str) -> None:
        self.root = yaml.compose(text, Loader=yaml.SafeLoader)

    def of(self, *path: str | int) -> int:
        node = self.root
        for key in path:
            inner = self._child(node, key)
            if inner is None:
                break
            node = inner
        return node.start_mark.line + 1 if node is not None else 1

    @staticmethod
    def _child(node: yaml.Node | None, key: str | int) -> yaml.Node | None:
        if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            found: yaml.Node = node.value[key]
            return found
        if isinstance(node, yaml.MappingNode):
            return next((value for name, value in node.value if name.value == key), None)
        return None
