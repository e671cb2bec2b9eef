"""What a plan tells of its stack: the zone's name, where the state lives, whose key its secrets have, and
what of its ground somebody else answers for."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from facts.zones import Declared
from policies.model import StackFacts, UsedPart

#: The one structured configuration key of a stack.
KEY = "sovereign:settings"

#: Parts of a ground on AWS that a landing zone may have already (stacks/aws_settings.py), by their keys under
#: `aws` (`*`: each of them), and the routes that the owner's word then covers, because the plan doesn't show
#: the part.
_USED: Mapping[str, tuple[str, ...]] = {
    "network.vpc": ("A18",),
    "endpoints.s3": ("A16",),
    "keys.*": ("A26", "A27"),
    "cluster.cluster": ("K45", "K46"),
    "organisation": ("A53",),
    "singletons.defaults": ("A24",),
    "singletons.trail": ("A37",),
    "singletons.inventory": ("A38",),
    "singletons.detection": ("A36",),
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
        used=tuple(used(settings.get("aws"))),
    )


def used(ground: Any) -> Iterator[UsedPart]:
    """The parts of a ground that are used, not made, with their owners' words."""
    for path, routes in _USED.items():
        for key, part in _at(ground, path.split("."), "aws"):
            given = {name: part.get(name) for name in ("what", "owner", "since", "until")}
            yield UsedPart(key, routes, tuple(_words(routes, given)))


def _at(value: Any, path: Sequence[str], key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The mappings at a path, with their keys."""
    if not isinstance(value, Mapping):
        return
    if not path:
        yield key, value
        return
    for step in value if path[0] == "*" else path[:1]:
        yield from _at(value.get(step), path[1:], f"{key}.{step}")


def _words(routes: Sequence[str], given: Mapping[str, Any]) -> Iterator[Declared]:
    """A word that names nobody or has no dates covers nothing."""
    for route in routes:
        try:
            yield Declared.model_validate({"route": route, **given})
        except ValidationError:
            continue


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
