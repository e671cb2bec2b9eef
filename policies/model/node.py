"""A place in a resource's inputs: a value with its path, read without ever mistaking a marker for a value.

A rule walks nodes as if everything were known. Where it touches a marker, or a value of the wrong shape,
the node reads as empty and the touch is remembered; the judge turns it into an undecided finding, so that
nothing unknown passes and nothing known behind it is lost.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from policies.model.marker import MASKED, UNKNOWN


@dataclass(frozen=True, slots=True)
class Touch:
    """A rule wanted the value at `path` and could not read it, because it is unknown, masked or malformed."""

    path: str
    reason: Literal["unknown", "masked", "malformed"]
    expected: str


class Node:
    """The value at `path`; `touched` is shared by all nodes of one rule's look at one resource."""

    __slots__ = ("path", "touched", "value")

    def __init__(self, value: Any, path: str, touched: dict[str, Touch]) -> None:
        self.value = value
        self.path = path
        self.touched = touched

    def __getitem__(self, key: str) -> "Node":
        """The member `key` of a mapping; a node of None where there is none."""
        child = f"{self.path}.{key}" if self.path else key
        # exact types first, here and below: nodes are read a hundred times a resource
        if type(self.value) is dict or self._readable(Mapping, "a mapping"):
            return Node(self.value.get(key), child, self.touched)
        return Node(None, child, self.touched)

    def each(self) -> Iterator["Node"]:
        """The items of a list; nothing where there is none."""
        if type(self.value) is list or self._readable(Sequence, "a list"):
            for index, item in enumerate(self.value):
                yield Node(item, f"{self.path}[{index}]", self.touched)

    def members(self) -> Iterator[tuple[str, "Node"]]:
        """The members of a mapping; nothing where there is none."""
        if type(self.value) is dict or self._readable(Mapping, "a mapping"):
            for key, item in self.value.items():
                yield str(key), Node(item, f"{self.path}.{key}" if self.path else str(key), self.touched)

    def text(self) -> str | None:
        """The string here; None where there is none or it can't be read."""
        return self.value if type(self.value) is str or self._readable(str, "a string") else None

    def flag(self) -> bool | None:
        """The boolean here; None where there is none or it can't be read."""
        return self.value if self._readable(bool, "true or false") else None

    def number(self) -> float | None:
        """The number here; None where there is none or it can't be read."""
        if isinstance(self.value, bool):
            self._touch("malformed", "a number")
            return None
        return self.value if self._readable((int, float), "a number") else None

    def texts(self) -> list[str]:
        """The strings of a list of strings, those that can be read."""
        return [text for item in self.each() if (text := item.text()) is not None]

    @property
    def absent(self) -> bool:
        """Nothing was given here. A marker is not absent: something will be here."""
        return self.value is None

    @property
    def opaque(self) -> bool:
        """A marker stands here (the look is remembered)."""
        if self.value is UNKNOWN or self.value is MASKED:
            self._touch("unknown" if self.value is UNKNOWN else "masked", "a value")
            return True
        return False

    def _readable(self, kind: type | tuple[type, ...], expected: str) -> bool:
        value = self.value
        if value is None:
            return False
        if value is UNKNOWN:
            self._touch("unknown", expected)
            return False
        if value is MASKED:
            self._touch("masked", expected)
            return False
        if isinstance(value, kind) and not (kind is Sequence and isinstance(value, str | bytes)):
            return True
        self._touch("malformed", expected)
        return False

    def _touch(self, reason: Literal["unknown", "masked", "malformed"], expected: str) -> None:
        self.touched.setdefault(self.path, Touch(self.path, reason, expected))
