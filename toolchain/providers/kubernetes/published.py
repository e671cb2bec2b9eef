"""The kinds of objects of a Kubernetes release as it publishes them, for where there is no API server to ask.

The file is made by toolchain/build/kubernetes_api.py, and says more about its form.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from toolchain.providers.core.shape import Problem
from toolchain.providers.kubernetes.discovery import Served
from toolchain.providers.kubernetes.objects import Kind, Object
from toolchain.providers.standin import kinds
from toolchain.providers.standin.kinds import ANY, AnyOf, Choice, Entries, Field, Items, Scalar


class Published:
    """What an API server of the `release` serves, and what each object of it may hold."""

    def __init__(self, file: Path) -> None:
        document = json.loads(file.read_text(encoding="utf-8"))
        self.release: str = document["release"]
        self._kinds: Mapping[str, Any] = document["kinds"]
        self._schemas: Mapping[str, Any] = document["schemas"]
        self._named = cache(self._read)

    def find(self, kind: Kind) -> Served | None:
        """Where `kind` is served, or None when the release has none of it."""
        told = self._kinds.get(f"{kind.api_version}/{kind.name}")
        return Served(kind, told["plural"], told["namespaced"]) if told else None

    def versions(self, kind: Kind) -> list[str]:
        """The apiVersions in which the release has a kind of this name."""
        return [key.rpartition("/")[0] for key in self._kinds if key.rpartition("/")[2] == kind.name]

    def problems(self, kind: Kind, obj: Object) -> Iterator[Problem]:
        """What in an object of a kind that is served isn't as the release has it."""
        schema = self._kinds[f"{kind.api_version}/{kind.name}"]["schema"]
        return kinds.problems(obj, self._named(schema))

    def _read(self, name: str) -> kinds.Kind:
        return self._kind(self._schemas[name])

    def _kind(self, schema: Mapping[str, Any]) -> kinds.Kind:
        if "$ref" in schema:
            return self._named(schema["$ref"])
        if "oneOf" in schema:
            return AnyOf(tuple(self._kind(one) for one in schema["oneOf"]))
        if "enum" in schema:
            return Choice(tuple(schema["enum"]))
        match schema.get("type"):
            case "array":
                return Items(self._kind(schema["items"]))
            case "object" if "properties" in schema:
                return kinds.Object(lambda: self._fields(schema))
            case "object":
                return Entries(self._kind(schema.get("additionalProperties", {})))
            case None:
                return ANY
            case scalar:
                return Scalar(scalar)

    def _fields(self, schema: Mapping[str, Any]) -> Mapping[str, Field]:
        required = schema.get("required", ())
        return {
            name: Field(self._kind(inner), name in required) for name, inner in schema["properties"].items()
        }
