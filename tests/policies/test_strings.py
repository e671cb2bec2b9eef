"""What is packed in a string is read: base64, gzip, MIME and the bytes of YAML; and never without bounds."""

import base64
import gzip

import pytest

from policies.walkers import strings
from policies.walkers.strings import TooMuch, leaves, packed

SCRIPT = "#!/bin/sh\ncurl https://get.example.com/agent | sh\n"


def _base64(data: str | bytes) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def _texts(value: str) -> list[tuple[str, object]]:
    return [(leaf.path, leaf.value) for leaf in leaves({"userData": value})]


@pytest.mark.parametrize(
    "value",
    [
        _base64(SCRIPT),
        base64.encodebytes((SCRIPT * 4).encode()).decode(),
        _base64(gzip.compress(SCRIPT.encode())),
        _base64(_base64(gzip.compress(SCRIPT.encode()))),
    ],
    ids=["base64", "in lines", "gzip", "twice"],
)
def test_what_is_packed_is_read(value: str) -> None:
    [(path, text)] = _texts(value)
    assert path == "userData"
    assert str(text).startswith(SCRIPT)


def test_every_member_of_gzip_is_read() -> None:
    members = gzip.compress(b"#!/bin/sh\n") + gzip.compress(b"curl https://get.example.com\n")
    assert _texts(_base64(members)) == [("userData", "#!/bin/sh\ncurl https://get.example.com\n")]


def test_the_parts_of_a_message_are_read() -> None:
    latin = "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n" + _base64(
        "é\n".encode("latin-1")
    )
    message = (
        'content-type: MULTIPART/mixed; boundary="//"\nMIME-Version: 1.0\n\n'
        "--//\nContent-Type: text/cloud-config\n\nntp:\n  servers: [ntp.example.com]\n\n"
        f"--//\n{latin}\n\n--//--\n"
    )
    assert _texts(message) == [("userData.ntp.servers[0]", "ntp.example.com"), ("userData#1", "é\n")]


def test_bytes_of_yaml_are_read() -> None:
    bad = _base64(bytes(range(128, 160)))
    text = f"files:\n  - content: !!binary {_base64(SCRIPT)}\n    data: !!binary {bad}\n"
    assert _texts(text) == [("userData.files[0].content", SCRIPT)]


@pytest.mark.parametrize(
    "value", ["plain text", "a: b", "Content-Type: text/plain\n\nmultipart/mixed", "9f86d081884c7d65"]
)
def test_what_is_not_packed_is_read_as_it_is(value: str) -> None:
    assert _texts(value) == [("userData", value)]
    assert not packed(value)


@pytest.mark.parametrize(
    "data", [bytes(range(128, 228)), gzip.compress(b"x" * 100)[:20] + bytes(10)], ids=["bytes", "cut"]
)
def test_what_is_no_text_stays_packed(data: bytes) -> None:
    assert _texts(_base64(data)) == [("userData", _base64(data))]
    assert packed(_base64(data))


def test_a_few_bytes_do_not_become_a_great_many() -> None:
    with pytest.raises(TooMuch):
        leaves({"userData": _base64(gzip.compress(bytes(strings.MAX_PARSED + 1)))})


def test_many_texts_together_are_too_much() -> None:
    one = _base64(gzip.compress(b" " * (strings.MAX_PARSED - 2) + b"\n"))
    with pytest.raises(TooMuch):
        leaves({"userData": [one] * (strings.MAX_TEXT // strings.MAX_PARSED + 2)})
