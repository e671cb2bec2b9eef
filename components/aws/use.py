"""What a landing zone already has: each part of the ground is made by the kit, or used as it is there."""

from dataclasses import dataclass
from datetime import date
from typing import Final, Literal, TypeAlias

#: The kit makes the part itself.
CREATE: Final = "create"


class UseError(ValueError):
    """A part that nobody answers for; the message says what is missing."""


@dataclass(frozen=True, kw_only=True)
class Use:
    """A part that somebody else keeps: the plan doesn't show it, so its owner answers for it by name and
    date.

    `id` is what AWS knows it by (an id, a name or an ARN, as the part needs), `what` the sentence that the
    owner stands for ("an organization trail with validation, kept for 2192 days").
    """

    id: str
    what: str
    owner: str
    since: date
    until: date

    def __post_init__(self) -> None:
        """Raises UseError where nobody is named, or the dates contradict."""
        for name in ("id", "what", "owner"):
            if not getattr(self, name).strip():
                raise UseError(f"use: {name} is empty: say it, because somebody must answer for the part.")
        if self.until < self.since:
            raise UseError(
                f"use of {self.id}: it ends on {self.until}, before it begins on {self.since}: correct them."
            )

    def holds(self, at: date) -> bool:
        """Whether the owner answers for it on a day."""
        return self.since <= at <= self.until


#: A part is made, or used.
Part: TypeAlias = Use | Literal["create"]
