"""What a mutant is: a rule file with one thing changed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from policies.rule import Rule

Rules = Mapping[str, Rule]


class Invalid(Exception):
    """The change makes no rule file at all, so it is no mutant."""


@dataclass(frozen=True)
class Mutant:
    """A change to a rule file. `text` tells it without line numbers, so that it can be named for long.

    `lines`: the lines of which one must run before the change can tell; None: it may tell anywhere.
    `rule`: the one rule that it can change; None: any of the file.
    """

    line: int
    function: str
    text: str
    hint: str
    make: Callable[[], Rules]
    lines: frozenset[int] | None = None
    rule: str | None = None
