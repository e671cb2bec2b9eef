"""The manifest of a folder of weights: which files there are, how large, with which SHA-256.

    sovereign-manifest.json   {"schema", "model", "serial", "files": {path: {"size", "sha256"}}}
    sovereign-manifest.sig    {"schema", "key", "signature"}: ed25519 (RFC 8032) over a prefix and the
                              canonical manifest, and the SHA-256 of the public key that belongs to it

Canonical means: keys sorted, no white space, UTF-8. `serial` rises with each release, so that an older folder
with a good signature is known to be older.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.weights.errors import WeightsError

MANIFEST = "sovereign-manifest.json"
SIGNATURE = "sovereign-manifest.sig"
SCHEMA = "sovereign/weights-manifest/v1"

_NOT_A_MANIFEST = f"{MANIFEST} is no manifest of weights"
_SIGN_AGAIN = "copy the folder anew from where it was signed, or sign it again"


@dataclass(frozen=True)
class Entry:
    """A file: its size in bytes and its SHA-256 in hex."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What was signed; `files` by path relative to the folder, with `/`."""

    model: str
    serial: int
    files: Mapping[str, Entry]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(entry.size for entry in self.files.values())

    def canonical(self) -> bytes:
        """The bytes that are signed."""
        files = {path: {"size": one.size, "sha256": one.sha256} for path, one in self.files.items()}
        data = {"schema": SCHEMA, "model": self.model, "serial": self.serial, "files": files}
        return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @property
    def digest(self) -> str:
        """What a stack pins: `sha256:` and the digest of the canonical bytes."""
        return f"sha256:{hashlib.sha256(self.canonical()).hexdigest()}"


def parse(text: bytes) -> Manifest:
    """A manifest from its bytes. Raises WeightsError for anything that isn't exactly one."""
    data = load(text, _NOT_A_MANIFEST)
    if data.keys() != {"schema", "model", "serial", "files"} or data["schema"] != SCHEMA:
        raise WeightsError(f"{_NOT_A_MANIFEST} of schema {SCHEMA}: {_SIGN_AGAIN}.")
    model, serial, files = data["model"], data["serial"], data["files"]
    if not isinstance(model, str) or not model or type(serial) is not int or serial < 1:
        raise WeightsError(f"{_NOT_A_MANIFEST}: model or serial is not as it is written: {_SIGN_AGAIN}.")
    if not isinstance(files, dict) or not files:
        raise WeightsError(f"{_NOT_A_MANIFEST}: it names no files: {_SIGN_AGAIN}.")
    return Manifest(model, serial, {path: _entry(path, entry) for path, entry in files.items()})


def load(text: bytes, what: str) -> dict[str, Any]:
    """A JSON object without doubled keys. Raises WeightsError."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise WeightsError(f"{what}: a key stands twice: {_SIGN_AGAIN}.")
        return found

    try:
        data = json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"{what}: it is cut off, or no JSON: {_SIGN_AGAIN}.") from None
    if not isinstance(data, dict):
        raise WeightsError(f"{what}: it is no JSON object: {_SIGN_AGAIN}.")
    return data


def safe(path: str) -> bool:
    """Whether a path stays in its folder, and is written in one way only."""
    parts = path.split("/")
    return (
        bool(path)
        and path not in (MANIFEST, SIGNATURE)
        and all(part not in ("", ".", "..") for part in parts)
        and not re.search(r"[\\\x00-\x1f\x7f]", path)
    )


def _entry(path: str, data: Any) -> Entry:
    if not safe(path):
        raise WeightsError(f"{_NOT_A_MANIFEST}: the path {path!r} leads out of the folder: {_SIGN_AGAIN}.")
    good = (
        isinstance(data, dict)
        and data.keys() == {"size", "sha256"}
        and type(data["size"]) is int
        and data["size"] >= 0
        and isinstance(data["sha256"], str)
        and re.fullmatch(r"[0-9a-f]{64}", data["sha256"]) is not None
    )
    if not good:
        raise WeightsError(f"{_NOT_A_MANIFEST}: the entry of {path} has no size and digest: {_SIGN_AGAIN}.")
    return Entry(data["size"], data["sha256"])
