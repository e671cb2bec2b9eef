"""What a published Python SDK says of its package: the properties of resources, functions and settings.

Read from its classes by reflection, each when it is first asked for. The rules by which tokens become names
of modules and classes are those of the generator: pulumi v3.259.0, pkg/codegen/python.
"""

import collections.abc
import importlib
import inspect
import keyword
import re
import threading
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from types import ModuleType, UnionType
from typing import Any

import pulumi

from toolchain.providers.standin.kinds import ANY, AnyOf, Choice, Entries, Field, Items, Kind, Object, Scalar

_SCALARS: Mapping[Any, str] = {str: "string", bool: "boolean", int: "integer", float: "number"}
#: names in the types of pulumi.Input, which is written with forward references
_FORWARD = {"Output": pulumi.Output, "T": type(None)}
_TYPE = "pulumi_type"
_NAME = "_pulumi_name"


@dataclass(frozen=True)
class OutputProperty:
    """An output; `always` when the official plugin gives it whether or not the program does."""

    kind: Kind
    always: bool


@dataclass(frozen=True)
class ResourceType:
    """What a resource takes and gives."""

    inputs: Object
    outputs: Mapping[str, OutputProperty]


@dataclass(frozen=True)
class Function:
    """What a function takes and gives."""

    arguments: Object
    results: Mapping[str, OutputProperty]


class Sdk:
    """The SDK that is installed under a module's name: `pulumi_aws`.

    `open` names enums, as `module.Name`, that aren't complete: what they don't list may still be right.
    """

    def __init__(self, module: str, open: frozenset[str] = frozenset()) -> None:
        self._name = module
        self._open = open
        self._objects: dict[type, Object] = {}
        self._resources: dict[str, ResourceType | None] = {}
        self._functions: dict[str, Function | None] = {}
        # importing a module that loads lazily isn't safe from several threads
        self._lock = threading.RLock()

    def resource(self, token: str) -> ResourceType | None:
        """A resource by its type token; None where the package has none of it."""
        with self._lock:
            if token not in self._resources:
                self._resources[token] = self._read_resource(token)
            return self._resources[token]

    def function(self, token: str) -> Function | None:
        """A function by its token; None where the package has none of it."""
        with self._lock:
            if token not in self._functions:
                self._functions[token] = self._read_function(token)
            return self._functions[token]

    @property
    def settings(self) -> Object:
        """What the package's provider takes."""
        with self._lock:
            return self._object(_arguments(importlib.import_module(f"{self._name}.provider")))

    def _read_resource(self, token: str) -> ResourceType | None:
        module, name = self._place(token)
        cls = getattr(module, name, None)
        if not inspect.isclass(cls) or getattr(cls, _TYPE, None) != token:
            return None
        arguments = _arguments(importlib.import_module(cls.__module__))
        return ResourceType(self._object(arguments), self._outputs(cls))

    def _read_function(self, token: str) -> Function | None:
        module, name = self._place(token)
        function = getattr(module, _snake(name), None)
        if not inspect.isfunction(function):
            return None
        hints = typing.get_type_hints(function, vars(inspect.getmodule(function)), _FORWARD)
        results = hints.pop("return", None)
        parameters = inspect.signature(function).parameters
        fields = {
            _camel(parameter): Field(
                self._kind(hint), parameters[parameter].default is inspect.Parameter.empty
            )
            for parameter, hint in hints.items()
            if parameter != "opts"
        }
        return Function(
            Object(lambda: fields), self._outputs(results.__mro__[1]) if inspect.isclass(results) else {}
        )

    def _place(self, token: str) -> tuple[ModuleType | None, str]:
        """The Python module of a token, and the name that it has there."""
        _, path, name = token.split(":")
        parts = [part for part in path.split("/") if part != "index"]
        if parts and parts[-1] == name[:1].lower() + name[1:]:
            parts.pop()
        names = [f"{part}_" if keyword.iskeyword(part) else part.replace("-", "_") for part in parts]
        try:
            return importlib.import_module(".".join((self._name, *names))), name
        except ModuleNotFoundError:
            return None, name

    def _outputs(self, cls: type) -> Mapping[str, OutputProperty]:
        return {
            name: OutputProperty(self._kind(hint), not _is_optional(hint))
            for name, _, hint in _properties(cls)
        }

    def _object(self, cls: type) -> Object:
        if cls not in self._objects:

            def read() -> Mapping[str, Field]:
                with self._lock:
                    parameters = inspect.signature(cls).parameters
                    return {
                        name: Field(self._kind(hint), parameters[python].default is inspect.Parameter.empty)
                        for name, python, hint in _properties(cls)
                    }

            self._objects[cls] = Object(read)
        return self._objects[cls]

    def _kind(self, hint: Any) -> Kind:
        origin = typing.get_origin(hint)
        if origin in (typing.Union, UnionType):
            return self._union(typing.get_args(hint))
        if origin is pulumi.Output:
            return self._kind(typing.get_args(hint)[0])
        if origin in (list, collections.abc.Sequence):
            return Items(self._kind(typing.get_args(hint)[0]))
        if origin in (dict, collections.abc.Mapping):
            return Entries(self._kind(typing.get_args(hint)[1]))
        if not inspect.isclass(hint):
            return ANY
        if issubclass(hint, Enum):
            return Choice(tuple(member.value for member in hint), _qualified(hint) in self._open)
        if hint in _SCALARS:
            return Scalar(_SCALARS[hint])
        if any(True for _ in _properties(hint)):
            return self._object(hint)
        return ANY

    def _union(self, members: tuple[Any, ...]) -> Kind:
        """The kind of a union without the forms that only a program can give: promises, outputs, typed
        dictionaries."""
        bare = [member for member in members if not _is_form(member)]
        enums = [member for member in bare if inspect.isclass(member) and issubclass(member, Enum)]
        if enums:  # a text beside an enum is how the generator writes an enum that may be given as text
            bare = [member for member in bare if member is not str]
        kinds = tuple(dict.fromkeys(self._kind(member) for member in bare))
        if ANY in kinds or not kinds:
            return ANY
        return kinds[0] if len(kinds) == 1 else AnyOf(kinds)


def _arguments(module: ModuleType) -> type:
    """The class of arguments that a module declares beside its resource."""
    classes = (getattr(module, name) for name in module.__all__)
    return next(cls for cls in classes if inspect.isclass(cls) and cls.__name__.endswith("Args"))


def _properties(cls: type) -> Iterator[tuple[str, str, Any]]:
    """(name, name in Python, type) of each property that a generated class declares."""
    names = vars(importlib.import_module(cls.__module__))
    for python, member in vars(cls).items():
        getter = member.fget if isinstance(member, property) else None
        name = getattr(getter, _NAME, None)
        if name is not None:
            yield name, python, typing.get_type_hints(getter, names, _FORWARD).get("return", Any)


def _is_form(member: Any) -> bool:
    origin = typing.get_origin(member)
    return (
        member is type(None)
        or origin is collections.abc.Awaitable
        or origin is pulumi.Output
        or typing.is_typeddict(member)
    )


def _is_optional(hint: Any) -> bool:
    inner = typing.get_args(hint)[0] if typing.get_origin(hint) is pulumi.Output else hint
    return type(None) in typing.get_args(inner)


def _qualified(cls: type) -> str:
    return f"{cls.__module__.split('.')[1].removeprefix('_enums')}.{cls.__name__}".lstrip(".")


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _camel(name: str) -> str:
    first, *rest = name.rstrip("_").split("_")
    return first + "".join(part.capitalize() for part in rest)
