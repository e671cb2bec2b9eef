"""Kubernetes manifests: YAML of several documents, JSON, a stream of JSON objects, and lists of objects."""

from collections.abc import Iterable, Mapping
from typing import Any

from policies.model import Plan, Resource
from policies.model.resource import kubernetes_type
from policies.read.errors import UnreadableInput

#: More values than this in one file are a mistake, or a few lines of aliases that stand for billions.
MAX_VALUES = 5_000_000


def read(
    documents: Iterable[Any], name: str, *, whole: bool = False, allowed_types: frozenset[str] | None = None
) -> Plan:
    """The objects as a plan. `whole`: nothing is missing from it, so what is absent counts."""
    resources = []
    given = [document for document in documents if document is not None]
    _bounded(given, name)
    for index, document in enumerate(given):
        resources.append(_object(document, f"{name}: document {index + 1}"))
    if not resources:
        raise UnreadableInput(
            f"{name} holds no object: give a preview, a state export or Kubernetes objects."
        )
    return Plan.of(resources, whole=whole, source="manifests", allowed_types=allowed_types)


def _object(document: Any, where: str) -> Resource:
    version = document.get("apiVersion") if isinstance(document, Mapping) else None
    kind = document.get("kind") if isinstance(document, Mapping) else None
    if not (isinstance(version, str) and version and isinstance(kind, str) and kind):
        raise UnreadableInput(
            f"{where} is not a Kubernetes object (it has no apiVersion or no kind), nor a preview "
            "(`pulumi preview --json --show-sames`) or a state export (`pulumi stack export`)."
        )
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    name, namespace = metadata.get("name"), metadata.get("namespace")
    at = "/".join(str(part) for part in (namespace, name) if isinstance(part, str)) or where
    return Resource(
        urn=f"{version}/{kind}::{at}",
        type=kubernetes_type(version, kind),
        name=at,
        inputs={str(key): value for key, value in document.items()},
    )


def _bounded(documents: list[Any], name: str) -> None:
    count, stack = 0, list(documents)
    while stack:
        count += 1
        if count > MAX_VALUES:
            raise UnreadableInput(
                f"{name} holds more than {MAX_VALUES} values: split it, or write out its aliases."
            )
        value = stack.pop()
        if isinstance(value, Mapping):
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)
