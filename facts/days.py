"""A day as people write it, and as the engine hands it on: it turns a date of a settings file into a text of
Go's (`2026-11-01 00:00:00 +0000 UTC`), or a time of RFC 3339.
"""

import re
from datetime import date
from typing import Annotated, Any

from pydantic import BeforeValidator

_OF_ENGINE = re.compile(r"(\d{4}-\d{2}-\d{2})(?: 00:00:00 \+0000 UTC|T00:00:00Z)")


def _written(value: Any) -> Any:
    found = _OF_ENGINE.fullmatch(value) if isinstance(value, str) else None
    return found.group(1) if found else value


Day = Annotated[date, BeforeValidator(_written)]
