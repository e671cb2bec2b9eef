"""UNKNOWN (not known yet), MASKED (a secret that this reader can't see), and a secret that it sees.

Of the two markers, neither equals anything, itself included, so that a comparison can't let one pass for a
value; test with `is`.
"""

from typing import Any, Final


class Marker:
    """A value that can't be read here. Compared by identity only; never printed as a value."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __eq__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return True

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        raise TypeError(f"{self._name} is neither true nor false: test for it with `is`")

    def __repr__(self) -> str:
        return self._name

    def __copy__(self) -> "Marker":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "Marker":
        return self


UNKNOWN: Final = Marker("UNKNOWN")
MASKED: Final = Marker("MASKED")


def is_marker(value: object) -> bool:
    """Whether `value` is UNKNOWN or MASKED."""
    return isinstance(value, Marker)


class Sealed(str):
    """A text that is a secret of the stack, in clear here: its state encrypts it, and nothing shows it."""

    __slots__ = ()


def sealed(value: Any) -> Any:
    """A value with every text in it as Sealed."""
    if isinstance(value, str):
        return Sealed(value)
    if isinstance(value, dict):
        return {key: sealed(item) for key, item in value.items()}
    return [sealed(item) for item in value] if isinstance(value, list) else value
