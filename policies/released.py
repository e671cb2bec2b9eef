"""What was released: a digest of each resource's inputs, for each of the last releases of a stack.

A resource whose inputs are among them is as it was approved once, so an ended waiver spares it: else there
would be no way back to the last approved release. Of secrets only the place counts.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from facts.site import Site
from policies.model import Resource, Sealed, is_marker

#: releases of a resource that are kept
_KEPT = 20


def file_of(site: Site, stack: str) -> Path:
    return site.work(stack) / "released.json"


def record(path: Path, resources: Iterable[Resource]) -> None:
    """Keeps the digests of what was just made, beside those of the releases before."""
    known = _read(path)
    made: dict[str, list[str]] = {}
    for resource in resources:
        now = digest(resource)
        made[resource.urn] = [*(one for one in known.get(resource.urn, []) if one != now), now][-_KEPT:]
    # what is gone now may come back with an older release
    text = json.dumps({**known, **made}, indent=0, sort_keys=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)


def unchanged(path: Path, resources: Iterable[Resource]) -> frozenset[str]:
    """The URNs of those that are as some kept release had them."""
    known = _read(path)
    return frozenset(one.urn for one in resources if known and digest(one) in known.get(one.urn, ()))


def digest(resource: Resource) -> str:
    """Of type, provider and inputs."""
    text = json.dumps([resource.type, resource.provider, _shown(resource.inputs)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _shown(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _shown(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(item) for item in value]
    if is_marker(value) or isinstance(value, Sealed):
        return {"": repr(value) if is_marker(value) else "secret"}
    return value


def _read(path: Path) -> Mapping[str, list[str]]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # nothing is known to have been released, so nothing is spared
    return found if isinstance(found, dict) else {}
