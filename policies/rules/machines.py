"""Machines of one's own: where they stand, who manages them below their system, what their makers left on."""

import re
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Final

from facts.networks import NetworkSet
from facts.zones import Zone
from policies import machine_texts
from policies.machine_texts import KINDS, TYPES
from policies.rule import Hit, Subject, rule
from policies.walkers import hosts, places

_HOST = "metal3.io/BareMetalHost"
_ROOM: Final = "topology.kubernetes.io/zone"

#: What reports to the maker of a distribution, fetches its messages, or updates by itself.
_REPORTS = frozenset(["apport", "fwupd", "motd-news", "snapd", "whoopsie"])
_TURNED_OFF = re.compile(r"(?m)^.*\b(?:mask|disable|purge|remove)\b.*$")

#: Drivers of arrays whose controllers report to their maker unless told not to: NetApp (AutoSupport), Dell
#: (SupportAssist), HPE (InfoSight), Pure (Pure1), Huawei (eService), IBM (Call Home), Hitachi, Infinidat.
_ARRAYS = re.compile(
    r".*\bnetapp\.io(?:/trident)?|.*\.(?:dellemc|hitachi|hpe|huawei|ibm)\.com|pure-csi|infinibox-csi-driver"
)
#: Servers whose controllers do the same: Dell's iDRAC, HPE's iLO (metal3's addresses say which it is).
_SERVERS = re.compile(r"(?:idrac|ilo)\d*[\w+-]*://.*", re.IGNORECASE)


@rule(
    "machines.site",
    title="A node must stand in a room of the zone",
    routes=["N05"],
    controls=["HDS EXI 05", "HDS EXI 28", "HIPAA 164.310(a)(1)", "GDPR 44-46", "SNC 19.2"],
    fix=f"Label it {_ROOM} with a room that the zone's `rooms` name, with country and operator.",
    pack="residency",
    severity="critical",
    kinds=["core/Node", _HOST],
)
def site(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """What runs on a node is processed where the node stands, under the law of whoever runs that place. The
    label is all that the cluster knows of it, so it must name a room whose country and operator the zone
    declares, or a region of the zone."""
    where = subject["metadata"]["labels"][_ROOM]
    name = where.text()
    if where.absent and not zone.declares("N05", subject.plan.at):
        yield subject.refuse(where, seen="no room", why="in which country the node stands is not told")
    if name is None:
        return
    room = zone.rooms.get(name)
    if room is None:
        codes = (name, re.sub(r"-?\d+$|(?<=\d)[a-z]$", "", name))
        if all(places.judge_region(code, (), zone) for code in codes):
            yield subject.refuse(where, seen="another room", why=f"zone {zone.name} does not name it")
    elif room.country not in zone.countries or room.operator not in _operators(zone):
        yield subject.refuse(
            where, seen=f"{room.country}", why="its country or its operator is none of the zone's"
        )


@rule(
    "machines.controllers",
    title="Controllers of machines must lie in a management network, and be verified",
    routes=["N06"],
    controls=["HDS EXI 29", "HIPAA 164.312(a)(1)", "GDPR 32", "SNC 13.2"],
    fix="Name an address of the zone's `management` networks, over https, and verify its certificate.",
    pack="protection",
    severity="critical",
    kinds=[_HOST],
)
def controllers(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Who reaches a machine's controller owns it below its operating system: it boots what it likes, and
    reads memory and screen. In a network of the service a pod could reach it; without its certificate,
    anybody between."""
    bmc = subject["spec"]["bmc"]
    where = bmc["address"]
    text = where.text()
    if text is not None:
        host = hosts.host_of(re.sub(r"^[\w+.-]+://", "//", text))
        address = hosts.address_of(host or "")
        if address is None or not zone.management_set.covers(NetworkSet((ip_network(address),))):
            yield subject.refuse(
                where,
                seen=host or "no readable address",
                why="it is in none of the zone's management networks",
            )
        if "+http://" in text:
            yield subject.refuse(where, seen="http", why="whoever is between reads the password")
    if bmc["disableCertificateVerification"].flag():
        yield subject.refuse(
            bmc["disableCertificateVerification"], seen="not verified", why="anybody may answer for it"
        )


@rule(
    "machines.image",
    title="A node's system may not report to its maker",
    routes=["N07"],
    controls=["HDS EXI 26", "HIPAA 164.312(e)(1)", "GDPR 5(1)(c)", "SNC 12.14"],
    fix="Mask apport, fwupd, motd-news, snapd and whoopsie, or declare N07 for an image without them.",
    pack="egress",
    kinds=[_HOST, *KINDS],
    types=TYPES,
)
def image(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A distribution for general use sends crash reports with memory in them, and asks its maker for
    firmware, packages and news of the day, from a node whose address no policy holds. Neither an image nor
    the absence of a line in its set-up shows that they are off: somebody answers for it, or the set-up says
    so."""
    if zone.declares("N07", subject.plan.at):
        return
    where = subject["spec"]["image"]["url"]
    if not where.absent:
        yield subject.refuse(where, seen="an image", why="what it reports by itself is not told")
    for file in machine_texts.texts(subject):
        off = set(re.findall(r"[\w-]+", " ".join(_TURNED_OFF.findall(file.text))))
        if machine_texts.is_cloud_config(file) and not off >= _REPORTS:
            left = ", ".join(sorted(_REPORTS - off))
            yield subject.refuse(file.where, seen=left, why="nothing says that it is off or not there")


@rule(
    "machines.arrays",
    title="Arrays and servers may not report to their maker",
    routes=["N08"],
    controls=["HDS EXI 26", "HDS EXI 29", "HIPAA 164.312(e)(1)", "GDPR 5(1)(c)", "SNC 12.14"],
    fix="Switch AutoSupport, SupportAssist and their kin off, or to a collector of the zone; declare N08.",
    pack="egress",
    kinds=["storage.k8s.io/StorageClass", "storage.k8s.io/CSIDriver", "core/PersistentVolume", _HOST],
)
def arrays(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Arrays and servers send their maker logs, names, and at times memory, and take remote sessions from its
    support. That is switched on an operator's console, which no plan shows; the driver or the controller's
    address tells that there is such a machine, so somebody has to answer for it."""
    if zone.declares("N08", subject.plan.at):
        return
    assert subject.resource is not None
    named = [subject["provisioner"], subject["spec"]["csi"]["driver"], subject["spec"]["bmc"]["address"]]
    if subject.resource.kind == "storage.k8s.io/CSIDriver":
        named.append(subject["metadata"]["name"])
    for where in named:
        text = where.text() or ""
        if _ARRAYS.fullmatch(text) or _SERVERS.fullmatch(text):
            yield subject.refuse(
                where,
                seen=text.partition("://")[0],
                why="its maker is told by default, and nobody says otherwise",
            )


def _operators(zone: Zone) -> tuple[str, ...]:
    return tuple(one if isinstance(one, str) else str(one.get("name")) for one in zone.operators)
