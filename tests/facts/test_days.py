"""Days: as written, as YAML reads them, and as the engine's Go writes them on."""

from datetime import date

import pytest
from pydantic import TypeAdapter, ValidationError

from facts.days import Day


@pytest.mark.parametrize(
    "given", ["2026-11-01", date(2026, 11, 1), "2026-11-01 00:00:00 +0000 UTC", "2026-11-01T00:00:00Z"]
)
def test_a_day_in_each_of_its_forms(given: object) -> None:
    assert TypeAdapter(Day).validate_python(given) == date(2026, 11, 1)


@pytest.mark.parametrize("given", ["soon", "2026-13-01", "2026-11-01 10:00:00 +0000 UTC", ""])
def test_what_is_no_day(given: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Day).validate_python(given)
