"""The inputs of an object that was made elsewhere: what somebody asked for, without what the server made of
it.
"""

import json
from collections.abc import Mapping
from typing import Any

from toolchain.providers.kubernetes import drift, managers, objects
from toolchain.providers.kubernetes.managers import Fields
from toolchain.providers.kubernetes.objects import Object, normalised

#: managers that only controllers of the control plane use
_CONTROLLERS = ("kube-controller-manager", "kube-scheduler", "kubelet", "kube-apiserver", "kwok")
_CONTROLLERS_ANNOTATIONS = ("deployment.kubernetes.io/revision", objects.LAST_APPLIED)


def inputs_of(live: Mapping[str, Any]) -> Object:
    """The inputs that give `live`: what `kubectl apply` was given if it says so, else the fields that someone
    manages.

    Values that the server fills in by default count as asked for where the request that made the object held
    them or where who made it doesn't say: such an object was written as a whole.
    """
    applied = _last_applied(live)
    if applied is not None:
        result = drift.observed(applied, live)
    else:
        tree = managers.union(
            fields for manager, _, fields in managers.owners(live) if not manager.startswith(_CONTROLLERS)
        )
        result = _chosen(live, tree) if tree else _whole(live)
    result["apiVersion"], result["kind"] = live["apiVersion"], live["kind"]
    result["metadata"] = _metadata(result.get("metadata") or {}, live)
    return normalised(result)


def _metadata(chosen: Mapping[str, Any], live: Mapping[str, Any]) -> Object:
    found = objects.metadata(live)
    result = {key: item for key, item in chosen.items() if key not in objects.SERVER_METADATA}
    annotations = result.get("annotations")
    if isinstance(annotations, dict):
        kept = {key: text for key, text in annotations.items() if key not in _CONTROLLERS_ANNOTATIONS}
        result = {key: item for key, item in result.items() if key != "annotations"}
        if kept:
            result["annotations"] = kept
    for key in ("name", "namespace"):
        if found.get(key):
            result[key] = found[key]
    labels = result.get("labels")
    if live.get("kind") == "Namespace" and isinstance(labels, dict):
        # the server itself puts the name there
        labels = {key: text for key, text in labels.items() if key != "kubernetes.io/metadata.name"}
        result = {key: item for key, item in result.items() if key != "labels"}
        if labels:
            result["labels"] = labels
    return result


def _last_applied(live: Mapping[str, Any]) -> Object | None:
    text = objects.annotation(live, objects.LAST_APPLIED)
    try:
        found = json.loads(text) if text else None
    except ValueError:
        return None
    return normalised(found) if isinstance(found, dict) and found.get("kind") == live.get("kind") else None


def _whole(live: Mapping[str, Any]) -> Object:
    return {key: item for key, item in live.items() if key != "status"}


def _chosen(value: Any, tree: Fields) -> Any:
    """The part of `value` that `tree` has."""
    below = {key: inner for key, inner in tree.items() if key != "."}
    if not below:
        return value
    if isinstance(value, dict):
        return {key: _chosen(item, below[f"f:{key}"]) for key, item in value.items() if f"f:{key}" in below}
    if isinstance(value, list):
        found = ((item, _subtree(item, below)) for item in value)
        return [_chosen(item, inner) for item, inner in found if inner is not None]
    return value


def _subtree(item: Any, tree: Fields) -> Fields | None:
    for key, inner in tree.items():
        form, _, text = key.partition(":")
        if form == "k" and isinstance(item, dict):
            identity = json.loads(text)
            if all(drift.same(item.get(name), want) for name, want in identity.items()):
                return inner or {}
        if form == "v" and drift.same(item, json.loads(text)):
            return {}
    return None
