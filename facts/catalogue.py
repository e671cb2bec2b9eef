"""Reading a catalogue of named things from YAML, and answering a name that isn't in it."""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml

from facts.reading import read

#: where the kit's own catalogues lie
_OURS = Path(__file__).parent

Thing = TypeVar("Thing")


class CatalogueError(ValueError):
    """A name that is in no catalogue, or a catalogue that can't be read; the message is a sentence."""


def entry(file: Path, key: str) -> dict[str, dict[str, Any]]:
    """The mapping of named things under `key` of a YAML file. Raises CatalogueError."""
    try:
        data = read(file) if file.parent == _OURS else yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CatalogueError(f"{file} can't be read as YAML ({type(error).__name__}): correct it.") from None
    things = data.get(key) if isinstance(data, dict) else None
    if not isinstance(things, dict) or not all(isinstance(thing, dict) for thing in things.values()):
        raise CatalogueError(f"{file}: {key}: must be a mapping of names to mappings.")
    return things


def choose(sort: str, name: str, things: Mapping[str, Thing]) -> Thing:
    """The thing of this name. Raises CatalogueError that lists what there is."""
    if name in things:
        return things[name]
    names = {known.lower(): known for known in things}
    longer = [known for known in names if name and known.startswith(name.lower())]
    near = longer or get_close_matches(name.lower(), names, 1)
    hint = f" Did you mean {names[near[0]]}?" if near else ""
    raise CatalogueError(f"There is no {sort} {name!r} in the catalogue.{hint} It has {', '.join(things)}.")
