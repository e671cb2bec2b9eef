"""Hosts and addresses: brought to one spelling, and compared with the zone by label and by set.

Every spelling that a resolver takes is read: `134744072`, `0x08.8.8.8` and `8.8.8.8` are one address,
`REGISTRY.Example.` and `registry.example` one name, `user@host` is the host.
"""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from facts.networks import Network, NetworkSet
from facts.zones import Zone

Address = IPv4Address | IPv6Address

#: Names that a cluster's own DNS answers.
_CLUSTER_SUFFIXES = (".svc", ".cluster.local")

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_AUTHORITY = re.compile(r"^(?:[A-Za-z][A-Za-z0-9+.-]*:)?[/\\]{2}([^/\\?#]*)")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")
#: Letters that IDNA 2003 maps to others and IDNA 2008 keeps (RFC 5894, 7.2): two names, so none.
_TWO_READINGS = re.compile("[\u00df\u03c2\u200c\u200d]")
_PORT = re.compile(r"^(.*?):(\d{1,5})$")


def host_of(text: str) -> str | None:
    """The host of a URL, a `host:port` or a bare host, in its one spelling; None where there is none.

    Userinfo, port, path, query and zone index are left out; an address comes back in its canonical form.
    """
    text = text.strip()
    found = _AUTHORITY.match(text)
    authority = found.group(1) if found else re.split(r"[/\\?#]", text, maxsplit=1)[0]
    authority = authority.rpartition("@")[2]
    if authority.startswith("["):
        host = authority[1:].partition("]")[0]
    elif authority.count(":") > 1:
        host = authority
    else:
        port = _PORT.match(authority)
        host = port.group(1) if port else authority.removesuffix(":")
    return normalise(host)


@lru_cache(maxsize=8192)
def normalise(host: str) -> str | None:
    """One spelling of a host: lower case, ASCII labels, no trailing dot. None if it is no host."""
    host = host.strip().lower().removesuffix(".")
    if not host:
        return None
    address = address_of(host)
    if address is not None:
        return str(address)
    if not host.isascii():
        if _TWO_READINGS.search(host):
            return None
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            return None
        return normalise(host)
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        return None
    return host


@lru_cache(maxsize=8192)
def address_of(host: str) -> Address | None:
    """The address that a host spells, in any way that a resolver accepts; None for a name."""
    bare = host.strip("[]").partition("%")[0]
    try:
        address: Address = ip_address(bare)
    except ValueError:
        number = _loose_ipv4(bare)
        return IPv4Address(number) if number is not None else None
    if isinstance(address, IPv6Address):
        return embedded_ipv4(address) or address
    return address


def embedded_ipv4(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that a mapped (::ffff:0:0/96) or NAT64 (64:ff9b::/96, RFC 6052) address reaches."""
    if address.ipv4_mapped:
        return address.ipv4_mapped
    if int(address) >> 32 == int(IPv6Address("64:ff9b::")) >> 32:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _loose_ipv4(text: str) -> int | None:
    """An IPv4 address as inet_aton(3) reads it: one to four parts, decimal, hexadecimal, alone also octal.

    Dotted parts with leading zeros are octal to libc and decimal to others: no one reading, so no address.
    """
    parts = text.split(".")
    if not 1 <= len(parts) <= 4:
        return None
    numbers = []
    for part in parts:
        if re.fullmatch(r"0x[0-9a-f]{1,16}", part):
            numbers.append(int(part, 16))
        elif part == "0" or (len(parts) == 1 and re.fullmatch(r"0[0-7]{1,21}", part)):
            numbers.append(int(part, 8))
        elif re.fullmatch(r"[1-9]\d{0,20}", part):
            numbers.append(int(part))
        else:
            return None
    *heads, last = numbers
    if any(head > 255 for head in heads) or last >= 256 ** (4 - len(heads)):
        return None
    return sum(head << (24 - 8 * place) for place, head in enumerate(heads)) + last


def in_cluster(host: str) -> bool:
    """Whether only the cluster's own DNS answers this name: a single label, `*.svc`, `*.cluster.local`."""
    if address_of(host) is not None or _NUMBER.fullmatch(host.rpartition(".")[2]):
        return False
    return "." not in host or host == "cluster.local" or host.endswith(_CLUSTER_SUFFIXES)


def local(address: Address) -> bool:
    """Whether an address never leaves the machine or the link: loopback, unspecified (a bind), link-local.

    240.0.0.0/4 is sent nowhere either (RFC 1112); netmasks are written with it.
    """
    reserved = address.version == 4 and address.is_reserved
    return address.is_loopback or address.is_unspecified or address.is_link_local or reserved


def inside(host: str, zone: Zone) -> bool:
    """Whether a connection stays inside: the cluster's own names, local addresses, what the zone declares."""
    name = normalise(host)
    if name is None:
        return False
    address = address_of(name)
    if address is not None:
        return local(address) or declared(name, zone)
    nowhere = name.endswith(".invalid")  # answered by no resolver (RFC 6761)
    return name == "localhost" or nowhere or in_cluster(name) or declared(name, zone)


def declared(host: str, zone: Zone) -> bool:
    """Whether the zone itself names the host: exactly, by a suffix of whole labels, or by a network."""
    name = normalise(host)
    if name is None:
        return False
    address = address_of(name)
    if address is not None:
        return zone.network_set.covers(NetworkSet((ip_network(address),))) or name in _exact(zone.hosts)
    return name in _exact(zone.hosts) or any(name.endswith(suffix) for suffix in _suffixes(zone.hosts))


def network_of(text: str) -> Network | None:
    """The network that a CIDR text names (host bits are dropped, as kernels do); None where it is none."""
    base, slash, length = text.strip().partition("/")
    if not slash or not re.fullmatch(r"\d{1,3}", length):
        return None
    try:
        network = ip_network(f"{base}/{length}", strict=False)
    except ValueError:
        return None
    if isinstance(network, IPv6Network) and network.prefixlen >= 96:
        start = embedded_ipv4(network.network_address)
        return ip_network((int(start), network.prefixlen - 96)) if start is not None else network
    return network


@lru_cache(maxsize=64)
def _exact(hosts: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name for host in hosts if "*" not in host and (name := normalise(host)))


@lru_cache(maxsize=64)
def _suffixes(hosts: tuple[str, ...]) -> tuple[str, ...]:
    names = (normalise(host[2:]) for host in hosts if host.startswith("*."))
    return tuple(f".{name}" for name in names if name)
