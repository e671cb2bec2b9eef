"""What a live object says of the fields that a program set: the inputs as they would have to be to give it.

The live object holds more than the inputs (defaults, status, what controllers add) and writes some values in
another way. Only what was set is looked at; where live says the same in other words, the program's words
stay.
"""

import json
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from toolchain.providers.core.values import UNKNOWN
from toolchain.providers.kubernetes import managers
from toolchain.providers.kubernetes.managers import Fields
from toolchain.providers.kubernetes.objects import Object

_MISSING: Any = object()
#: k8s.io/apimachinery/pkg/api/resource: quantities, in which 1000m is 1 and 1Gi is 1073741824
_QUANTITY = re.compile(
    r"^(?P<number>[+-]?(?:\d+\.?\d*|\.\d+))(?P<suffix>[KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?$"
)
_SCALE = (
    {
        "n": Decimal("1e-9"),
        "u": Decimal("1e-6"),
        "m": Decimal("1e-3"),
        "k": Decimal(1000),
    }
    | {suffix: Decimal(1000) ** power for power, suffix in enumerate("MGTPE", start=2)}
    | {f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)}
)


def observed(inputs: Mapping[str, Any], live: Mapping[str, Any]) -> Object:
    """The `inputs` as `live` has them: changed where it differs, without what it no longer has."""
    tree = managers.all_fields(live)
    result: Object = {}
    for key, value in inputs.items():
        if key in ("apiVersion", "kind"):
            result[key] = value
            continue
        found = _value(value, live.get(key, _MISSING), tree.get(f"f:{key}") or {})
        if found is not _MISSING:
            result[key] = found
    return result


def same(old: Any, new: Any) -> bool:
    """Whether two values mean the same to the API server: numbers and quantities by their amount."""
    if isinstance(old, bool) or isinstance(new, bool):
        return old is new
    if old == new:
        return True
    if isinstance(old, str | int | float) and isinstance(new, str | int | float):
        amounts = _amount(old), _amount(new)
        return amounts[0] is not None and amounts[0] == amounts[1]
    return False


def _value(value: Any, live: Any, tree: Fields) -> Any:
    if value is UNKNOWN:
        return live
    if live is _MISSING or live is None:
        # what is empty isn't written by the server, and null was never sent
        return value if value in (None, "", 0, False) or value in ({}, []) else _MISSING
    if isinstance(value, dict) and isinstance(live, dict):
        result = {}
        for key, item in value.items():
            found = _value(item, live.get(key, _MISSING), tree.get(f"f:{key}") or {})
            if found is not _MISSING:
                result[key] = found
        return result
    if isinstance(value, list) and isinstance(live, list):
        return _list(value, live, tree)
    return value if same(value, live) else live


def _list(items: list[Any], live: list[Any], tree: Fields) -> list[Any]:
    keys = managers.item_keys(tree)
    if keys:
        return _keyed(items, live, keys, tree)
    if any(key.startswith("v:") for key in tree):
        return [item for item in items if any(same(item, other) for other in live)]
    # a list that is one value: its length counts as well
    return [
        _value(items[index], found, {}) if index < len(items) else found for index, found in enumerate(live)
    ]


def _keyed(items: list[Any], live: list[Any], keys: tuple[str, ...], tree: Fields) -> list[Any]:
    result = []
    for item in items:
        if not isinstance(item, dict):
            continue
        own = {key: item[key] for key in keys if key in item}
        for found in live:
            if isinstance(found, dict) and all(same(found.get(key), want) for key, want in own.items()):
                result.append(_value(item, found, _item_tree(tree, own)))
                break
    return result


def _item_tree(tree: Fields, own: Mapping[str, Any]) -> Fields:
    for key, inner in tree.items():
        if key.startswith("k:"):
            identity = json.loads(key[2:])
            if all(same(identity.get(name), want) for name, want in own.items()):
                return inner or {}
    return {}


def _amount(value: str | int | float) -> Decimal | None:
    match = _QUANTITY.match(str(value))
    if match is None:
        return None
    suffix = match["suffix"] or ""
    try:
        if suffix[:1] in ("e", "E") and len(suffix) > 1:
            return Decimal(match["number"] + suffix)
        return Decimal(match["number"]) * _SCALE.get(suffix, Decimal(1))
    except InvalidOperation:
        return None
