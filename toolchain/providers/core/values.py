"""Property values as the engine has them: plain ones, and markers for unknown, secret and output values."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, final

Path = tuple[str | int, ...]


@final
class Unknown:
    """A value that isn't known before something is made. There is one, `UNKNOWN`; it equals only itself."""

    _instance: "Unknown | None" = None

    def __new__(cls) -> "Unknown":
        if cls._instance is None:
            cls._instance = super().__new__(cls)
        return cls._instance

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that is encrypted wherever it is kept, and never shown."""

    value: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class Output:
    """An output value: what another resource gave, known or not, with the URNs that it depends on."""

    value: Any = field(repr=False)
    secret: bool = False
    dependencies: frozenset[str] = frozenset()


def plain(value: Any) -> Any:
    """`value` without the markers for secret and output values, as new dicts and lists; UNKNOWN stays."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, Secret | Output):
        return plain(value.value)
    return value


def unknown_paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where `value` holds something that isn't known yet."""
    if value is UNKNOWN:
        yield path
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from unknown_paths(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from unknown_paths(item, (*path, index))
    elif isinstance(value, Secret | Output):
        yield from unknown_paths(value.value, path)


def has_unknown(value: Any) -> bool:
    """Whether anything in `value` isn't known yet."""
    return next(unknown_paths(value), None) is not None


def has_secret(value: Any) -> bool:
    """Whether `value` is a secret or holds one."""
    if isinstance(value, Secret):
        return True
    if isinstance(value, Output):
        return value.secret or has_secret(value.value)
    if isinstance(value, dict):
        return any(has_secret(item) for item in value.values())
    if isinstance(value, list):
        return any(has_secret(item) for item in value)
    return False


def secret_leaves(value: Any, inside: bool = False) -> Iterator[Any]:
    """The plain leaves of `value` that lie inside a secret."""
    if isinstance(value, Secret):
        yield from secret_leaves(value.value, True)
    elif isinstance(value, Output):
        yield from secret_leaves(value.value, inside or value.secret)
    elif isinstance(value, dict):
        for item in value.values():
            yield from secret_leaves(item, inside)
    elif isinstance(value, list):
        for item in value:
            yield from secret_leaves(item, inside)
    elif inside and value is not UNKNOWN and value is not None:
        yield value


def mark_secrets(value: Any, like: Any) -> Any:
    """`value` with the secrets of `like` carried over, key by key; a list that holds a secret becomes one as
    a whole.

    A list's items may come back in another order, so that marking single ones could show the wrong one.
    """
    if isinstance(value, dict) and isinstance(like, dict):
        return {key: mark_secrets(item, like.get(key)) for key, item in value.items()}
    if isinstance(value, Secret) or not has_secret(like):
        return value
    return Secret(plain(value))
