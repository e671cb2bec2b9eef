"""Which annotations make a load balancer internal. Data with sources in load_balancers.yaml."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml


@cache
def internal_annotations() -> Mapping[str, frozenset[str]]:
    """The annotations, with the values (lower case) that mean "internal"."""
    data = yaml.safe_load(Path(__file__).with_name("load_balancers.yaml").read_text(encoding="utf-8"))
    return {entry["name"]: frozenset(entry["values"]) for entry in data["annotations"]}
