"""The two ways in which an operation of a provider ends badly."""

from collections.abc import Mapping, Sequence
from typing import Any


class Refused(Exception):
    """Nothing was changed; the text is one sentence for the user: what, where, what to do. It never holds a
    secret.
    """


class Incomplete(Exception):
    """The resource was made or changed, but isn't as it should be yet. The engine keeps `state` and tries
    again.
    """

    def __init__(
        self,
        sentence: str,
        id: str,
        state: Mapping[str, Any],
        reasons: Sequence[str],
        inputs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(sentence)
        self.id = id
        self.state = state
        self.reasons = list(reasons)
        self.inputs = inputs
