"""Which preview a review asks of a provider, and the variable that says so."""

import sys
from enum import Enum

VARIABLE = "SOVEREIGN_PREVIEW"


class Preview(Enum):
    """What a preview shows for outputs: a sentinel for each, or unknown where the official plugin knows
    none."""

    SYMBOLIC = "symbolic"
    ORDINARY = "ordinary"


def asked(text: str) -> Preview:
    """The preview that the variable asks for; ends the process where there is no such one."""
    try:
        return Preview(text)
    except ValueError:
        sys.exit(f"{VARIABLE} is symbolic or ordinary, not {text!r}: correct it.")
