"""Every string of a resource, with the keys around it: structured text inside strings is taken apart too.

JSON, YAML and MIME in a string, base64, gzip within it, and the data of a Secret are read as what they are,
to a bounded depth and size. What stands on the denied side of a rule (`Effect: Deny`) is left out: it names
no destination.
"""

import base64
import binascii
import codecs
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from policies.documents import Unparsable, of_json, of_yaml
from policies.model.marker import Marker, Sealed

#: Limits to what one resource may make us read; beyond them it counts as something that can't be judged.
MAX_LEAVES = 50_000
MAX_EMBEDDED = 4
MAX_DEPTH = 64
#: Characters of one text: no ConfigMap or Secret holds more (kubernetes.io/docs/concepts/configuration).
MAX_PARSED = 1 << 20
MAX_TEXT = 1 << 21

_FLAG = re.compile(r"(--?[A-Za-z][\w.-]*)(?:=(.*))?", re.DOTALL)
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4}){5,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
#: so many characters it has at least
_SHORTEST = 20
_WRAPPED = re.compile(r"[A-Za-z0-9+/]+\r?\n[A-Za-z0-9+/\s]+={0,2}\s*")
_GZIP = b"\x1f\x8b"
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_MULTIPART = re.compile(r"(?:[\w-]+:.*\n(?:[ \t].*\n)*)*?content-type:\s*multipart/", re.IGNORECASE)
_YAML_LINE = re.compile(r"^[ \t]*(?:- )?[\w./\"'-]+:(?:\s|$)", re.MULTILINE)

#: Beside `value`, these name it: an environment variable, a header, a selector, a tag.
_LABELS = ("name", "key", "Name", "Key")

#: Keys that tell how others of the same mapping are to be read.
_TELLING = frozenset(
    ("Effect", "action", "blackhole", "code", "effect", "operator", "resourceType", "ruleAction", "value")
).union(_LABELS)

#: Keys of a Kubernetes object that the API server or kubectl keeps for itself.
_BOOKKEEPING = frozenset({"managedFields", "kubectl.kubernetes.io/last-applied-configuration"})


class Leaf(NamedTuple):
    """A string (or a marker) at `path`. `keys`: the keys above it, outermost first; the name of an
    environment variable or of a flag stands for the key `value`. `secret`: it lies in a Secret, or is a
    secret of the stack, so nothing of it is shown."""

    path: str
    keys: tuple[str, ...]
    value: str | Marker
    secret: bool = False

    @property
    def key(self) -> str:
        return self.keys[-1] if self.keys else ""


class TooMuch(ValueError):
    """A resource holds more strings, or deeper or longer ones, than is read."""


def leaves(inputs: Mapping[str, Any], *, secret_data: bool = False) -> tuple[Leaf, ...]:
    """All strings and markers in `inputs`. `secret_data`: it is a Kubernetes Secret. Raises TooMuch."""
    reader = _Reader()
    reader.walk(inputs, "", (), 0, 0, secret_data)
    return tuple(reader.found)


def packed(text: str) -> bool:
    """Whether a text is nothing but base64: what was in it could not be read as text, or lies too deep."""
    return bool(_BASE64.fullmatch(_joined(text)))


class _Reader:
    """Reads what is in a value, into `found`; every method may raise TooMuch."""

    def __init__(self) -> None:
        self.found: list[Leaf] = []
        self._size = 0

    def walk(
        self, value: Any, path: str, keys: tuple[str, ...], depth: int, embedded: int, secret: bool
    ) -> None:
        if depth > MAX_DEPTH:
            raise TooMuch
        if value is None:
            return
        if isinstance(value, str):
            self._text(value, path, keys, depth, embedded, secret or isinstance(value, Sealed))
        elif isinstance(value, dict):  # before what is seldom there: values are read a thousand times a plan
            self._mapping(value, path, keys, depth, embedded, secret)
        elif isinstance(value, list):
            self._sequence(value, path, keys, depth, embedded, secret)
        elif isinstance(value, Marker):
            self._add(Leaf(path, keys, value, secret))
        elif isinstance(value, int):
            if not isinstance(value, bool) and 1 << 24 <= value < 1 << 128:  # a number can spell an address
                self._add(Leaf(path, keys, str(value), secret))
        elif isinstance(value, bytes):  # `!!binary` of YAML
            self.walk(_read(value), path, keys, depth + 1, embedded, secret)
        elif isinstance(value, Mapping):
            self._mapping(value, path, keys, depth, embedded, secret)
        elif isinstance(value, Sequence):
            self._sequence(value, path, keys, depth, embedded, secret)

    def _add(self, leaf: Leaf) -> None:
        self.found.append(leaf)
        if type(leaf.value) is str:
            self._size += len(leaf.value)
        if len(self.found) > MAX_LEAVES or self._size > MAX_TEXT:
            raise TooMuch

    def _mapping(
        self,
        value: Mapping[Any, Any],
        path: str,
        keys: tuple[str, ...],
        depth: int,
        embedded: int,
        secret: bool,
    ) -> None:
        label: str | None = None
        names: tuple[str, ...] = ()
        denied = False
        if not _TELLING.isdisjoint(value):
            effect = value.get("Effect", value.get("effect"))
            if isinstance(effect, str) and effect.lower() == "deny":
                return
            if str(value.get("operator")) == "NotIn":
                return
            for key in _LABELS:
                if isinstance(text := value.get(key), str):
                    label = text
                    break
            names, denied = _names_in(value), _denies(value)
        for key, item in value.items():
            if item is None or item is True or item is False:
                continue
            inner = str(key)
            at = f"{path}.{inner}" if path else inner
            if inner in _BOOKKEEPING or inner in names or (denied and "cidr" in inner.lower()):
                continue
            if inner == "auths" and isinstance(item, Mapping):  # credentials by registry, as Docker has it
                for host in item:
                    self._add(Leaf(f"{at}.{host}", (*keys, "registry"), str(host), secret))
            if label is not None and inner.lower() in ("value", "values"):
                self.walk(item, at, (*keys, label), depth + 1, embedded, secret)
            elif secret and not path and inner == "data" and isinstance(item, Mapping):
                for entry, encoded in item.items():
                    self._decoded(encoded, f"{at}.{entry}", (inner, str(entry)), depth + 2)
            elif type(item) is str:  # as `walk` does it: most values are no more
                self._text(item, at, (*keys, inner), depth + 1, embedded, secret)
            else:
                self.walk(item, at, (*keys, inner), depth + 1, embedded, secret)

    def _sequence(
        self, value: Sequence[Any], path: str, keys: tuple[str, ...], depth: int, embedded: int, secret: bool
    ) -> None:
        flag: str | None = None
        for index, item in enumerate(value):
            at = f"{path}[{index}]"
            above = keys
            if isinstance(item, str) and item[:1] == "-" and (found := _FLAG.fullmatch(item)):
                flag, text = found.group(1), found.group(2)
                if text is not None:
                    self.walk(text, at, (*keys, flag), depth + 1, embedded, secret)
                    flag = None
                continue
            if flag is not None:  # `--flag`, then its value
                above, flag = (*keys, flag), None
            self.walk(item, at, above, depth + 1, embedded, secret)

    def _text(
        self, text: str, path: str, keys: tuple[str, ...], depth: int, embedded: int, secret: bool
    ) -> None:
        if len(text) > MAX_PARSED:
            raise TooMuch
        if embedded < MAX_EMBEDDED and _may_hold_more(text):
            for index, document in enumerate(_parts(text) or _documents(text)):
                at = path if index == 0 else f"{path}#{index}"
                self.walk(document, at, keys, depth + 1, embedded + 1, secret)
                if index == 0:
                    text = ""
            if _BASE64.fullmatch(joined := _joined(text)) and (decoded := _unpacked(joined)):
                self.walk(decoded, path, keys, depth + 1, embedded + 1, secret)
                text = ""
        if text:
            self._add(Leaf(path, keys, text, secret))

    def _decoded(self, value: Any, path: str, keys: tuple[str, ...], depth: int) -> None:
        if not isinstance(value, str):
            self.walk(value, path, keys, depth, 0, True)
            return
        joined = "".join(value.split())
        try:
            text = _read(base64.b64decode(joined + "=" * (-len(joined) % 4), validate=True))
        except (binascii.Error, ValueError):
            text = value  # no base64: as it stands
        self.walk(text, path, keys, depth, 0, True)


def _may_hold_more(text: str) -> bool:
    """Whether a text may be anything but a plain one of a line: most are no more."""
    if "\n" in text or text.lstrip()[:1] in ("{", "["):
        return len(text) > 2
    return len(text) >= _SHORTEST and _BASE64.fullmatch(text) is not None


def _denies(value: Mapping[Any, Any]) -> bool:
    """Whether the networks in an entry of an access list, or of a table of routes, are those that it keeps
    out."""
    action = value.get("action", value.get("ruleAction"))
    return value.get("blackhole") is True or (isinstance(action, str) and action.lower() == "deny")


def _names_in(value: Mapping[Any, Any]) -> tuple[str, ...]:
    """Keys whose URL is a name: the canonical URL of a FHIR resource, the system of a code or identifier."""
    if isinstance(value.get("resourceType"), str):
        return ("url",)
    return ("system",) if "value" in value or "code" in value else ()


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


def _parts(text: str) -> list[Any]:
    """The parts of a MIME message, which is how cloud-init takes several texts at once; none where it is no
    such message."""
    if "\n" not in text or not _MULTIPART.match(text[:4096].lstrip()):
        return []
    from email import message_from_string  # seldom needed, and slow to load

    parts = [part.get_payload(decode=True) for part in message_from_string(text.lstrip()).walk()]
    return [_read(part) or part.decode("latin-1") for part in parts if isinstance(part, bytes)]


def _joined(text: str) -> str:
    """Base64 in one line, which may come in lines of 64 or 76 characters; any other text as it is."""
    return "".join(text.split()) if "\n" in text and _WRAPPED.fullmatch(text) else text


def _unpacked(text: str) -> str | None:
    """The text that a string holds in base64, where it is one that can lead somewhere."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    found = _read(data)
    if found is None or data.startswith(_GZIP):
        return found
    words = " " in found and found.isprintable()
    return found if words or "://" in found or "\n" in found or _BASE64.fullmatch(found) else None


def _read(data: bytes) -> str | None:
    """The text in bytes, in any usual encoding, out of gzip too; None for bytes that are none: keys,
    certificates in DER, archives. Raises TooMuch."""
    try:
        plain = _inflated(data) if data.startswith(_GZIP) else data
        return plain.decode("utf-16" if plain[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8")
    except zlib.error:
        return None
    except UnicodeDecodeError:
        return None if _CONTROL.search(plain) else plain.decode("latin-1")


def _inflated(data: bytes) -> bytes:
    """What gzip holds, in all of its members. Raises TooMuch where a few bytes become a great many."""
    found = b""
    while data.startswith(_GZIP):
        stream = zlib.decompressobj(31)
        found += stream.decompress(data, MAX_PARSED + 1 - len(found))
        if len(found) > MAX_PARSED:
            raise TooMuch
        data = stream.unused_data
    return found
