"""What clouds ask for what a stack stands on, in USD a month. Data with sources in prices.yaml."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from facts.reading import read

_FILE = Path(__file__).with_name("prices.yaml")


@dataclass(frozen=True)
class Cost:
    """USD a month, the least and the most."""

    least: float
    most: float

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.least + other.least, self.most + other.most)

    def __mul__(self, count: float) -> "Cost":
        return Cost(self.least * count, self.most * count)


def machine(cloud: str, region: str, type: str) -> Cost | None:
    """What one machine costs; None where no price of it was found there."""
    hour = _machines(cloud, region).get(type)
    return None if hour is None else _times(cloud, region) * (hour * _hours())


def service(cloud: str, region: str, name: str) -> Cost | None:
    """What one of `cluster`, `key` and `endpoint` (an endpoint in one availability zone) costs."""
    found: Mapping[str, Any] | None = _data()["services"].get(cloud, {}).get(name)
    if found is None:
        return None
    month: float = found["month"] if "month" in found else found["hour"] * _hours()
    return _times(cloud, region) * month


def _hours() -> float:
    """Of a month."""
    hours: float = _data()["hours"]
    return hours


def _machines(cloud: str, region: str) -> Mapping[str, float]:
    there: Mapping[str, Any] = _data()["machines"].get(cloud, {})
    found: Mapping[str, float] = there.get(_like(cloud, region).get("region", region), {}).get("usd", {})
    return found


def _times(cloud: str, region: str) -> Cost:
    like = _like(cloud, region)
    return Cost(like.get("least", 1.0), like.get("most", 1.0))


def _like(cloud: str, region: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = _data()["like"].get(cloud, {}).get(region, {})
    return found


@cache
def _data() -> Mapping[str, Any]:
    data: Mapping[str, Any] = read(_FILE)
    return data
