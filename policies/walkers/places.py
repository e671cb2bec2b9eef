"""Regions and ARNs in a string, and whether the zone allows them. A region means nothing without its
provider.

ARN grammar: docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html; partitions as in
facts/regions.yaml.
"""

import re
from dataclasses import dataclass

from facts import regions
from facts.zones import Zone
from policies.walkers import context
from policies.walkers.strings import Leaf

_ARN = re.compile(r"\barn:(aws[a-z-]*):([a-z0-9-]*|\*):([a-z0-9-]*|\*):([0-9]*|aws|\*)?:", re.IGNORECASE)
_LOOKS_LIKE_A_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]+)+-\d{1,2}|[a-z]{2,14}-[a-z]+\d{1,2}")
_IN_TEXT = re.compile(
    r"(?im)^[ \t]*(?:export\s+)?[\"']?([\w.-]*(?:region|location))[\"']?\s*[:=]\s*[\"']?([a-z0-9-]+)"
    r"|(?<!\S)--?([a-z-]*region)[= ][\"']?([a-z0-9-]+)"
)
_LOCAL_ZONE = re.compile(r"[a-z]{2,4}(?:-[a-z]+)+-\d{1,2}(?:-[a-z0-9]+)*-?\d*[a-z]")

#: The partition of an ARN, and the provider whose regions it has.
_PARTITIONS = {"aws": "aws", "aws-eusc": "aws-eusc"}

#: Packages (of a type token) and words (of a key), and the providers whose regions they speak of.
_SPEAKERS = {
    "aws": ("aws", "aws-eusc"),
    "azure": ("azure", "azure-bleu"),
    "gcp": ("gcp", "s3ns"),
    "google": ("gcp", "s3ns"),
    "outscale": ("outscale",),
    "osc": ("outscale",),
    "ovh": ("ovh",),
    "scaleway": ("scaleway",),
    "scw": ("scaleway",),
    "stackit": ("stackit",),
    "exoscale": ("exoscale",),
}


@dataclass(frozen=True)
class Place:
    """A place that a string names, as it may be shown, and why it is outside (None: inside)."""

    seen: str
    outside: str | None


def providers_of(package: str) -> tuple[str, ...]:
    """The providers, as facts/regions.yaml names them, of a Pulumi package; none where it has no regions."""
    return _SPEAKERS.get(package.removesuffix("-native"), ())


def judge_region(code: str, providers: tuple[str, ...], zone: Zone) -> str | None:
    """Why a region of one of `providers` (none: any) is outside the zone; None where it is inside."""
    asked = providers or tuple(zone.regions)
    if any(zone.allows_region(provider, code) for provider in asked):
        return None
    known = [(provider, country) for provider, country in regions.named(code) if provider in asked]
    known = known or list(regions.named(code))
    if not known:
        return "is a region that nobody knows, so its country can't be told"
    places = " and ".join(f"{country} at {provider}" for provider, country in known)
    return f"lies in {places}, outside zone {zone.name}"


def arns(text: str, zone: Zone) -> list[Place]:
    """The ARNs in a text. Region-less ones (IAM, S3) are judged by their partition."""
    found: list[Place] = []
    if ":" not in text or "arn:" not in text.lower():
        return found
    for partition, service, region, _account in _ARN.findall(text):
        provider = _PARTITIONS.get(partition.lower())
        seen = f"arn:{partition}:{service}:{region}:..."
        if provider is None:
            found.append(Place(seen, f"is in partition {partition}, which no zone may use"))
        elif region in ("", "*"):
            ours = [name for name in _PARTITIONS.values() if name in zone.regions]
            wrong = bool(ours) and provider not in ours
            why = (
                f"is in partition {partition}, and zone {zone.name} is in {', '.join(ours)}"
                if wrong
                else None
            )
            found.append(Place(seen, why))
        else:
            found.append(Place(seen, judge_region(region.lower(), (provider,), zone)))
    return found


def named(leaf: Leaf, text: str, package: str, zone: Zone) -> list[Place]:
    """The regions that a leaf names where its key says that it holds a place, or a part of one."""
    if "\n" in text or "--" in text:
        return _in_text(text, package, zone)
    whole, part = context.is_place(leaf.key), context.is_subplace(leaf.key)
    if not (whole or part):
        return []
    speakers = _speakers(leaf.key, package)
    found = []
    for token in re.split(r"[\s,;]+", text):
        code = token.strip("\"'[]()")
        region = _region_of_zone(code) if part else code if _is_region(code) else None
        if region is not None:
            found.append(Place(code, judge_region(region, speakers, zone)))
    return found


def _in_text(text: str, package: str, zone: Zone) -> list[Place]:
    """Regions in scripts and configuration: `region = "..."` on a line of its own, and `--region ...`."""
    found = []
    for line_key, line_code, flag, flag_code in _IN_TEXT.findall(text):
        key, code = line_key or flag, line_code or flag_code
        if _is_region(code):
            found.append(Place(code, judge_region(code, _speakers(key, package), zone)))
    return found


def _is_region(code: str) -> bool:
    return bool(regions.named(code)) or bool(_LOOKS_LIKE_A_REGION.fullmatch(code))


def _region_of_zone(code: str) -> str | None:
    """The region of an availability zone: `eu-west-3a`, `europe-west9-a`, `fr-par-2`; None where it is none.

    A Local Zone (`us-east-1-atl-2a`) may lie in another country than its region, so it counts as a place
    of its own.
    """
    for ending in (r"(?<=\d)[a-z]$", r"-[a-z]$", r"-\d$"):
        region = re.sub(ending, "", code)
        if region != code and regions.named(region):
            return region
    return code if _LOCAL_ZONE.fullmatch(code) or regions.named(code) else None


def _speakers(key: str, package: str) -> tuple[str, ...]:
    """The providers of which a key speaks: `AWS_REGION` of AWS; else those of the resource's package; else
    any."""
    for word in context.words(key):
        if word in _SPEAKERS:
            return _SPEAKERS[word]
    return providers_of(package)
