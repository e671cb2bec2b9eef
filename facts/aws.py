"""AWS by partition and region: names, availability zones, what is there. Data with sources in aws.yaml."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from facts.reading import read

#: an API server and its etcd want three
_FIRST = 3


class UnknownRegion(ValueError):
    """A region of which nothing is known here; the message lists those that are known."""


@dataclass(frozen=True)
class Partition:
    """A part of AWS that shares nothing with the others: accounts, names, keys.

    `provider` is its name in facts/regions.yaml. Principals of services end in `principal_suffix`.
    """

    name: str
    provider: str
    dns_suffix: str
    dual_stack_dns_suffix: str
    principal_suffix: str
    endpoint_prefix: str
    reversed: frozenset[str]
    absent: frozenset[str]

    def has(self, service: str) -> bool:
        """Whether a service is there, by the name of its API: `guardduty`."""
        return service not in self.absent

    def arn(self, service: str, resource: str, region: str = "", account: str = "") -> str:
        """An ARN, without region and account where those of the service name none."""
        forms = _facts()["arns"]
        place = "" if service in forms["no_region"] else region
        owner = "" if service in forms["no_account"] else account
        return f"arn:{self.name}:{service}:{place}:{owner}:{resource}"

    @property
    def spared(self) -> tuple[str, ...]:
        """The services without regions that a guard of regions has to leave out."""
        return tuple(_facts()["global_services"].get(self.name, {}).get("spared", ()))


@dataclass(frozen=True)
class Region:
    """A region; `zones` are the names of its availability zones, `zone_ids` their ids where known. Unless
    it is `uniform`, which zone is behind a name differs between accounts."""

    code: str
    partition: Partition
    zones: tuple[str, ...]
    zone_ids: tuple[str, ...]
    uniform: bool

    @property
    def first_zones(self) -> tuple[str, ...]:
        """Those of a place that names none."""
        return self.zones[:_FIRST]

    def zones_of(self, ids: Collection[str]) -> tuple[str, ...]:
        """The names of the zones with these ids; none where only the account itself can tell them."""
        if not self.uniform:
            return ()
        return tuple(name for name, id in zip(self.zones, self.zone_ids, strict=False) if id in ids)

    def endpoint_service(self, service: str) -> str:
        """The name of the service that a VPC endpoint leads to: of `ecr.api`, `kms`."""
        partition = self.partition
        suffix = ".".join(reversed(partition.dns_suffix.split(".")))
        prefix = suffix if service in partition.reversed else partition.endpoint_prefix
        return f"{prefix}.{self.code}.{service}"

    def names(self, service: str) -> tuple[str, ...]:
        """The names by which a service is called here, by the name of its endpoint: `*.` for all below."""
        return self._filled(
            _facts()["names"]["of_endpoints"].get(service, [f"{service}.{{region}}.{{dns_suffix}}"])
        )

    @property
    def names_inside(self) -> tuple[str, ...]:
        """The names that answer inside a network without an endpoint."""
        return self._filled(_facts()["names"]["inside"])

    def _filled(self, patterns: Sequence[str]) -> tuple[str, ...]:
        return tuple(
            pattern.format(
                region=self.code,
                dns_suffix=self.partition.dns_suffix,
                dual_stack_dns_suffix=self.partition.dual_stack_dns_suffix,
            )
            for pattern in patterns
        )


def region(code: str) -> Region:
    """What is known of a region. Raises UnknownRegion."""
    known = _facts()["regions"]
    if code not in known:
        raise UnknownRegion(
            f"Nothing is known of the AWS region {code!r}: add it to facts/aws.yaml with a source, or use "
            f"one of {', '.join(known)}."
        )
    entry = known[code]
    return Region(
        code,
        _partition(entry["partition"]),
        tuple(entry["zones"]),
        tuple(entry["zone_ids"]),
        uniform=entry.get("mapped") != "by account",
    )


def _partition(name: str) -> Partition:
    entry = _facts()["partitions"][name]
    return Partition(
        name,
        entry["provider"],
        entry["dns_suffix"],
        entry["dual_stack_dns_suffix"],
        entry["principal_suffix"],
        entry["endpoint_prefix"],
        frozenset(entry["reversed"]),
        frozenset(entry["absent"]),
    )


@cache
def _facts() -> Mapping[str, Any]:
    facts: Mapping[str, Any] = read(Path(__file__).with_name("aws.yaml"))
    return facts
