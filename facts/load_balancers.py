"""Which annotations make a load balancer internal. Data with sources in load_balancers.yaml."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from facts.reading import read


@cache
def internal_annotations() -> Mapping[str, frozenset[str]]:
    """The annotations, with the values (lower case) that mean "internal"."""
    data = read(Path(__file__).with_name("load_balancers.yaml"))
    return {entry["name"]: frozenset(entry["values"]) for entry in data["annotations"]}
