"""What a stand-in knows besides the SDK: a YAML file for each package, with these keys.

settings:   what the provider must be told, by name: `why`; `items`, how many of a list; `among`, the key of
            the facts that lists what is allowed, also where a resource or function says it for itself
variables:  templates (templates.py) with names of their own, for all others; they see the provider's
            `settings` and the `facts`, the file of that name
any:        templates of outputs, for every type that has an output of that name; `id` for every type
absent:     template of the services that a place doesn't have: the variable `place`, and `service` of a token
known:      outputs that the official plugin knows before it makes anything
open:       enums of the SDK that don't list all, as `module.Name`
types:      by token:
  id, outputs     templates: what the cloud answers; an object that the program gives is completed
  name            the property that the official plugin fills with a made-up name, and its form, in which
                  {auto} is the resource's name and seven digits; without it, `name` where every resource of
                  the type has one
  replace         property paths that can't be changed in place
  moving          outputs that have another value after each change of the resource, such as its version
  documents       properties that may be given as objects, and are kept as JSON text
  choices         property path -> what is allowed, where the SDK says only "a text"
functions:  by token:
  takes           arguments that the answer goes by; any other is refused
  matching        argument -> regular expression that it must match whole
  answer          template of the results
  secret          results that are secrets

In templates of a type or function, its own properties come first, then `mark`, `logical` (the name in the
program), `module` and `kind` (of the token: `kms`, `key`), then the variables.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from toolchain.providers.core import paths
from toolchain.providers.core.values import Path as PropertyPath

Templates = Mapping[str, Any]


@dataclass(frozen=True)
class Setting:
    """What the provider must be told."""

    why: str
    items: int = 0
    among: str = ""


@dataclass(frozen=True)
class TypeData:
    """What is known of a resource type."""

    id: Any = None
    outputs: Templates = field(default_factory=dict)
    name: Templates | None = None
    replace: tuple[PropertyPath, ...] = ()
    moving: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    choices: Mapping[PropertyPath, tuple[Any, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class FunctionData:
    """What is known of a function."""

    answer: Templates
    takes: frozenset[str] = frozenset()
    matching: Mapping[str, str] = field(default_factory=dict)
    secret: tuple[str, ...] = ()


@dataclass(frozen=True)
class PackageData:
    """What is known of a package."""

    settings: Mapping[str, Setting] = field(default_factory=dict)
    variables: Templates = field(default_factory=dict)
    any: Templates = field(default_factory=dict)
    absent: Any = ()
    known: frozenset[str] = frozenset()
    open: frozenset[str] = frozenset()
    types: Mapping[str, TypeData] = field(default_factory=dict)
    functions: Mapping[str, FunctionData] = field(default_factory=dict)


def read(file: Path) -> Any:
    """What a YAML file holds."""
    # the parser in C is ten times as fast, where PyYAML was built with it
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(file.read_text(encoding="utf-8"), loader)


def load(file: Path) -> PackageData:
    """The data of a package. Raises TypeError for a key that isn't one, ValueError for what is no path or
    expression."""
    data = read(file)
    return PackageData(
        **data
        | {
            "settings": {name: Setting(**entry) for name, entry in data.get("settings", {}).items()},
            "known": frozenset(data.get("known", ())),
            "open": frozenset(data.get("open", ())),
            "types": {token: _type(entry) for token, entry in data.get("types", {}).items()},
            "functions": {token: _function(entry) for token, entry in data.get("functions", {}).items()},
        }
    )


def _type(entry: Mapping[str, Any]) -> TypeData:
    choices = entry.get("choices", {})
    return TypeData(
        **{
            **entry,
            "documents": tuple(entry.get("documents", ())),
            "moving": tuple(entry.get("moving", ())),
            "replace": tuple(paths.parsed(path) for path in entry.get("replace", ())),
            "choices": {paths.parsed(path): tuple(allowed) for path, allowed in choices.items()},
        }
    )


def _function(entry: Mapping[str, Any]) -> FunctionData:
    for expression in entry.get("matching", {}).values():
        re.compile(expression)
    return FunctionData(
        **{**entry, "takes": frozenset(entry.get("takes", ())), "secret": tuple(entry.get("secret", ()))}
    )
