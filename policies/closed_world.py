"""The closed world: which resource types the rules have an opinion on. A type that is not listed is refused.

The kit's lists are the files of `types/` beside this one; a site adds its own in `types.yaml` of its folder:

    types:
      - kubernetes:example.org/v1:Widget    # a type token
      - example.org/Widget                  # or a Kubernetes group/Kind, in any version
"""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from facts.reading import read

_KIT = Path(__file__).with_name("types")


class TypesError(ValueError):
    """A types file that can't be used; the message says which file and what is expected."""


def allowed(site: Path | None = None) -> frozenset[str]:
    """The type tokens and group/Kinds that may be planned: the kit's, and the site's. Raises TypesError."""
    own = site / "types.yaml" if site is not None else None
    if own is None or not own.is_file():
        return _kit()
    listed = _read(own).get("types")
    if not isinstance(listed, list) or not all(isinstance(entry, str) and entry for entry in listed):
        raise TypesError(f"{own}: types must be a list of type tokens or group/Kinds: correct it.")
    for entry in listed:
        if any(character in entry for character in "*?[ "):
            raise TypesError(f"{own}: types names each type exactly, without wildcards: correct it.")
    return _kit() | frozenset(listed)


@cache
def _kit() -> frozenset[str]:
    families = [family for file in sorted(_KIT.glob("*.yaml")) for family in read(file)["families"]]
    return frozenset(entry for family in families for entry in family["types"])


def _read(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TypesError(f"{path} can't be read ({type(error).__name__}): correct it or remove it.") from None
    if not isinstance(data, dict):
        raise TypesError(f"{path} must hold a mapping with the key `types`: correct it.")
    return data
