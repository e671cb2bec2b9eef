"""Reads the examples of tests/routes/: one YAML file an example, a leak or an honest plan that looks like
one.

The form is told in tests/routes/README.md. Whatever is wrong with a file is answered with the file, the key
and what is expected there, because those who add examples need not read Python.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AliasGenerator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from facts.zones import Zone
from policies import closed_world
from policies.model import MASKED, UNKNOWN, Origin, Plan, Resource, Runner, StackFacts, UsedPart
from policies.model.resource import kubernetes_type

FOLDER = Path(__file__).resolve().parents[1] / "routes"


class BadExample(ValueError):
    """An example file that can't be used, and how to mend it."""


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        arbitrary_types_allowed=True,
        alias_generator=AliasGenerator(validation_alias=to_camel),
    )


class Stack(_Part):
    """Where the stack keeps its state and the key of its secrets, and what is known of the run."""

    name: str | None = None
    backend: str | None = None
    secrets_provider: str | None = None
    environments: tuple[str, ...] = ()
    runner: Runner | None = None
    origins: tuple[Origin, ...] = ()
    engine: dict[str, str] | None = None
    lowered: tuple[str, ...] = ()
    used: tuple[UsedPart, ...] = ()

    @property
    def facts(self) -> StackFacts:
        return StackFacts(**{name: getattr(self, name) for name in type(self).model_fields})


class PlainResource(_Part):
    """A Pulumi resource in plain form."""

    type: str
    name: str
    inputs: dict[str, Any] = Field(default_factory=dict)
    provider: str = ""
    parent: str = ""
    custom: bool = True
    read: bool = False
    recorded: bool = True
    dependencies: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)


class Expect(_Part):
    """What the finding of a leak must say. `route`: where it isn't the folder's (P22 for what isn't known
    yet)."""

    route: Annotated[str | None, Field(pattern=r"^[A-Z]\d\d$")] = None
    path: str | None = None
    verdict: Literal["refuse", "undecided"] | None = None


class _File(_Part):
    about: Annotated[str, Field(min_length=10)]
    zone: dict[str, Any] | None = Field(default_factory=dict)
    stack: Stack = Stack()
    types: tuple[str, ...] = ()
    source: str | None = None
    whole: bool = False
    at: date = date(2026, 11, 25)
    kubernetes: str | list[dict[str, Any]] = Field(default_factory=list)
    resources: list[PlainResource] = Field(default_factory=list)
    expect: Expect | None = None


@dataclass(frozen=True, eq=False)
class Example:
    """`leak`: it must be refused for its `route`; else it must pass every rule. `zone` None: none was
    declared."""

    file: Path
    route: str
    leak: bool
    about: str
    zone: Zone | None
    plan: Plan
    expect: Expect

    @property
    def name(self) -> str:
        return f"{self.route}/{self.file.stem}"


def files(folder: Path = FOLDER) -> list[Path]:
    """The example files: all that lies in a route's folder."""
    return sorted(path for path in folder.glob("*/*") if path.is_file())


def read(file: Path) -> Example:
    """One example. Raises BadExample."""
    route = file.parent.name
    form, _, _ = file.stem.partition("-")
    if file.suffix != ".yaml" or form not in ("leak", "clean") or form == file.stem:
        raise BadExample(f"{file}: call it leak-<what>.yaml or clean-<what>.yaml.")
    data = _yaml(file, file.read_text(encoding="utf-8"))
    if len(data) != 1 or not isinstance(data[0], dict):
        raise BadExample(f"{file}: one mapping is expected, with the keys {_keys(_File)}.")
    try:
        given = _File.model_validate(data[0])
    except ValidationError as error:
        raise BadExample(f"{file}: {_first(error, _File)}") from None
    if form == "clean" and given.expect:
        raise BadExample(
            f"{file}: expect: a clean example passes every rule, so nothing is expected: remove it."
        )
    resources = (*_objects(file, given.kubernetes), *(_resource(item) for item in given.resources))
    if not resources and form == "leak" and given.zone is not None and given.stack == Stack():
        raise BadExample(f"{file}: give kubernetes, resources or stack: there is nothing to judge.")
    plan = Plan.of(
        resources,
        given.stack.facts,
        whole=given.whole,
        source=given.source or file.stem,
        allowed_types=closed_world.allowed() | frozenset(given.types),
        at=given.at,
    )
    zone = None if given.zone is None else _zone(file, given.zone)
    return Example(file, route, form == "leak", given.about, zone, plan, given.expect or Expect())


def _objects(file: Path, given: str | list[dict[str, Any]]) -> Iterator[Resource]:
    found = _yaml(file, given) if isinstance(given, str) else given
    for index, item in enumerate(one for one in found if one is not None):
        if not isinstance(item, dict) or not all(
            isinstance(item.get(key), str) for key in ("apiVersion", "kind")
        ):
            raise BadExample(f"{file}: kubernetes: object {index + 1} lacks apiVersion or kind: add them.")
        token = kubernetes_type(item["apiVersion"], item["kind"])
        metadata = item.get("metadata")
        place = metadata if isinstance(metadata, dict) else {}
        parts = [part for key in ("namespace", "name") if isinstance(part := place.get(key), str)]
        name = "/".join(parts) or f"object-{index + 1}"
        yield Resource(_urn(token, name), token, name, item)


def _resource(item: PlainResource) -> Resource:
    return Resource(
        _urn(item.type, item.name),
        item.type,
        item.name,
        item.inputs,
        item.provider,
        item.parent,
        item.custom,
        item.read,
        item.dependencies,
        item.options,
        recorded=item.recorded,
    )


def _urn(token: str, name: str) -> str:
    return f"urn:pulumi:example::sovereign::{token}::{name}"


def _zone(file: Path, changes: Mapping[str, Any]) -> Zone:
    try:
        return Zone.model_validate({**_common_zone(), **changes})
    except ValidationError as error:
        raise BadExample(f"{file}: zone: {_first(error, Zone)}") from None


@cache
def _common_zone() -> Mapping[str, Any]:
    zone: Mapping[str, Any] = yaml.safe_load((FOLDER / "zone.yaml").read_text(encoding="utf-8"))
    return zone


class _Loader(yaml.SafeLoader):
    """YAML in which `!unknown` and `!secret` stand for what can't be read."""


_Loader.add_constructor("!unknown", lambda loader, node: UNKNOWN)
_Loader.add_constructor("!secret", lambda loader, node: MASKED)


def _yaml(file: Path, text: str) -> list[Any]:
    try:
        return list(yaml.load_all(text, Loader=_Loader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it can't be read"
        raise BadExample(
            f"{file}: not YAML{line}: {problem}; text that holds a colon or begins with a sign goes in "
            "quotes."
        ) from None


def _first(error: ValidationError, model: type[BaseModel]) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    key = ".".join(str(part) for part in first["loc"]) or "the whole"
    return f"{key}: {first['msg'].removeprefix('Value error, ')}; the keys are {_keys(model)}."


def _keys(model: type[BaseModel]) -> str:
    return ", ".join(model.model_fields)
