"""Addresses, hosts and images against a plain reference, over many inputs: what a zone names is inside, and
nothing else is, however it is spelled. What isn't known never passes."""

import ipaddress
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from facts.networks import NetworkSet
from facts.zones import Zone
from policies.model import MASKED, UNKNOWN, Node, Touch
from policies.walkers import hosts, images

# Networks: every address of a small space counted one by one

_SPACES = {4: (int(ipaddress.IPv4Address("10.0.0.0")), 32), 6: (int(ipaddress.IPv6Address("fd00::")), 128)}
_BITS = 6


@st.composite
def _blocks(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    """Blocks as (family, first of the space, addresses), in spaces of 64 addresses."""
    block = st.tuples(st.sampled_from([4, 6]), st.integers(0, _BITS), st.integers(0, 2**_BITS - 1))
    return [(family, at >> bits << bits, bits) for family, bits, at in draw(st.lists(block, max_size=6))]


def _set(blocks: list[tuple[int, int, int]]) -> NetworkSet:
    texts = []
    for family, at, bits in blocks:
        base, length = _SPACES[family]
        kind = ipaddress.IPv4Address if family == 4 else ipaddress.IPv6Address
        texts.append(f"{kind(base + at)}/{length - bits}")
    return NetworkSet.of(texts)


def _counted(networks: NetworkSet) -> set[str]:
    return {str(address) for block in networks.blocks for address in block}


def _all(blocks: list[tuple[int, int, int]]) -> set[str]:
    return {address for block in blocks for address in _counted(_set([block]))}


@given(_blocks(), _blocks())
def test_subtraction_is_that_of_addresses(left: list[Any], right: list[Any]) -> None:
    rest = _set(left) - _set(right)
    assert _counted(rest) == _all(left) - _all(right)
    assert bool(rest) == bool(_all(left) - _all(right))
    assert _set(right).covers(_set(left)) == (_all(left) <= _all(right))


_ADDRESSES = st.one_of(
    st.ip_addresses(v=4),
    st.ip_addresses(v=6),
    st.ip_addresses(v=4).map(lambda address: ipaddress.IPv6Address(0xFFFF_0000_0000 + int(address))),
    st.ip_addresses(v=4).map(lambda one: ipaddress.IPv6Address((0x64FF9B << 96) + int(one))),
)


@given(_ADDRESSES, st.integers(0, 128))
def test_a_network_is_the_one_that_ipaddress_reads(address: Any, length: int) -> None:
    found = hosts.network_of(f" {address}/{length} ")
    try:
        network = ipaddress.ip_network(f"{address}/{length}", strict=False)
    except ValueError:
        assert found is None
        return
    prefix = int(network.network_address) >> 32
    if network.version == 6 and length >= 96 and prefix in (0xFFFF, 0x64FF9B << 64):
        inner = ipaddress.IPv4Address(int(network.network_address) & 0xFFFFFFFF)
        assert found == ipaddress.ip_network(f"{inner}/{length - 96}")
    else:
        assert found == network


@given(st.text(alphabet="0123456789abcdefx:./% ٣", max_size=24))
def test_no_other_text_is_a_network(text: str) -> None:
    found = hosts.network_of(text)
    if found is not None:
        plain = ipaddress.ip_network(text.strip(), strict=False)
        assert found == plain or (plain.version == 6 and found.version == 4)


# Hosts: labels compared one by one

ZONE = Zone.model_validate(
    {
        "name": "z",
        "countries": ["FR"],
        "eea": "required",
        "registries": ["registry.example", "mirror.example:5000/llm"],
        "hosts": ["registry.example", "*.hospital.example", "strasse.example", "xn--bcher-kva.example"],
        "networks": ["10.20.0.0/16", "fd12::/32"],
    }
)
_LABELS = st.sampled_from(
    [
        *(
            "registry",
            "example",
            "hospital",
            "www",
            "evil",
            "com",
            "xregistry",
            "hospital-x",
            "a",
            "svc",
            "local",
        )
    ]
)
_NAMES = st.lists(_LABELS, min_size=2, max_size=5).map(".".join)


def _is_declared(name: str) -> bool:
    labels = name.lower().split(".")
    for entry in ZONE.hosts:
        own = entry.removeprefix("*.").split(".")
        if entry.startswith("*."):
            if len(labels) > len(own) and labels[-len(own) :] == own:
                return True
        elif labels == own:
            return True
    return False


_SPELLINGS = st.tuples(
    st.sampled_from(["", "https://", "HTTP://", "//", "grpc+tls://"]),
    st.sampled_from(["", "user@", "user:secret@", "registry.example@", "a%40registry.example@", "a@b@"]),
    st.sampled_from(["", ".", ":443", ".:8443", ":"]),
    st.sampled_from(["", "/", "/registry.example", "?x=@registry.example", "#@registry.example", "/a:b@c"]),
    st.booleans(),
)


@given(_NAMES, _SPELLINGS)
def test_a_host_is_one_in_every_spelling(name: str, spelling: tuple[str, str, str, str, bool]) -> None:
    scheme, user, port, path, upper = spelling
    assume(scheme or not port.endswith(":"))
    text = f"{scheme}{user}{name.upper() if upper else name}{port}{path}"
    assert hosts.host_of(text) == name
    assert hosts.declared(name, ZONE) == _is_declared(name)


@given(_NAMES, _SPELLINGS)
def test_a_host_is_the_one_that_urllib_reads(name: str, spelling: tuple[str, str, str, str, bool]) -> None:
    _, user, port, path, upper = spelling
    url = f"https://{user}{name.upper() if upper else name}{port}{path}"
    assert hosts.host_of(url) == (urlsplit(url).hostname or "").removesuffix(".")


@given(st.text(alphabet="reg.istry-xample/\\@:#?%[]aA0 \t。ßé\u200d", max_size=30))
def test_what_counts_as_declared_is_spelled_so(text: str) -> None:
    """Whatever the text, the host read from it is a name of whole labels, and declared only if listed."""
    host = hosts.host_of(text)
    if host is None:
        return
    assert host == hosts.normalise(host), "one spelling"
    assert host == host.lower()
    assert host.isascii()
    if hosts.address_of(host) is None:
        assert hosts.declared(host, ZONE) == _is_declared(host)


@pytest.mark.parametrize(
    "text",
    [
        "registry.example.evil",
        "registry.example.evil.",
        "registry-example.com",
        "xregistry.example",
        "https://registry.example@evil.com/",
        "https://evil.com#registry.example",
        "evil.com/registry.example",
        "https://evil.com\\@registry.example",
        "https:\\\\evil.com\\registry.example",
        "registry.example%2eevil.com",
        "hospital.example",
        "xhospital.example",
        "hospital.example.evil.com",
        "*.hospital.example",
        # letters that IDNA 2003 and 2008 read differently, and letters that only look like others
        "straße.example",
        "reg\u200distry.example",
        "regıstry.example",
        "rеgistry.example",
        "registry.example\x00.evil.com",
        "registry.example\n.evil.com",
        "registry..example",
        ".registry.example",
    ],
)
def test_look_alikes_are_outside(text: str) -> None:
    host = hosts.host_of(text)
    assert host is None or not hosts.inside(host, ZONE), host


@pytest.mark.parametrize(
    "text", ["bücher.example", "BÜCHER.example", "bu\u0308cher.example", "xn--bcher-kva。example"]
)
def test_one_name_in_every_spelling_of_unicode(text: str) -> None:
    assert hosts.host_of(text) == "xn--bcher-kva.example"
    assert hosts.inside(text, ZONE)


@given(st.ip_addresses())
def test_an_address_is_inside_by_network_alone(address: Any) -> None:
    bracketed = f"https://[{address}]:443/" if address.version == 6 else f"https://{address}:443/"
    host = hosts.host_of(bracketed)
    assert host is not None
    read = ipaddress.ip_address(host)
    inside = any(read in ipaddress.ip_network(one) for one in ZONE.networks)
    assert hosts.declared(host, ZONE) == inside
    if hosts.inside(host, ZONE) and not inside:
        assert not read.is_global


# Images: the grammar of github.com/distribution/reference (regexp.go, normalize.go), written out

_PART = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_PART}(?:\.{_PART})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<name>{_DOMAIN}/{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>[0-9A-Za-z_][0-9A-Za-z_.-]{0,127}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}))?"
)


def _reference(text: str) -> tuple[str, str, str | None, str | None] | None:
    first, slash, rest = text.partition("/")
    local = not slash or (not re.search("[.:]", first) and first != "localhost" and first.lower() == first)
    domain, rest = ("docker.io", text) if local else (first, rest)
    domain = "docker.io" if domain == "index.docker.io" else domain
    if domain == "docker.io" and "/" not in rest.partition("@")[0].partition(":")[0]:
        rest = f"library/{rest}"
    found = _REFERENCE.fullmatch(f"{domain}/{rest}")
    if found is None:
        return None
    path = found["name"].removeprefix(f"{domain}/")
    return domain.lower(), path, found["tag"], found["digest"]


_DIGEST = "sha256:" + "0a" * 32
_IMAGES = st.lists(
    st.sampled_from(
        [
            *("registry", "example", "localhost", "docker.io", "index.docker.io", "llm", "nginx", "Registry"),
            *(
                "/",
                "/",
                ".",
                ":",
                "@",
                "-",
                "__",
                "_",
                "5000",
                "v1.2",
                "latest",
                "V",
                "[fd00::1]",
                "//",
                " ",
                "~",
            ),
            *(f"@{_DIGEST}", "@sha256:0a", "@sha512:" + "0b" * 64, "@md5:" + "0" * 32, "registry.example/"),
        ]
    ),
    max_size=8,
).map("".join)


@given(_IMAGES)
@settings(max_examples=500)
def test_an_image_is_read_as_the_distribution_project_reads_it(text: str) -> None:
    found, known = images.parse(text), _reference(text)
    assert (found and (found.host, found.path, found.tag, found.digest)) == known


@given(_IMAGES)
@settings(max_examples=300)
def test_an_image_is_allowed_by_whole_segments(text: str) -> None:
    image = images.parse(text)
    if image is not None:
        whole = f"{image.host}/{image.path}/"
        assert images.allowed(image, ZONE) == whole.startswith(
            ("registry.example/", "mirror.example:5000/llm/")
        )


# What isn't known

_VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.sampled_from([UNKNOWN, MASKED])
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=12,
)


def _read_all(node: Node, markers: set[str]) -> Iterator[object]:
    """All that can be read below a node; the paths of markers go into `markers`."""
    if node.value is UNKNOWN or node.value is MASKED:
        markers.add(node.path)
    yield from (node.text(), node.flag(), node.number(), *node.texts())
    yield node["a"].text()
    for inner in node.each():
        yield from _read_all(inner, markers)
    for _, inner in node.members():
        yield from _read_all(inner, markers)


@given(_VALUES)
def test_a_node_never_gives_a_marker_out(value: object) -> None:
    touched: dict[str, Touch] = {}
    markers: set[str] = set()
    for read in _read_all(Node(value, "", touched), markers):
        assert read is None or isinstance(read, str | bool | int | float)
    assert markers == {path for path, touch in touched.items() if touch.reason in ("unknown", "masked")}
