"""Where a string leads: the hosts, addresses and networks in it that something would connect to.

A URL is a destination wherever it stands. A bare host is one beside a key that names a destination, after a
command that connects, or with a port. Identifiers, denied values, prose and versions are none.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from facts.networks import NetworkSet
from facts.zones import Zone
from policies.documents import of_yaml
from policies.walkers import context, hosts, images
from policies.walkers.strings import Leaf


@dataclass(frozen=True)
class Escape:
    """A destination outside the zone: what may be shown of it, and why it leaks."""

    seen: str
    why: str


_URL = re.compile(
    r"(?<![A-Za-z0-9+.-])([A-Za-z][A-Za-z0-9+.-]*):/{2,}([^\s/?#\"'<>`|\\(){};]*(?:[({][^\s/?#\"'<>`;]*)?)"
)

#: An attribute whose value is a name, or says where a schema lies: XML Namespaces and XML Schema by the W3C.
_NAMESPACE_ATTRIBUTE = re.compile(
    r"(?:\bxmlns(?::[\w.-]+)?|[sS]chemaLocation)\s*=\s*(?:\"[^\"]*|'[^']*)$|<!DOCTYPE[^>]*$"
)

#: Where the host stands in the path: gRPC's name resolvers, and the shell's own sockets.
_IN_PATH = re.compile(r"(?:\b(?:dns|passthrough|ipv4|ipv6):/{2,3}|/dev/(?:tcp|udp)/)([^\s/?#\"'<>`|;]+)")
_IN_BRACKETS = re.compile(r"\[([0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)\]")

#: What no name, address or URL does without: an address is also a number of eight digits, or in hexadecimal.
_LEADS = re.compile(r"[.:]|\d{8}|0[xX]")
_APART = re.compile(r"[\s=<]")
_SPACED = re.compile(r"\S\s+\S")

_VARIABLE = re.compile(
    r"\$\([^)]*\)|\$\{[^}]*\}|\{\{.*?\}\}|\$[A-Za-z_]\w*|%[sdv]|\{[A-Za-z_][\w.]*\}|<[a-z_-]+>"
)

#: Lengths as in RFC 1035, 2.3.4, which also bounds the time that a text of dots can take.
_NAME = r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.){1,126}(?:[A-Za-z]{2,63}|xn--[A-Za-z0-9-]{1,59})\.?"
_HOST = re.compile(rf"(?:{_NAME}|\S*[^\x00-\x7f]\S*\.[^\W\d_]{{2,}})")
_WITH_PORT = re.compile(rf"({_NAME}|\d{{1,3}}(?:\.\d{{1,3}}){{3}}):(\d{{2,5}})(?![\w.])")
_IPV4 = re.compile(r"(?<![\w./:-])(\d{1,3}(?:\.\d{1,3}){3})(?![\w-]|\.\d)")
_CIDR4 = re.compile(r"(?<![\w.])(\d{1,3}(?:\.\d{1,3}){3}/\d{1,2})(?![\w.])")
_CIDR6 = re.compile(r"(?<![\w.:])([0-9A-Fa-f:]*::?[0-9A-Fa-f:.]*/\d{1,3})(?!\w)")
_SCP = re.compile(rf"(?<![\w.-])[\w.-]+@({_NAME}):(?!\d+\b)")
#: A zone of the reverse DNS at the head of a server block of CoreDNS (coredns.io/manual/configuration): what it
#: answers for, not whom it asks.
_REVERSE_ZONE = re.compile(r"(?<!\S)(?:[\w-]+\.)*(?:in-addr|ip6)\.arpa(?::\d+)?(?=\s[^{]*\{\s*$)")
_TOKEN = re.compile(r"[^\s,;\"'`<>|=()\[\]{}]+")

_FILE = re.compile(
    r"\.(?:sh|py|so|md|pl|rs|ps|ai|zip|py|mo|cc|in|pm|do|js|json|ya?ml|toml|conf|cfg|txt|log|crt|key|pem)$"
)

#: What an API description or a dashboard says about itself, with links for people.
_ABOUT = frozenset({"contact", "externalDocs", "license", "links"})

#: Endings of files that no name of the internet has.
_ONLY_A_FILE = re.compile(
    r"(?i)\.(?:json|ya?ml|toml|conf|cfg|ini|txt|log|crt|key|pem|csv|xml|html|js|tar|gz|safetensors)$"
)


[_WORDS] = of_yaml(Path(__file__).with_name("words.yaml").read_text(encoding="utf-8"))
_NETWORKLESS = frozenset(_WORDS["schemes"]["networkless"])
_SERVICES = dict(_WORDS["schemes"]["services"])
_RESOLVERS = frozenset({"dns", "passthrough", "ipv4", "ipv6"})
_REGISTRY = frozenset({"mirror", "mirrors", "registries", "registry", "repo", "repository"})
_IMAGES = frozenset(_WORDS["schemes"]["images"])
_COMMANDS = frozenset(_WORDS["commands"])
_ENDINGS = frozenset(_WORDS["endings"])


@cache
def _namespaces() -> frozenset[str]:
    [data] = of_yaml(Path(__file__).with_name("namespaces.yaml").read_text(encoding="utf-8"))
    return frozenset(data["hosts"])


def escapes(leaf: Leaf, text: str, zone: Zone, *, own_names: bool = False) -> Iterator[Escape]:
    """The destinations in a leaf's text that are outside the zone.

    `own_names`: the object lists the names under which it is itself reached (an Ingress, a certificate).
    """
    if (
        len(text) < 3
        or (text.isascii() and not _LEADS.search(text))
        or any(context.is_denial(key) for key in leaf.keys)
    ):
        return
    if _is_prose(leaf, text):
        return
    if "\n" in text:
        text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(("#", "//")))
    rest = text
    if "/" in text:
        yield from _urls(leaf, text, zone)
        for host in _IN_PATH.findall(text):
            yield from _listed(host, zone)
        yield from _networks(leaf, text, zone)
        rest = _URL.sub(" ", text)
    alone = not _APART.search(rest.strip())
    registries = any(word in _REGISTRY for word in context.words(leaf.key))
    if _is_artifact(leaf, rest, zone):
        return
    if _destination_key(leaf, own_names):
        yield from _listed(rest, zone, registries=registries)
    elif alone:
        yield from _alone(leaf, rest.strip(), zone)
    if not alone:
        yield from _in_text(leaf, rest, zone)


def _is_prose(leaf: Leaf, text: str) -> bool:
    if any(context.is_prose(key) for key in leaf.keys[-2:]) and _SPACED.search(text):
        return True
    if leaf.key in ("url", "href") and any(key in _ABOUT for key in leaf.keys[-4:-1]):
        return True
    linked = "annotations" in leaf.keys[:-1] and (context.is_link(leaf.key) or context.is_prose(leaf.key))
    return linked or leaf.key in ("externalDocs", "$schema", "$id", "$ref", "$comment")


def _destination_key(leaf: Leaf, own_names: bool) -> bool:
    key = leaf.key
    if own_names and context.words(key)[-1:] in (
        ("host",),
        ("hosts",),
        ("hostname",),
        ("hostnames",),
        ("names",),
    ):
        return False
    if key in ("metadata", "name", "labels") or "labels" in leaf.keys[:-1] or "matchLabels" in leaf.keys[:-1]:
        return False
    return context.is_destination(key)


def _is_artifact(leaf: Leaf, text: str, zone: Zone) -> bool:
    """Whether a `url` beside artifacts or images is a reference to what a registry of the zone holds."""
    if leaf.key != "url" or not any(key in ("artifacts", "images") for key in leaf.keys[-2:-1]):
        return False
    image = images.parse(text.strip())
    return image is not None and images.allowed(image, zone)


# URLs


def _urls(leaf: Leaf, text: str, zone: Zone) -> Iterator[Escape]:
    whole = text.strip()
    spaced = re.search(r"\s", whole) is not None
    for found in _URL.finditer(text):
        scheme, authority = found.group(1).lower(), found.group(2)
        scheme = scheme.rpartition("+")[2] if scheme not in _SERVICES else scheme
        if scheme in _NETWORKLESS or context.is_identity(leaf.key):
            continue
        if scheme in _RESOLVERS:
            continue
        if scheme in _SERVICES:
            if not hosts.inside(_SERVICES[scheme], zone):
                yield Escape(_SERVICES[scheme], f"a {scheme}:// address reaches it, outside zone {zone.name}")
            continue
        if _NAMESPACE_ATTRIBUTE.search(text[max(0, found.start() - 512) : found.start()]):
            continue
        alone = not spaced and whole.startswith(found.group())
        for one in authority.split(","):
            yield from _authority(one, scheme, zone, alone=alone)


def _authority(text: str, scheme: str, zone: Zone, *, alone: bool) -> Iterator[Escape]:
    text = text.rpartition("@")[2].removeprefix("*.").rstrip(".!")
    if "[" not in text:
        text = text.rstrip("]")
    if text == "" or text.startswith(":"):
        return  # no host: a path, or any of one's own
    literal = _VARIABLE.sub("", text)
    if literal != text:
        # The variable is judged where it gets its value; what is written beside it decides where it leads.
        suffix = re.split(_VARIABLE, text)[-1].partition(":")[0]
        if "." not in suffix:
            return
        text = "x" + suffix
    host = hosts.host_of(f"//{text}")
    if host is None:
        yield Escape("a URL whose host can't be read", "where it leads can't be told, so it can't be judged")
    elif scheme in _IMAGES and any(
        entry.partition("/")[0].partition(":")[0] == host for entry in zone.registries
    ):
        return
    elif not hosts.inside(host, zone) and not (alone and host in _namespaces()):
        yield Escape(host, f"it is outside zone {zone.name}: neither its hosts nor its networks name it")


# Networks


def _networks(leaf: Leaf, text: str, zone: Zone) -> Iterator[Escape]:
    if any(context.is_source(key) for key in leaf.keys[-2:]):
        return
    for pattern in (_CIDR4, _CIDR6):
        for cidr in pattern.findall(text):
            network = hosts.network_of(cidr)
            if network is None:
                continue
            outside = NetworkSet((network,)) - zone.network_set
            if outside and not all(
                hosts.local(block.network_address) and block.prefixlen for block in outside.blocks
            ):
                yield Escape(
                    cidr, f"addresses in it are outside zone {zone.name}, such as {outside.blocks[0]}"
                )


# Bare hosts


def _listed(text: str, zone: Zone, *, registries: bool = False) -> Iterator[Escape]:
    """Beside a key that names a destination: each item of the list is one.

    `registries`: the key names registries of images, so the zone's are inside.
    """
    for token in re.split(r"[\s,;|]+", text):
        item = token.strip("\"'[](){}<>")
        bare = item.rpartition("@")[2]
        bare = bare.lstrip("/") if bare.startswith("//") else bare
        if registries and _registry(bare, zone):
            continue
        if not bare or ("/" in bare and not _HOST.match(bare.partition("/")[0])):
            continue
        if _VARIABLE.search(bare):
            bare = "x" + re.split(_VARIABLE, bare)[-1]
        host = hosts.host_of(bare)
        if _ONLY_A_FILE.search(bare):
            continue
        if host is not None and (_HOST.fullmatch(host) or _spelled_address(bare, host)):
            yield from _outside(host, zone)


def _alone(leaf: Leaf, text: str, zone: Zone) -> Iterator[Escape]:
    """A value that is nothing but a host with a port, or an address."""
    found = _WITH_PORT.fullmatch(text)
    if found and 0 < int(found.group(2)) < 65536 and not context.is_image(leaf.key):
        host = hosts.host_of(found.group(1))
        if host is not None:
            yield from _outside(host, zone)
        return
    if (leaf.key in ("args", "command") or re.fullmatch("-[A-Za-z]", leaf.key)) and _plausible(text):
        yield from _outside(hosts.host_of(text) or text, zone)
    if context.is_version(leaf.key) or "labels" in leaf.keys:
        return
    literal = text.strip("[]")
    address = hosts.address_of(literal)
    if address is not None and (literal.count(".") == 3 or ":" in literal):
        yield from _outside(str(address), zone)


def _in_text(leaf: Leaf, text: str, zone: Zone) -> Iterator[Escape]:
    """Scripts and configuration in a format of their own, line by line."""
    for line in text.splitlines():
        if "." not in line and ":" not in line:
            continue
        line = _REVERSE_ZONE.sub("", line)
        if not re.search(r"(?i)version|\boid\b|user-agent|no_proxy|\bdeny\b", line):
            for address in _IPV4.findall(line):
                if hosts.address_of(address) is not None:
                    yield from _outside(address, zone)
        for name, port in _WITH_PORT.findall(line):
            if 0 < int(port) < 65536 and not name[0].isdigit():
                yield from _outside(hosts.host_of(name) or name, zone)
        for name in (*_SCP.findall(line), *_IN_BRACKETS.findall(line)):
            yield from _outside(hosts.host_of(name) or name, zone)
        yield from _called(line, zone)


def _called(line: str, zone: Zone) -> Iterator[Escape]:
    """Names after a command that connects, or after a word that names a destination."""
    command, before = False, ""
    if re.search(r"(?i)no_proxy|\bdeny\b", line):
        return
    for token in _TOKEN.findall(line):
        if token.rpartition("/")[2] in _COMMANDS:
            command = True
            continue
        bare = token.strip(".:").rpartition("@")[2].partition("/")[0].partition(":")[0]
        named = command or token.startswith("@") or bool(before and context.is_destination(before))
        if named and _plausible(bare):
            yield from _outside(hosts.host_of(bare) or bare, zone)
        if re.search(r"\w", token):
            before = token.rstrip(":")


def _plausible(name: str) -> bool:
    """Whether a name in free text is one of the internet's, and no file or piece of code."""
    host = name.rpartition("@")[2].partition("/")[0]
    ending = host.rstrip(".").rpartition(".")[2].lower()
    return bool(_HOST.fullmatch(host)) and ending in _ENDINGS and not _FILE.search(host)


def _registry(name: str, zone: Zone) -> bool:
    """Whether a host, with its port, is that of a registry of the zone."""
    host = name.partition("/")[0].lower()
    return any(entry.partition("/")[0] == host for entry in zone.registries)


def _spelled_address(text: str, host: str) -> bool:
    """Whether a bare value is meant as an address: dotted, IPv6, or a very large number."""
    address = hosts.address_of(host)
    if address is None:
        return bool(re.fullmatch(r"[\d.]+", host)) and host.count(".") == 3
    if address.version == 6:
        return ":" in text
    return text.count(".") >= 1 or text.lower().startswith("0x") or (text.isdigit() and int(text) >= 1 << 24)


def _outside(host: str, zone: Zone) -> Iterator[Escape]:
    if not hosts.inside(host, zone):
        yield Escape(host, f"it is outside zone {zone.name}: neither its hosts nor its networks name it")
