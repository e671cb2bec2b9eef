"""Plans from files, told by their content: a preview, a state export, or Kubernetes manifests. Imports no
Pulumi."""

from pathlib import Path
from typing import Any

from policies.documents import Unparsable, of_json, of_yaml
from policies.model import Plan
from policies.read import manifests, preview, state
from policies.read.errors import UnreadableInput

__all__ = ["UnreadableInput", "parse", "read"]

MAX_BYTES = 512 * 1024 * 1024


def read(path: Path, *, whole: bool = False, allowed_types: frozenset[str] | None = None) -> Plan:
    """The plan in a file. `whole`: manifests hold all there is. Raises UnreadableInput with what to do."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UnreadableInput(f"{path} is larger than {MAX_BYTES >> 20} MiB: split it.")
        data = path.read_bytes()
    except FileNotFoundError:
        raise UnreadableInput(f"There is no file {path}: correct the name.") from None
    except OSError as error:
        raise UnreadableInput(f"{path} can't be read: {error.strerror or error}.") from None
    return parse(data, str(path), whole=whole, allowed_types=allowed_types)


def parse(
    data: bytes, name: str, *, whole: bool = False, allowed_types: frozenset[str] | None = None
) -> Plan:
    """The plan in what came from `name`. Raises UnreadableInput."""
    text = _text(data, name)
    try:
        values = _parsed(text)
    except Unparsable as error:
        raise UnreadableInput(f"{name} is {error}: correct it.") from None
    if len(values) == 1 and preview.is_preview(values[0]):
        return preview.read(values[0], name, allowed_types)
    if len(values) == 1 and state.is_state(values[0]):
        return state.read(values[0], name, allowed_types)
    return _objects(values, name, whole, allowed_types)


def _parsed(text: str) -> list[Any]:
    if text.lstrip()[:1] not in ("{", "["):
        return of_yaml(text)
    try:
        return of_json(text)
    except Unparsable as not_json:
        try:  # YAML in flow style begins like JSON
            return of_yaml(text)
        except Unparsable:
            raise not_json from None


def _objects(values: list[Any], name: str, whole: bool, allowed_types: frozenset[str] | None) -> Plan:
    if len(values) == 1 and isinstance(values[0], list):
        values = values[0]
    return manifests.read(values, name, whole=whole, allowed_types=allowed_types)


def _text(data: bytes, name: str) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableInput(f"{name} is not UTF-8 text: save it as UTF-8.") from None
    if not text.strip():
        raise UnreadableInput(f"{name} is empty: make it again.")
    return text
