"""Field managers: who manages which fields of an object, as its metadata.managedFields says.

Format: https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management; a set of fields is
a tree whose keys are `f:<field>`, `k:<keys of a list's item>`, `v:<value of a set's item>`, `i:<index>` and
`.`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from toolchain.providers.kubernetes import objects
from toolchain.providers.kubernetes.objects import Object

Fields = dict[str, Any]

#: managers whose fields a resource takes over when it is updated, as the official plugin does: kubectl's, and
#: those of the same resource when it was made by client-side apply or by the official plugin's create
_TAKEN_OVER = ("kubectl", "before-first-apply", "pulumi-kubernetes.exe", "pulumi-resource-kubernetes")
_TAKEN_OVER_UPDATE = "pulumi-kubernetes"


def entries(live: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries of managedFields that are about fields which inputs may set: all but those of status.

    `kubectl scale` and autoscalers write the replicas by the subresource scale: theirs count.
    """
    found = objects.metadata(live).get("managedFields")
    return [
        entry
        for entry in (found if isinstance(found, list) else [])
        if isinstance(entry, dict) and entry.get("subresource") != "status"
    ]


def fields(live: Mapping[str, Any], manager: str) -> Fields:
    """What `manager` manages of `live`; empty when nothing."""
    return union(entry.get("fieldsV1") or {} for entry in entries(live) if entry.get("manager") == manager)


def all_fields(live: Mapping[str, Any]) -> Fields:
    """What anyone manages of `live`."""
    return union(entry.get("fieldsV1") or {} for entry in entries(live))


def union(trees: Iterable[Fields]) -> Fields:
    """All fields that one of the trees has."""
    result: Fields = {}
    for tree in trees:
        for key, inner in tree.items():
            result[key] = union((result[key], inner)) if key in result else inner
    return result


def item_keys(tree: Fields) -> tuple[str, ...]:
    """The names by which the items of a list are told apart, as `tree` of that list has them; () for none."""
    for key in tree:
        if key.startswith("k:"):
            return tuple(json.loads(key[2:]))
    return ()


def manages(tree: Fields, path: Iterable[str | int]) -> bool:
    """Whether `tree` has a field at, above or below `path`; lists count as wholes."""
    for step in path:
        if not tree:
            return True
        if isinstance(step, int) or f"f:{step}" not in tree:
            return isinstance(step, int) and bool(tree)
        tree = tree[f"f:{step}"]
    return True


def taken_over(live: Mapping[str, Any], manager: str) -> bool:
    """Whether fields of `live` lie with a manager that gives way to `manager`."""
    return any(_gives_way(entry, manager) for entry in entries(live))


def gives_way(names: Sequence[str]) -> bool:
    """Whether all the managers in a conflict are ones that give way."""
    # a conflict says `kubectl-edit" using v1`, so its name is the text up to the quote
    return bool(names) and all(_name_gives_way(name) for name in names)


def moved(live: Mapping[str, Any], manager: str) -> list[Object]:
    """The managedFields of `live` with what gives way moved to `manager`."""
    found = objects.metadata(live).get("managedFields") or []
    leaving = [entry for entry in entries(live) if _gives_way(entry, manager)]
    own = [
        entry
        for entry in entries(live)
        if entry.get("manager") == manager and entry.get("operation") == "Apply"
    ]
    merged = {
        "manager": manager,
        "operation": "Apply",
        "apiVersion": live.get("apiVersion"),
        "fieldsType": "FieldsV1",
        "fieldsV1": union(entry.get("fieldsV1") or {} for entry in (*own, *leaving)),
    }
    if time := next((entry.get("time") for entry in (*own, *leaving) if entry.get("time")), None):
        merged["time"] = time
    return [merged, *(entry for entry in found if entry not in leaving and entry not in own)]


def owners(live: Mapping[str, Any]) -> Iterator[tuple[str, str, Fields]]:
    """(manager, operation, fields) of each entry."""
    for entry in entries(live):
        yield str(entry.get("manager")), str(entry.get("operation")), entry.get("fieldsV1") or {}


def _gives_way(entry: Mapping[str, Any], manager: str) -> bool:
    name = str(entry.get("manager"))
    if name == manager and entry.get("operation") == "Apply":
        return False
    if entry.get("operation") == "Apply":
        return name == "kubectl"
    return _name_gives_way(name) or name == manager


def _name_gives_way(name: str) -> bool:
    return name.startswith(_TAKEN_OVER) or name == _TAKEN_OVER_UPDATE
