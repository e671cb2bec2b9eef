"""Versions of Kubernetes on EKS, and of the add-ons that go with each. Data with sources in eks.yaml."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from facts.catalogue import choose
from facts.reading import read


@dataclass(frozen=True)
class Release:
    """A version of Kubernetes, and the version of each add-on by its name."""

    kubernetes: str
    addons: Mapping[str, str]


def release(version: str | None = None) -> Release:
    """A version that the kit builds; the newest where none is named. Raises CatalogueError."""
    newest, releases = _known()
    return choose("version of Kubernetes on EKS", version or newest, releases)


@cache
def _known() -> tuple[str, Mapping[str, Release]]:
    data = read(Path(__file__).with_name("eks.yaml"))
    releases = {name: Release(name, entry["addons"]) for name, entry in data["releases"].items()}
    return data["newest"], releases
