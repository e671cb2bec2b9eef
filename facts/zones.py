"""Zones: what a stack may touch, on three independent axes (location, operator, certification), and by name.

A zone is declared by the stack, in a YAML file of its site; no zone, no plan.
"""

from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator

from facts import regions
from facts.days import Day
from facts.networks import NetworkSet, parse

#: No table can know a site's own rooms: their codes are the zone's word, and lie in its countries.
ON_PREMISES = "onprem"


class ZoneError(ValueError):
    """A zone file that can't be used; the message says which file, which key and what is allowed."""


def _country(code: str) -> str:
    if len(code) != 2 or not code.isascii() or not code.isupper():
        raise ValueError("a country is an ISO 3166-1 code of two capital letters, quoted, such as 'FR'")
    return code


def _registry(entry: str) -> str:
    host = entry.partition("/")[0]
    if "://" in entry or not host or entry.endswith("/") or "*" in entry or entry != entry.lower():
        raise ValueError("a registry is an exact host in lower case, with an optional path prefix, no scheme")
    return entry


def _host(entry: str) -> str:
    bare = entry.removeprefix("*.")
    if not bare or "*" in bare or "/" in bare or ":" in bare or bare != bare.lower():
        raise ValueError("a host is exact or *.suffix, in lower case, without scheme, port or path")
    if entry != bare and "." not in bare:
        raise ValueError("a suffix has at least two labels: *.example.org, not *.org")
    return entry


def _network(cidr: str) -> str:
    parse(cidr)
    return cidr


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Retention(_Part):
    """How long audit records and logs of accesses are kept, in days, and why."""

    minimum: Annotated[int, Field(ge=1)]
    maximum: Annotated[int, Field(ge=1)] | None = None
    basis: Annotated[str, Field(min_length=1, description="the text that asks for it")]


class Person(_Part):
    """Somebody, or a group, who may be given rights: by the exact name that grants use."""

    subject: Annotated[str, Field(min_length=1)]
    employer: Annotated[str, Field(min_length=1)]
    law: Annotated[str, AfterValidator(_country), Field(description="under which country's law they work")]
    country: Annotated[str, AfterValidator(_country), Field(description="from where they reach in")]
    until: Day | None = None
    mfa: bool = False
    recorded: Annotated[bool, Field(description="whether their sessions are recorded")] = False


class Room(_Part):
    """A room of one's own: what it is called in `regions.onprem`, in which country, and who runs it."""

    country: Annotated[str, AfterValidator(_country)]
    operator: Annotated[str, Field(min_length=1)]


class System(_Part):
    """Pods that need what others may not have (a CNI, a CSI driver, the GPU driver, the cluster's DNS)."""

    namespace: Annotated[str, Field(min_length=1)]
    images: Annotated[tuple[str, ...], Field(min_length=1, description="whole references with a digest")]
    may: Annotated[
        tuple[Literal["host-network", "privileged", "host-path", "node-dns"], ...], Field(min_length=1)
    ]


class Declared(_Part):
    """A dated fact that the plan can't show, by somebody who answers for it; it closes a route by word."""

    route: Annotated[str, Field(pattern=r"^[A-Z]\d\d$")]
    what: Annotated[str, Field(min_length=10)]
    owner: Annotated[str, Field(min_length=1)]
    since: Day
    until: Day


class Zone(_Part):
    """One zone. Everything that is not named here is outside it."""

    name: Annotated[str, Field(min_length=1, description="how reports and messages call the zone")]
    countries: Annotated[tuple[Annotated[str, AfterValidator(_country)], ...], Field(min_length=1)]
    eea: Annotated[Literal["required", "any"], Field(description="whether every country must be in the EEA")]
    operators: tuple[str | dict[str, Any], ...] = Field(
        default=(),
        description="legal entities that may operate what the stack uses, by name or with their law",
    )
    certifications: tuple[str | dict[str, Any], ...] = Field(
        default=(), description="what must be held, by name or with activities, service and date"
    )
    regions: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="provider -> its region codes; a code means nothing without its provider",
    )
    registries: tuple[Annotated[str, AfterValidator(_registry)], ...] = ()
    hosts: tuple[Annotated[str, AfterValidator(_host)], ...] = ()
    networks: tuple[Annotated[str, AfterValidator(_network)], ...] = ()
    management: Annotated[
        tuple[Annotated[str, AfterValidator(_network)], ...],
        Field(description="networks from which machines are managed below their operating system"),
    ] = ()
    accounts: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="provider -> its accounts, subscriptions or projects of the owner"
    )
    provisioners: Annotated[
        tuple[str, ...],
        Field(description="drivers of volumes that encrypt and keep data in the zone"),
    ] = ()
    systems: tuple[System, ...] = ()
    people: tuple[Person, ...] = ()
    rooms: dict[str, Room] = Field(default_factory=dict)
    runners: Annotated[
        tuple[str, ...],
        Field(description="machines, by host name or CI label, that plan and apply; * for every one"),
    ] = ()
    access: Annotated[
        tuple[Literal["session-manager", "client-vpn", "site-vpn"], ...],
        Field(description="ways by which people may reach what is private"),
    ] = ()
    retention: Retention | None = None
    declared: tuple[Declared, ...] = ()
    signers: dict[str, str] = Field(
        default_factory=dict, description="who may ask for and approve waivers -> their public key, in PEM"
    )

    @field_validator("regions")
    @classmethod
    def _regions_are_known(cls, chosen: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for provider, codes in chosen.items():
            for code in codes if provider != ON_PREMISES else ():
                if regions.country(provider, code) is None:
                    raise ValueError(
                        f"no region {code!r} of provider {provider!r} is known: its country can't be told; "
                        "add it to facts/regions.yaml with a source, or correct the name"
                    )
        return chosen

    def model_post_init(self, context: object) -> None:
        """Checks the axes against each other. Raises ValueError (as pydantic's) where they contradict."""
        if self.eea == "required":
            for code in self.countries:
                if not regions.in_eea(code):
                    raise ValueError(f"countries: {code} is not in the EEA, and the zone says eea: required")
        for provider, codes in self.regions.items():
            for code in codes if provider != ON_PREMISES else ():
                place = regions.country(provider, code)
                if place not in self.countries:
                    raise ValueError(
                        f"regions: {provider} {code} lies in {place}, which is not among the zone's countries"
                    )

    @cached_property
    def network_set(self) -> NetworkSet:
        """The zone's networks as a set of addresses."""
        return NetworkSet.of(self.networks)

    @cached_property
    def management_set(self) -> NetworkSet:
        return NetworkSet.of(self.management)

    def declares(self, route: str, at: date) -> bool:
        """Whether somebody answers, on that day, for what the plan can't show of a route."""
        return any(one.route == route and one.since <= at <= one.until for one in self.declared)

    def also(self, declared: tuple[Declared, ...]) -> "Zone":
        """The zone with more that somebody answers for; itself where it has all of that."""
        more = tuple(one for one in declared if one not in self.declared)
        return self.model_copy(update={"declared": (*self.declared, *more)}) if more else self

    def system(self, namespace: str | None, image: str) -> System | None:
        """The system that an image is of, by its whole reference in its namespace."""
        return next((one for one in self.systems if one.namespace == namespace and image in one.images), None)

    def allows_account(self, provider: str, account: str) -> bool:
        return account in self.accounts.get(provider, ())

    def person(self, subject: str) -> Person | None:
        return next((one for one in self.people if one.subject == subject), None)

    def allows_region(self, provider: str, code: str) -> bool:
        return code in self.regions.get(provider, ())


def load(path: Path) -> Zone:
    """Reads a zone file. Raises ZoneError with the file, the key and what is allowed; never shows a value."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ZoneError(f"There is no zone file {path}: write one, or correct the stack's `zone`.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ZoneError(f"The zone file {path} can't be read: {error}.") from None
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        line = f" at line {place.line + 1}" if place else ""
        raise ZoneError(f"The zone file {path} is not YAML{line}: correct it.") from None
    if not isinstance(data, dict):
        raise ZoneError(
            f"The zone file {path} must hold a mapping with the keys {', '.join(Zone.model_fields)}."
        )
    try:
        return Zone.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "the whole"
        advice = (
            f"allowed keys are {', '.join(Zone.model_fields)}"
            if first["type"] in ("extra_forbidden", "missing")
            else "correct it"
        )
        raise ZoneError(f"{path}: {key}: {first['msg'].removeprefix('Value error, ')}; {advice}.") from None
