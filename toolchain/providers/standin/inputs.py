"""Inputs of resources: names that are missing, documents, values that aren't allowed, old inputs."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from toolchain.providers.core import UNKNOWN, Autonaming, Naming, Properties, Urn, paths
from toolchain.providers.core.shape import Problem
from toolchain.providers.core.values import Path, Secret, has_secret, has_unknown, plain
from toolchain.providers.standin.data import TypeData
from toolchain.providers.standin.kinds import Scalar, one_of
from toolchain.providers.standin.sdk import ResourceType

_DIGITS = 7


def naming_of(kind: ResourceType, known: TypeData) -> Mapping[str, str]:
    """The property that takes a made-up name, and in which form."""
    if known.name is not None:
        return known.name
    field, output = kind.inputs.fields.get("name"), kind.outputs.get("name")
    if field is None or field.required or output is None or not output.always:
        return {}
    return {"name": "{auto}"} if field.kind == Scalar("string") else {}


def add_name(
    inputs: Properties, old: Properties, urn: Urn, forms: Mapping[str, str], naming: Naming
) -> Iterator[Problem]:
    """Gives `inputs` a name in place where they have none: the one they had, else a new one, the same for the
    same URN. `forms` are those of `naming_of`."""
    for key, form in forms.items():
        if key in inputs or f"{key}Prefix" in inputs:
            continue
        if old.get(key) is not None:
            inputs[key] = old[key]
        elif naming.mode is Autonaming.DISABLE:
            yield Problem((key,), "is missing, and the stack's settings forbid made-up names: say it")
        else:
            digits = hashlib.sha256(urn.text.encode()).hexdigest()[:_DIGITS]
            proposed = naming.proposed if naming.mode is not None else ""
            inputs[key] = form.replace("{auto}", proposed or f"{urn.name}-{digits}")


def as_text(document: Any) -> Any:
    """A document as JSON text, with what is secret or unknown in it; a text as it is."""
    value = plain(document)
    if not isinstance(value, dict):
        return document
    if has_unknown(value):
        return UNKNOWN
    written = json.dumps(value, separators=(",", ":"))
    return Secret(written) if has_secret(document) else written


def not_among(inputs: Properties, choices: Mapping[Path, tuple[Any, ...]]) -> Iterator[Problem]:
    """The values that none of the choices for their property path allows."""
    for pattern, allowed in choices.items():
        for path, value in _at(inputs, pattern):
            if value not in allowed:
                yield Problem(path, f"has a value that isn't allowed there; {one_of(allowed, value)}")


def _at(value: Any, pattern: Path, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """(path, value) of all that is known where a pattern leads."""
    value = plain(value)
    if not pattern:
        if value is not UNKNOWN and not isinstance(value, dict | list):
            yield path, value
    elif isinstance(value, dict) and value.get(pattern[0]) is not None:
        yield from _at(value[pattern[0]], pattern[1:], (*path, pattern[0]))
    elif isinstance(value, list) and pattern[0] == paths.ANY:
        for index, item in enumerate(value):
            yield from _at(item, pattern[1:], (*path, index))


def bare(old: Any, new: Any) -> Any:
    """Old inputs without what the official plugin notes in them, and without the defaults that it filled in
    and that `new` doesn't say: `__defaults` lists them."""
    if isinstance(old, dict):
        filled = plain(old.get("__defaults")) or ()
        given = new if isinstance(new, dict) else {}
        return {
            key: bare(value, given.get(key))
            for key, value in old.items()
            if not key.startswith("__") and (key not in filled or key in given)
        }
    if isinstance(old, list):
        items = new if isinstance(new, list) else []
        return [bare(item, items[index] if index < len(items) else None) for index, item in enumerate(old)]
    return old
