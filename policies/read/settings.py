"""What a plan tells of its stack: the zone's name, where the state lives, whose key its secrets have."""

import json
from collections.abc import Mapping
from typing import Any

from policies.model import StackFacts

#: The one structured configuration key of a stack.
KEY = "sovereign:settings"


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
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
