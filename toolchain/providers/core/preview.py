"""Which preview a review asks of a provider, and the variable that says so."""

from enum import Enum

VARIABLE = "SOVEREIGN_PREVIEW"


class Preview(Enum):
    """What a preview shows for outputs: a sentinel for each, or unknown where the official plugin knows
    none."""

    SYMBOLIC = "symbolic"
    ORDINARY = "ordinary"
