"""Which command-line flags of `vllm serve` and which environment names a vLLM version knows: tables made
from the published wheels by `python -m facts.flags`, and what replaced the flags that were removed."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from facts.reading import read

#: the version that the kit deploys
PINNED = "0.33.0"

_FOLDER = Path(__file__).parent


class FlagsError(ValueError):
    """A version without a table, or sources that can't be read; the message says what to do."""


@dataclass(frozen=True)
class Table:
    """The names that one version knows. Flags stand without leading dashes, with dashes for underscores."""

    version: str
    flags: frozenset[str]  #: all of them, the short ones and the --no- forms too
    switches: frozenset[str]  #: those that take no value
    lists: frozenset[str]  #: those that take several values
    environment: frozenset[str]


@cache
def versions() -> tuple[str, ...]:
    """The versions that have a table, newest first."""
    found = [file.stem.removeprefix("vllm-") for file in _FOLDER.glob("vllm-*.yaml")]
    return tuple(sorted(found, key=lambda version: [int(part) for part in version.split(".")], reverse=True))


@cache
def table(version: str) -> Table:
    """The table of a version."""
    if version not in versions():
        raise FlagsError(
            f"no table of flags for vLLM {version!r}: known are {', '.join(versions())}; use one of them, or "
            f"write facts/flags/vllm-VERSION.yaml with python -m facts.flags VERSION"
        )
    names = _load(f"vllm-{version}.yaml")
    return Table(
        version=names["version"],
        flags=frozenset(names["flags"]),
        switches=frozenset(names["switches"]),
        lists=frozenset(names["lists"]),
        environment=frozenset(names["environment"]),
    )


def instead(flag: str) -> str | None:
    """What replaced a removed flag: a flag, or a sentence; None where nothing did or nothing is known."""
    return _replaced().get(_bare(flag))


def advice(flag: str, table: Table) -> str:
    """What to write in the place of a flag that a version doesn't know."""
    found = instead(flag)
    if found:
        return f"take {found}" if found.startswith("--") else found
    near = get_close_matches(flag, table.flags, 1)
    return f"it has --{near[0]}" if near else "it has no flag like it"


@cache
def _replaced() -> Mapping[str, str | None]:
    return {_bare(entry["flag"]): entry["instead"] for entry in _load("replaced.yaml")["replaced"]}


def _bare(flag: str) -> str:
    return flag.lstrip("-").replace("_", "-")


def _load(name: str) -> Mapping[str, Any]:
    content: Mapping[str, Any] = read(_FOLDER / name)
    return content
