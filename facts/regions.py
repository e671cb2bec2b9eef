"""Where a region lies: the key is (provider, region code), never a bare name. Data with sources in
regions.yaml."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from facts.reading import read

_FILE = Path(__file__).with_name("regions.yaml")


@cache
def _facts() -> Mapping[str, Any]:
    facts: Mapping[str, Any] = read(_FILE)
    return facts


def providers() -> tuple[str, ...]:
    """The providers whose regions are known."""
    return tuple(_facts()["providers"])


def country(provider: str, code: str) -> str | None:
    """The ISO country of a provider's region; None where nobody has said, which is to be refused."""
    known = _facts()["providers"].get(provider, {}).get("regions", {}).get(code)
    found = known.get("country") if isinstance(known, Mapping) else None
    return found if isinstance(found, str) else None


def in_eea(code: str) -> bool:
    """Whether a country is in the European Economic Area; a country not listed is outside."""
    return bool(_facts()["countries"].get(code, {}).get("eea", False))


def named(code: str) -> tuple[tuple[str, str], ...]:
    """All (provider, country) that use this region code: one code can name two places."""
    return tuple(
        (provider, place) for provider in providers() if (place := country(provider, code)) is not None
    )
