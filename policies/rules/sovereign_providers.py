"""Providers of OpenStack, OVHcloud, Scaleway and OUTSCALE: whose cloud, and which of its regions.

Settings as the schemas of pulumi-openstack 5, pulumi-ovh 2, pulumiverse-scaleway 1 and outscale 1 name them.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from facts.zones import Zone
from policies.model import Node
from policies.provider_settings import setting
from policies.rule import Hit, Subject, rule
from policies.walkers import hosts, places

_CONTROLS = ("HDS EXI 28", "HDS EXI 30", "GDPR 44-46", "SNC 19.2", "SNC 19.6")
_FIX = "Give the region and the address of a cloud that the zone names."

#: Settings without which the environment, or a file of whoever runs it, decides where everything lands.
_ASKED: Final[Mapping[str, tuple[str, ...]]] = {
    "openstack": ("authUrl", "region"),
    "ovh": ("endpoint",),
    "scaleway": ("region",),
    "outscale": ("region",),
}
#: Where a resource says for itself in which region or part of one it is.
_OWN: Final[Mapping[str, tuple[str, ...]]] = {
    "openstack": ("region",),
    "ovh": ("region",),
    "scaleway": ("region", "zone"),
    "outscale": ("subregionName",),
}


@rule(
    "sovereign-providers.settings",
    title="A provider of a sovereign cloud must name a cloud and a region of the zone",
    routes=["N01"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="residency",
    severity="critical",
    types=[f"pulumi:providers:{package}" for package in _ASKED],
)
def settings(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """The same provider serves clouds of many owners and countries: OpenStack is whatever answers at its
    address, OVHcloud and OUTSCALE have regions in Canada, the United States and Asia. What isn't said here is
    taken from the environment of whoever runs it."""
    assert subject.resource is not None
    package = subject.resource.package
    for key in _ASKED[package]:
        if subject[key].absent:
            yield subject.refuse(
                key, seen=f"no {key}", why="the environment of whoever runs it decides where resources land"
            )
    for node in _addresses(subject):
        text = node.text()
        host = hosts.host_of(text) if text else None
        if text == "ovh-eu" and zone.regions.get("ovh"):
            continue
        if text and (host is None or not hosts.declared(host, zone)):
            yield subject.refuse(
                node, seen=host or "no readable host", why=f"calls go there, outside zone {zone.name}"
            )
    yield from _places(subject, package, ("region", "zone"), zone)
    for key in ("cloud", "profile"):
        if not subject[key].absent:
            yield subject.undecided(
                key, seen=key, why="a file of whoever runs it decides which cloud and region it is"
            )
    if setting(subject, "insecure").flag():
        yield subject.refuse("insecure", seen="insecure", why="whoever answers is believed")


@rule(
    "sovereign-providers.places",
    title="A resource of a sovereign cloud must lie in a region of the zone",
    routes=["N01"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="residency",
    severity="critical",
    types=[f"{package}:*" for package in _OWN],
)
def own(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A region or zone at a resource overrides its provider's. One code can be two places: eu-west-2 is Paris
    at OUTSCALE and London at AWS, so it is judged as the resource's own cloud means it."""
    assert subject.resource is not None
    package = subject.resource.package
    yield from _places(subject, package, _OWN[package], zone)


def _addresses(subject: Subject) -> Iterator[Node]:
    for key in ("apiUrl", "authUrl", "endpoint"):
        yield subject[key]
    for _, node in setting(subject, "endpointOverrides").members():
        yield node
    for item in setting(subject, "endpoints").each():
        for _, node in item.members():
            yield node


def _places(subject: Subject, package: str, keys: tuple[str, ...], zone: Zone) -> Iterator[Hit]:
    for key in keys:
        text = subject[key].text()
        # a part of a region bears its name and a letter or number more: fr-par-2, eu-west-2a, GRA9
        codes = (re.sub(r"-?\d+$|(?<=\d)[a-z]$", "", text), text) if text else ()
        outside = [places.judge_region(code, places.providers_of(package), zone) for code in codes]
        if outside and all(outside):
            yield subject.refuse(key, seen=str(text), why=f"resources land there, and it {outside[-1]}")
