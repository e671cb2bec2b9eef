"""What a plan tells of its stack: the zone's name, where the state lives, whose key its secrets have, and
what of its ground somebody else answers for."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from facts.zones import Declared
from policies.model import StackFacts

#: The one structured configuration key of a stack.
KEY = "sovereign:settings"

#: Parts of a ground on AWS that a landing zone may have already, and the routes whose absence in the plan the
#: owner's word then covers (stacks/aws_settings.py).
_USED: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("network", "vpc"): ("A18",),
    ("endpoints", "s3"): ("A16",),
    ("cluster", "cluster"): ("K45", "K46"),
    ("organisation",): ("A53",),
    ("singletons", "defaults"): ("A24",),
    ("singletons", "trail"): ("A37",),
}


def stack_facts(config: Mapping[str, Any], name: str | None = None) -> StackFacts:
    """From a stack's configuration (values as text, as the engine hands them on, or as data)."""
    settings = config.get(KEY)
    if isinstance(settings, str):
        try:
            settings = json.loads(settings)
        except ValueError:
            settings = None
    if not isinstance(settings, Mapping):
        return StackFacts(name=name)
    state = settings.get("state")
    state = state if isinstance(state, Mapping) else {}
    return StackFacts(
        name=name,
        backend=_text(state.get("backend")),
        secrets_provider=_text(state.get("secretsProvider")),
        zone=_text(settings.get("zone")),
        declared=tuple(_declared(settings.get("aws"))),
    )


def _declared(ground: Any) -> Iterator[Declared]:
    """A word that names nobody or has no dates covers nothing."""
    for path, routes in _USED.items():
        part = ground
        for key in path:
            part = part.get(key) if isinstance(part, Mapping) else None
        if not isinstance(part, Mapping):
            continue
        given = {key: part.get(key) for key in ("what", "owner", "since", "until")}
        for route in routes:
            try:
                yield Declared.model_validate({"route": route, **given})
            except ValidationError:
                continue


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
