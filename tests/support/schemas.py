"""The API of a Kubernetes release as its own source declares it, and objects held against it.

The source is the module k8s.io/kubernetes, pinned in tests/schemas/; its OpenAPI file is kept in the cache of
the toolchain, by its version.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from facts.site import ROOT
from tests.support import modules

_MODULE = "k8s.io/kubernetes"
_PINNED = ROOT / "tests" / "schemas"
_PREFIX = "#/definitions/"
_KINDS: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}


class Schema:
    """The objects that one release knows."""

    def __init__(self, version: str, definitions: Mapping[str, Any]) -> None:
        self.version = version
        self._definitions = definitions
        self._kinds = {
            (one["group"], one["version"], one["kind"]): name
            for name, definition in definitions.items()
            for one in definition.get("x-kubernetes-group-version-kind", ())
        }

    def knows(self, item: Mapping[str, Any]) -> bool:
        return self._key(item) in self._kinds

    def faults(self, item: Mapping[str, Any]) -> list[str]:
        """What of an object the release doesn't know, or wants and doesn't find."""
        return list(self._walk(item, {"$ref": _PREFIX + self._kinds[self._key(item)]}, ""))

    def _key(self, item: Mapping[str, Any]) -> tuple[str, str, str]:
        group, _, version = item["apiVersion"].rpartition("/")
        return group, version, item["kind"]

    def _walk(self, value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
        if "$ref" in schema:
            schema = self._definitions[schema["$ref"].removeprefix(_PREFIX)]
        if "properties" in schema:
            yield from self._object(value, schema, path)
        elif schema.get("type") == "array":
            if not isinstance(value, list):
                yield f"{path}: a list is expected"
                return
            for place, one in enumerate(value):
                yield from self._walk(one, schema["items"], f"{path}[{place}]")
        elif "additionalProperties" in schema:
            if not isinstance(value, dict):
                yield f"{path}: a mapping is expected"
                return
            for key, one in value.items():
                yield from self._walk(one, schema["additionalProperties"], f"{path}.{key}")
        elif schema.get("type") in _KINDS and schema.get("format") != "int-or-string":
            kind = _KINDS[schema["type"]]
            if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
                yield f"{path}: {schema['type']} is expected"

    def _object(self, value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{path}: a mapping is expected"
            return
        for key in schema.get("required", ()):
            if key not in value:
                yield f"{path}.{key}: is required"
        for key, one in value.items():
            if key not in schema["properties"]:
                yield f"{path}.{key}: is not known"
            else:
                yield from self._walk(one, schema["properties"][key], f"{path}.{key}")


@cache
def pinned() -> Schema:
    """The release pinned in tests/schemas/, fetched once."""
    [file] = modules.files(_MODULE, ["api/openapi-spec/swagger.json"], _PINNED)
    definitions = json.loads(file.read_text(encoding="utf-8"))["definitions"]
    return Schema(modules.version(_MODULE, _PINNED), definitions)
