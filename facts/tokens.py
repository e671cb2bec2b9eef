"""What tokens look like: by the prefix that their issuer gives them. Data with sources in tokens.yaml."""

import re
from functools import cache
from pathlib import Path

from facts.reading import read

_FILE = Path(__file__).with_name("tokens.yaml")


@cache
def pattern() -> re.Pattern[str]:
    """Finds a token of any known issuer in a text."""
    listed = read(_FILE)["tokens"]
    forms = "|".join(f"{one['prefix']}[\\w-]{{{one['length']}}}" for one in listed)
    return re.compile(rf"\b(?:{forms})", re.ASCII)
