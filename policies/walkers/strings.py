"""Every string of a resource, with the keys around it: structured text inside strings is taken apart too.

JSON and YAML in a string, and the base64 of a Secret, are read as what they are, to a bounded depth and size.
What stands on the denied side of a rule (`Effect: Deny`) is left out: it names no destination.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policies.documents import Unparsable, of_json, of_yaml
from policies.model.marker import Marker

#: Limits to what one resource may make us read; beyond them it counts as something that can't be judged.
MAX_LEAVES = 50_000
MAX_EMBEDDED = 4
MAX_DEPTH = 64
MAX_PARSED = 1 << 18

_FLAG = re.compile(r"(--?[A-Za-z][\w.-]*)(?:=(.*))?", re.DOTALL)
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4}){5,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_YAML_LINE = re.compile(r"^\s*(?:- )?[\w./\"'-]+:(?:\s|$)", re.MULTILINE)

#: Beside `value`, these name it: an environment variable, a header, a selector, a tag.
_LABELS = ("name", "key", "Name", "Key")

#: Keys of a Kubernetes object that the API server or kubectl keeps for itself.
_BOOKKEEPING = frozenset({"managedFields", "kubectl.kubernetes.io/last-applied-configuration"})


@dataclass(frozen=True, slots=True)
class Leaf:
    """A string (or a marker) at `path`. `keys`: the keys above it, outermost first; the name of an
    environment variable or of a flag stands for the key `value`. `secret`: it lies in a Secret, so nothing
    of it is shown."""

    path: str
    keys: tuple[str, ...]
    value: str | Marker
    secret: bool = False

    @property
    def key(self) -> str:
        return self.keys[-1] if self.keys else ""


class TooMuch(ValueError):
    """A resource holds more strings, or deeper ones, than is read."""


def leaves(inputs: Mapping[str, Any], *, secret_data: bool = False) -> tuple[Leaf, ...]:
    """All strings and markers in `inputs`. `secret_data`: it is a Kubernetes Secret. Raises TooMuch."""
    found: list[Leaf] = []
    for leaf in _walk(inputs, "", (), 0, 0, secret_data):
        found.append(leaf)
        if len(found) > MAX_LEAVES:
            raise TooMuch
    return tuple(found)


def _walk(
    value: Any, path: str, keys: tuple[str, ...], depth: int, embedded: int, secret: bool
) -> Iterator[Leaf]:
    if depth > MAX_DEPTH:
        raise TooMuch
    if isinstance(value, str):
        yield from _text(value, path, keys, depth, embedded, secret)
    elif isinstance(value, Marker):
        yield Leaf(path, keys, value, secret)
    elif isinstance(value, int) and not isinstance(value, bool) and value >= 1 << 24:
        yield Leaf(path, keys, str(value), secret)  # a number can spell an address
    elif isinstance(value, Mapping):
        yield from _mapping(value, path, keys, depth, embedded, secret)
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        yield from _sequence(value, path, keys, depth, embedded, secret)


def _mapping(
    value: Mapping[Any, Any], path: str, keys: tuple[str, ...], depth: int, embedded: int, secret: bool
) -> Iterator[Leaf]:
    effect = value.get("Effect", value.get("effect"))
    if isinstance(effect, str) and effect.lower() == "deny":
        return
    if str(value.get("operator")) == "NotIn":
        return
    names = _names_in(value)
    label = next((text for key in _LABELS if isinstance(text := value.get(key), str)), None)
    for key, item in value.items():
        inner, at = str(key), f"{path}.{key}" if path else str(key)
        if inner in _BOOKKEEPING or inner in names:
            continue
        if inner == "auths" and isinstance(item, Mapping):  # credentials by registry, as Docker keeps them
            yield from (Leaf(f"{at}.{host}", (*keys, "registry"), str(host), secret) for host in item)
        if label is not None and inner.lower() in ("value", "values"):
            yield from _walk(item, at, (*keys, label), depth + 1, embedded, secret)
        elif secret and not path and inner == "data" and isinstance(item, Mapping):
            for entry, encoded in item.items():
                yield from _decoded(encoded, f"{at}.{entry}", (inner, str(entry)), depth + 2)
        else:
            yield from _walk(item, at, (*keys, inner), depth + 1, embedded, secret)


def _names_in(value: Mapping[Any, Any]) -> tuple[str, ...]:
    """Keys whose URL is a name: the canonical URL of a FHIR resource, the system of a code or identifier."""
    if isinstance(value.get("resourceType"), str):
        return ("url",)
    return ("system",) if "value" in value or "code" in value else ()


def _sequence(
    value: Sequence[Any], path: str, keys: tuple[str, ...], depth: int, embedded: int, secret: bool
) -> Iterator[Leaf]:
    flag: str | None = None
    for index, item in enumerate(value):
        at = f"{path}[{index}]"
        above = keys
        if isinstance(item, str) and (found := _FLAG.fullmatch(item)):
            flag, text = found.group(1), found.group(2)
            if text is not None:
                yield from _walk(text, at, (*keys, flag), depth + 1, embedded, secret)
                flag = None
            continue
        if flag is not None:  # `--flag`, then its value
            above, flag = (*keys, flag), None
        yield from _walk(item, at, above, depth + 1, embedded, secret)


def _text(
    text: str, path: str, keys: tuple[str, ...], depth: int, embedded: int, secret: bool
) -> Iterator[Leaf]:
    if embedded < MAX_EMBEDDED and 2 < len(text) <= MAX_PARSED:
        for index, document in enumerate(_documents(text)):
            at = path if index == 0 else f"{path}#{index}"
            yield from _walk(document, at, keys, depth + 1, embedded + 1, secret)
            if index == 0:
                text = ""
        if _BASE64.fullmatch(text) and (decoded := _unpacked(text)):
            yield from _walk(decoded, path, keys, depth + 1, embedded + 1, secret)
    if text:
        yield Leaf(path, keys, text, secret)


def _documents(text: str) -> list[Any]:
    """The mappings and lists that a text holds as JSON or YAML; none where it is plain text."""
    try:
        if text.lstrip()[:1] in ("{", "["):
            try:
                found = of_json(text)
            except Unparsable:
                found = of_yaml(text, aliases=False)
        elif "\n" in text and _YAML_LINE.search(text):
            found = of_yaml(text, aliases=False)  # a few lines of aliases can stand for billions of strings
        else:
            return []
    except Unparsable:
        return []  # read as it is
    return found if found and all(isinstance(one, dict | list) for one in found if one is not None) else []


def _unpacked(text: str) -> str | None:
    """The text that a string holds in base64, where it is one that can lead somewhere."""
    try:
        found = base64.b64decode(text, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None
    return found if "://" in found or "\n" in found else None


def _decoded(value: Any, path: str, keys: tuple[str, ...], depth: int) -> Iterator[Leaf]:
    if not isinstance(value, str):
        yield from _walk(value, path, keys, depth, 0, True)
        return
    try:
        text = base64.b64decode("".join(value.split()), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return  # bytes, not text: keys, certificates in DER, archives
    yield from _walk(text, path, keys, depth, 0, True)
