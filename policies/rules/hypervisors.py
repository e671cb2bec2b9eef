"""Providers of machines on premises: vSphere, Proxmox, libvirt, MAAS. Who answers there owns the machines.

Settings as the schemas of pulumi-vsphere 4, pulumi-proxmoxve 7, pulumi-libvirt 0 and pulumi-maas 0 name them.
"""

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from typing import Final

from facts.networks import NetworkSet
from facts.zones import Zone
from policies.provider_settings import setting
from policies.rule import Hit, Subject, rule
from policies.walkers import hosts

#: The setting that names the server, by package.
_SERVERS: Final[Mapping[str, str]] = {
    "vsphere": "vsphereServer",
    "proxmoxve": "endpoint",
    "libvirt": "uri",
    "maas": "apiUrl",
}
#: Switches that let anybody answer for it; libvirt has `no_verify=1` in its address.
_CARELESS: Final = ("allowUnverifiedSsl", "insecure", "tlsInsecureSkipVerify")


@rule(
    "hypervisors.server",
    title="Machines may be made by servers of the zone only",
    routes=["N02"],
    controls=["HDS EXI 28", "HIPAA 164.310(a)(1)", "GDPR 44-46", "SNC 19.2"],
    fix="Name a server of the zone's hosts, or an address of its `management` networks, and verify it.",
    pack="residency",
    severity="critical",
    types=[f"pulumi:providers:{package}" for package in _SERVERS],
)
def server(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """The server that makes machines holds their disks and memory, and can read both. Without one here, the
    environment of whoever runs it says which; a server that isn't verified may be anybody's."""
    assert subject.resource is not None
    where = subject[_SERVERS[subject.resource.package]]
    text = "" if where.absent else where.text()
    if text is None:
        return
    host = hosts.host_of(text)
    if host is None or not manages(host, zone):
        yield subject.refuse(
            where,
            seen=host or f"no host in {where.path}",
            why=f"whose machines these are, whoever runs it decides, or a host outside zone {zone.name}",
        )
    careless = [key for key in _CARELESS if setting(subject, key).flag()]
    for key in [*careless, *re.findall(r"no_verify=1", text)]:
        yield subject.refuse(key, seen=key, why="the server is not verified, so it may be anybody's")


def manages(host: str, zone: Zone) -> bool:
    """Whether a host is one of the zone, or an address of its management networks."""
    address = hosts.address_of(host)
    managed = address is not None and zone.management_set.covers(NetworkSet((ip_network(address),)))
    return managed or hosts.declared(host, zone)
