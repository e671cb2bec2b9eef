"""What AWS itself owns and every customer reaches. Data with sources in aws_owned.yaml."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from facts.reading import read


@cache
def _facts() -> Mapping[str, Any]:
    facts: Mapping[str, Any] = read(Path(__file__).with_name("aws_owned.yaml"))
    return facts


def buckets(region: str) -> tuple[str, ...]:
    """The names of AWS's own buckets in that region."""
    return tuple(entry["name"].format(region=region) for entry in _facts()["buckets"])


def registries(region: str) -> tuple[str, ...]:
    """The accounts from which AWS hands out images of add-ons and of nodes in that region."""
    return tuple(_facts()["registries"].get(region, ()))


def is_bucket(name: str, region: str) -> bool:
    """Whether a bucket is AWS's own in that region; a name with a wildcard is nobody's."""
    return name in buckets(region)


def is_registry(account: str, region: str) -> bool:
    """Whether an account is one from which AWS hands out images in that region."""
    return account in registries(region)


def service_of_list(id: str, region: str) -> str | None:
    """The service whose addresses a prefix list of AWS holds in that region: `s3`; None where it is no such
    list."""
    service = _facts()["prefix_lists"].get(region, {}).get(id)
    return service if isinstance(service, str) else None
