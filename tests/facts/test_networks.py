"""Sets of addresses: subtraction, both families, mapped addresses."""

import pytest

from facts.networks import NetworkSet, parse


def minus(left: list[str], right: list[str]) -> str:
    return str(NetworkSet.of(left) - NetworkSet.of(right))


@pytest.mark.parametrize(
    ("left", "right", "rest"),
    [
        (["10.0.0.0/8"], ["10.0.0.0/8"], "nothing"),
        (["10.1.0.0/16"], ["10.0.0.0/8"], "nothing"),
        (["10.0.0.0/8"], ["10.0.0.0/9"], "10.128.0.0/9"),
        (["0.0.0.0/1", "128.0.0.0/1"], ["0.0.0.0/0"], "nothing"),
        (["10.0.0.0/8"], ["fd00::/8"], "10.0.0.0/8"),
        (["fd00::/8"], ["fd00::/9"], "fd80::/9"),
        (["::/0"], ["0.0.0.0/0"], "::/0"),
        (["::ffff:10.0.0.1"], ["10.0.0.0/8"], "nothing"),
        (["::ffff:10.0.0.0/104"], ["10.0.0.0/8"], "nothing"),
        (["::ffff:8.8.8.8"], ["fd00::/8"], "8.8.8.8/32"),
        ([], ["10.0.0.0/8"], "nothing"),
    ],
)
def test_subtraction(left: list[str], right: list[str], rest: str) -> None:
    assert minus(left, right) == rest


def test_two_halves_cover_the_whole() -> None:
    assert NetworkSet.of(["10.0.0.0/9", "10.128.0.0/9"]).covers(NetworkSet.of(["10.0.0.0/8"]))
    assert not NetworkSet.of(["10.0.0.0/9"]).covers(NetworkSet.of(["10.0.0.0/8"]))


@pytest.mark.parametrize("text", ["", "10.0.0.1/8", "10.0.0.0/33", "example.org", "10.0.0", "0x0a000001"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text)
