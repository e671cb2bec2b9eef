"""What a cluster's operators and drivers reach, by the name of the integration. Data with sources in
integrations.yaml."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from facts.reading import read


@dataclass(frozen=True)
class SecretStore:
    """Where a store's provider says its place: as a `host` (with the `default` that is meant where nothing is
    said), or as a `region` of a `cloud`."""

    host: str | None = None
    default: str | None = None
    region: str | None = None
    cloud: str = ""


@cache
def _facts() -> Mapping[str, Any]:
    data: Mapping[str, Any] = read(Path(__file__).with_name("integrations.yaml"))
    return data


@cache
def volume_sources() -> Mapping[str, tuple[str, ...]]:
    """Kinds of volumes that a driver serves, and the names of the driver."""
    return {source: tuple(drivers) for source, drivers in _facts()["volume_sources"].items()}


@cache
def encrypted_by() -> Mapping[str, str]:
    """Provisioners that encrypt only where a parameter says so, and that parameter."""
    return dict(_facts()["encrypted_by"])


@cache
def secret_stores() -> Mapping[str, SecretStore]:
    """Providers of secret stores that may lie in the zone."""
    return {name: SecretStore(**fields) for name, fields in _facts()["secret_stores"].items()}


@cache
def name_services() -> Mapping[str, str]:
    """Services to which names are published, and their host."""
    return dict(_facts()["name_services"])
