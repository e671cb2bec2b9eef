"""Hosts in every spelling, brought to one and compared with the zone."""

import pytest

from facts.zones import Zone
from policies.walkers import hosts, images

ZONE = Zone.model_validate(
    {
        "name": "z",
        "countries": ["FR"],
        "eea": "required",
        "registries": ["registry.example", "r2.example:5000/team"],
        "hosts": ["a.example", "*.b.example", "bücher.example"],
        "networks": ["10.0.0.0/8", "fd00::/8"],
    }
)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("https://u:p@A.Example.:443/x?y#z", "a.example"),
        ("a.example:8443", "a.example"),
        ("//a.example/x", "a.example"),
        ("134744072", "8.8.8.8"),
        ("http://0x08.0x08.0x08.0x08/", "8.8.8.8"),
        ("http://0x0a000001", "10.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("[::ffff:8.8.8.8]:80", "8.8.8.8"),
        ("http://[64:ff9b::808:808]/", "8.8.8.8"),
        ("[fe80::1%25eth0]:80", "fe80::1"),
        ("http://evil.example\\@a.example/", "evil.example"),
        ("http://a.example@evil.example/", "evil.example"),
        ("https://böse.example/", "xn--bse-sna.example"),
        ("", None),
        ("http:///path", None),
        ("http://ex ample/", None),
    ],
)
def test_one_spelling(text: str, host: str | None) -> None:
    assert hosts.host_of(text) == host


@pytest.mark.parametrize(
    "host",
    [
        *("a.example", "A.EXAMPLE.", "x.b.example", "x.y.b.example", "xn--bcher-kva.example"),
        *("vllm-server", "a.b.svc", "a.b.svc.cluster.local", "localhost"),
        *("10.1.2.3", "fd00::1", "127.0.0.1", "::1", "169.254.169.123", "0.0.0.0"),
    ],
)
def test_inside(host: str) -> None:
    assert hosts.inside(host, ZONE)


@pytest.mark.parametrize(
    "host",
    [
        *("b.example", "notb.example", "a.example.evil", "xa.example", "svc.evil", "a.svc.evil.example"),
        *("8.8.8.8", "134744072", "2001:db8::1", "11.0.0.1", "012.0.0.1", "08.8.8.8", "999.1.1.1"),
        *("a..example", "-a.example", ""),
    ],
)
def test_outside(host: str) -> None:
    assert not hosts.inside(host, ZONE)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "vllm-server", "a.b.svc", "169.254.1.1"])
def test_what_is_local_is_not_declared(host: str) -> None:
    assert not hosts.declared(host, ZONE)


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("64:ff9b::/96", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("010.0.0.0/8", "None"),
        ("10.0.0.0", "None"),
        ("10.0.0.0/33", "None"),
    ],
)
def test_networks(text: str, network: str) -> None:
    assert str(hosts.network_of(text)) == network


DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "image", "allowed"),
    [
        ("nginx", "docker.io/library/nginx", False),
        ("user/app:1", "docker.io/user/app:1", False),
        ("index.docker.io/nginx", "docker.io/library/nginx", False),
        (f"registry.example/app@{DIGEST}", f"registry.example/app@{DIGEST}", True),
        (f"registry.example/a/b:1@{DIGEST}", f"registry.example/a/b:1@{DIGEST}", True),
        ("Registry.Example/app", "registry.example/app", True),
        ("registry.example.evil/app", "registry.example.evil/app", False),
        ("registry.example:443/app", "registry.example:443/app", False),
        ("r2.example:5000/team/app", "r2.example:5000/team/app", True),
        ("r2.example:5000/teams/app", "r2.example:5000/teams/app", False),
        ("r2.example/team/app", "r2.example/team/app", False),
        ("localhost/app", "localhost/app", False),
    ],
)
def test_images(text: str, image: str, allowed: bool) -> None:
    parsed = images.parse(text)
    assert parsed is not None
    assert (str(parsed), images.allowed(parsed, ZONE)) == (image, allowed)


@pytest.mark.parametrize("text", ["", "https://a/b", "a@sha256:12", "a b", "a//b", "../a", "a:", "A", "a/B"])
def test_what_is_no_image(text: str) -> None:
    assert images.parse(text) is None
