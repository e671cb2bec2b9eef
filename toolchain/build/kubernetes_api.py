"""The API of a Kubernetes release in one small file, from the module k8s.io/kubernetes that declares it.

    release: "v1.36.3"
    kinds:   {"apps/v1/Deployment": {"schema": NAME, "plural": "deployments", "namespaced": true}}
    schemas: {NAME: schema of OpenAPI 3.0: type, format, required, properties, items, additionalProperties,
             oneOf, enum, and $ref to another NAME}

The published schemas (api/openapi-spec/v3) leave out which values an enum has; the API server's own do not
(pkg/generated/openapi, which the API server is built with), so these are put in from there.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_PUBLISHED = "api/openapi-spec/v3"
_GENERATED = "pkg/generated/openapi/zz_generated.openapi.go"
_REFERENCE = "#/components/schemas/"
_KEPT = ("type", "format", "required", "enum")
_GROUP_VERSION_KIND = "x-kubernetes-group-version-kind"
#: the path of one object, by which it is read, changed and deleted
_OBJECT = re.compile(
    r"/apis?/(?:[^/{}]+/)+?(?P<namespaced>namespaces/\{namespace\}/)?(?P<plural>[a-z]+)/\{name\}"
)
#: lines of the generated source, which gofmt indents by tabs: an enum is deeper than the name of its property
#: by so many, and that of each item of a list or map by more
_FUNCTION = re.compile(r"func schema_(\w+)\(ref ")
_PROPERTY = re.compile(r'(\t+)"([^"]+)": \{')
_ENUM = re.compile(r"(\t+)Enum: +\[\]interface\{\}\{(.*)\},")
_BELOW = 2
_SERVERS_OWN = re.compile(r"^io\.k8s\.[a-z-]+\.(?=pkg\.apis\.)")


def of_module(module: Path) -> str:
    """The file's text, from the folder of the module."""
    kinds: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for file in sorted((module / _PUBLISHED).glob("*.json")):
        document = json.loads(file.read_text(encoding="utf-8"))
        declared = document.get("components", {}).get("schemas", {})
        schemas |= {name: _trimmed(schema) for name, schema in declared.items()}
        kinds |= _kinds(document.get("paths", {}), declared)
    enums = dict(_enums((module / _GENERATED).read_text(encoding="utf-8")))
    for name, schema in schemas.items():
        for key, values in enums.get(_function(name), {}).items():
            of_items, allowed = values
            schema_of = schema["properties"][key]
            if of_items:
                schema_of = schema_of.get("items") or schema_of["additionalProperties"]
            schema_of |= {"enum": allowed}
    made = {"release": module.name.partition("@")[2], "kinds": kinds, "schemas": schemas}
    return json.dumps(made, separators=(",", ":"), sort_keys=True)


def _trimmed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema without prose and defaults; a reference that stands alone in an allOf stands for itself."""
    if "$ref" in schema:
        return {"$ref": schema["$ref"].removeprefix(_REFERENCE)}
    if len(schema.get("allOf", ())) == 1:
        return _trimmed(schema["allOf"][0])
    found = {key: schema[key] for key in _KEPT if key in schema}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), Mapping):
            found[key] = _trimmed(schema[key])
    if "properties" in schema:
        found["properties"] = {name: _trimmed(inner) for name, inner in schema["properties"].items()}
    if "oneOf" in schema:
        found["oneOf"] = [_trimmed(inner) for inner in schema["oneOf"]]
    return found


def _kinds(paths: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The kinds of objects that are kept under these paths."""
    names = {
        (one["group"], one["version"], one["kind"]): name
        for name, schema in schemas.items()
        for one in schema.get(_GROUP_VERSION_KIND, ())
    }
    for path, operations in paths.items():
        found, put = _OBJECT.fullmatch(path), operations.get("put")
        if found is None or put is None:
            continue
        one = put[_GROUP_VERSION_KIND]
        key = (one["group"], one["version"], one["kind"])
        yield (
            "/".join(part for part in key if part),
            {"schema": names[key], "plural": found["plural"], "namespaced": bool(found["namespaced"])},
        )


def _enums(source: str) -> Iterator[tuple[str, dict[str, tuple[bool, list[str]]]]]:
    """Of each function of the generated source: property -> whether they are of its items, allowed values."""
    function = ""
    found: dict[str, tuple[bool, list[str]]] = {}
    tabs, property = 0, ""
    for line in source.splitlines():
        if start := _FUNCTION.match(line):
            if found:
                yield function, found
            function, found = start[1], {}
        elif name := _PROPERTY.fullmatch(line):
            tabs, property = len(name[1]), name[2]
        elif enum := _ENUM.fullmatch(line):
            found[property] = len(enum[1]) > tabs + _BELOW, json.loads(f"[{enum[2]}]")
    if found:
        yield function, found


def _function(schema: str) -> str:
    """What the generated source calls a schema: `io.k8s.api.core.v1.Pod` is `k8sio_api_core_v1_Pod`; one of a
    server's own package goes by that package's path."""
    return _SERVERS_OWN.sub("", schema).replace("io.k8s.", "k8sio_", 1).replace(".", "_")
