"""Zones: what a stack may touch, on three independent axes (location, operator, certification), and by name.

A zone is declared by the stack, in a YAML file of its site; no zone, no plan.
"""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator

from facts import regions
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


class Zone(BaseModel):
    """One zone. Everything that is not named here is outside it."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

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
