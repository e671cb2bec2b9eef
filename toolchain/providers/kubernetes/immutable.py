"""Which changes ask for a replacement, because the API server refuses them in place."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from toolchain.providers.core import paths
from toolchain.providers.core.values import Path as PropertyPath
from toolchain.providers.kubernetes.objects import Kind

_IDENTITY = (("metadata", "name"), ("metadata", "namespace"))
_CONTENT = {
    "Secret": (("data",), ("stringData",), ("immutable",)),
    "ConfigMap": (("data",), ("binaryData",), ("immutable",)),
}


@cache
def table() -> dict[str, tuple[PropertyPath, ...]]:
    """`apiVersion Kind` -> the fields that can't be changed in place."""
    data = yaml.safe_load(Path(__file__).with_name("immutable.yaml").read_text())
    return {kind: tuple(paths.parsed(field) for field in fields) for kind, fields in data.items()}


def replaces(
    old_kind: Kind, kind: Kind, old: Mapping[str, Any], content_mutable: Mapping[str, bool]
) -> Callable[[PropertyPath], bool]:
    """Says of a property path whether its change asks for a replacement.

    `old` are the inputs so far. `content_mutable` says of "Secret" and "ConfigMap" whether the provider's
    settings let their content change in place; otherwise, and where an object says `immutable: true`, it
    doesn't.
    """
    patterns = [*_IDENTITY, *table().get(f"{kind.api_version} {kind.name}", ())]
    if kind.group == "" and kind.name in _CONTENT:
        content = _CONTENT[kind.name]
        if old.get("immutable") is True:
            patterns += content
        elif not content_mutable[kind.name]:
            patterns += content[:2]
    another = (old_kind.group, old_kind.name) != (kind.group, kind.name)

    def asks(path: PropertyPath) -> bool:
        if another and path[:1] in (("apiVersion",), ("kind",)):
            return True
        return any(paths.touches(pattern, path) for pattern in patterns)

    return asks
