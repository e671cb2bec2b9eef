"""What the API server refuses, as sentences, and without the secrets that its messages may repeat."""

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Any

from toolchain.providers.core.values import secret_leaves
from toolchain.providers.kubernetes import objects

#: How validation says that a field can't be changed in place: k8s.io/apimachinery/pkg/api/validation
#: (FieldImmutableErrorMsg) and k8s.io/kubernetes/pkg/apis/*/validation; custom resources say it in words of
#: their own.
_FIXED = re.compile(
    r"immutable|cannot (?:be )?change|may not (?:be )?change|updates? to .* (?:is|are) forbidden"
    r"|updates may not change|not allowed to be (?:changed|updated)|can't be changed",
    re.IGNORECASE | re.DOTALL,
)
_CONFLICT = re.compile(r'conflict with "(?P<manager>[^"]*)"')
SHORT = 4  # characters: a shorter secret is looked for in quotes only


class ApiError(Exception):
    """The API server answered with an error: a Status object (k8s.io/apimachinery, meta/v1)."""

    def __init__(self, code: int, status: Mapping[str, Any], text: str = "") -> None:
        self.code = code
        self.reason = str(status.get("reason") or "")
        self.message = str(status.get("message") or text or f"HTTP {code}")
        details = status.get("details")
        self.details: Mapping[str, Any] = details if isinstance(details, dict) else {}
        super().__init__(self.message)

    @property
    def causes(self) -> list[Mapping[str, Any]]:
        """The single complaints, each with a field, a reason and a message."""
        causes = self.details.get("causes")
        return [cause for cause in causes if isinstance(cause, dict)] if isinstance(causes, list) else []

    @property
    def missing_namespace(self) -> bool:
        """Whether the object's namespace isn't there."""
        return self.code == 404 and self.details.get("kind") == "namespaces"

    @property
    def exists(self) -> bool:
        """Whether an object that was to be made is there already."""
        return self.code == 409 and not self.conflicts

    @property
    def conflicts(self) -> list[tuple[str, str]]:
        """(other field manager, field path) of each field that another manager owns."""
        found = []
        for cause in self.causes:
            match = _CONFLICT.search(str(cause.get("message", "")))
            if cause.get("reason") == "FieldManagerConflict" and match:
                found.append((match["manager"], str(cause.get("field", ""))))
        return found

    @property
    def fixed_fields(self) -> list[str]:
        """The fields of which validation says that they can't be changed in place."""
        if self.code != 422:
            return []
        return [
            str(cause.get("field", ""))
            for cause in self.causes
            if _FIXED.search(str(cause.get("message", "")))
        ]


class Redaction:
    """Takes the secrets of an object out of texts about it."""

    def __init__(self, marked: Mapping[str, Any]) -> None:
        """`marked` are the inputs, with their secrets marked."""
        self._hidden = sorted(set(_forms(secret_leaves(dict(marked)))), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """`text` with [secret] in the place of every secret."""
        for hidden in self._hidden:
            text = text.replace(f'"{hidden}"', '"[secret]"')
            if len(hidden) >= SHORT:
                text = text.replace(hidden, "[secret]")
        return text


def sentence(obj: Mapping[str, Any], error: ApiError, redact: Redaction) -> str:
    """What the API server says of `obj`, as one sentence that names it."""
    name = objects.described(obj)
    if error.conflicts:
        return redact(_conflict_sentence(name, error.conflicts))
    said = error.message.strip().rstrip(".")
    prefix = _prefix(error, obj)
    if prefix and said.startswith(prefix):
        said = said.removeprefix(prefix).lstrip(": ")
    verb = {401: "doesn't know who asks", 403: "forbids it"}.get(error.code, "refuses it")
    return redact(f"{name}: the API server {verb}: {said}.")


def _conflict_sentence(name: str, conflicts: Iterable[tuple[str, str]]) -> str:
    by_manager: dict[str, list[str]] = {}
    for manager, field in conflicts:
        by_manager.setdefault(manager, []).append(field.lstrip("."))
    owners = "; ".join(f'"{manager}" manages {", ".join(fields)}' for manager, fields in by_manager.items())
    return (
        f"{name}: another field manager owns what would be changed: {owners}. Leave these fields to it, or "
        f'take them over with the annotation {objects.PATCH_FORCE}: "true".'
    )


def _prefix(error: ApiError, obj: Mapping[str, Any]) -> str:
    kind, group = error.details.get("kind"), error.details.get("group")
    if error.code != 422 or not kind:
        return ""
    return f'{kind}{f".{group}" if group else ""} "{objects.name_of(obj)}" is invalid'


def _forms(leaves: Iterable[Any]) -> Iterable[str]:
    for leaf in leaves:
        if isinstance(leaf, bool):
            continue
        text = str(leaf)
        if not text:
            continue
        yield text
        yield base64.b64encode(text.encode()).decode()
        try:
            decoded = base64.b64decode(text, validate=True).decode()
        except ValueError:
            continue
        if len(decoded) >= SHORT:
            yield decoded
