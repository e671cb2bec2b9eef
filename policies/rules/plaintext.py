"""Secrets and personal data in plain text: state, plans and control planes keep them for all who may look."""

import re
from collections.abc import Iterator
from functools import lru_cache

from facts import tokens
from facts.zones import Zone
from policies.rule import Hit, Subject, rule
from policies.walkers import context
from policies.walkers.strings import Leaf

#: What gives access, by its form: private keys (RFC 7468, PuTTY), ids of AWS access keys, JSON Web Tokens, a
#: password in a URL that is no variable. Tokens of many issuers are in facts/tokens.yaml.
_SECRET = re.compile(
    r"(?P<key>-----BEGIN [A-Z0-9 ]*PRIVATE KEY|PuTTY-User-Key-File)|\b(?P<access>A[KS]IA[A-Z2-7]{16}\b)"
    r"|\b(?P<jwt>eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,})"
    r"|://[^\s/?#@:\"']*:(?P<password>[^\s/?#@\"'$*{<%][^\s/?#@\"']*)@"
)
_WHAT = {
    "key": "a private key",
    "access": "an AWS access key",
    "jwt": "a JSON Web Token",
    "password": "a password in a URL",
}
#: Keys beside which a literal is a password.
_PASSWORD = re.compile(r"(?:.* )?(?:password|passwd|passphrase|pwd)")
#: A reference to where the password is, rather than the password.
_REFERENCE = re.compile(r"[$/<{%*(].*|\w+:.*|true|false|none|null|.*\s.*", re.IGNORECASE | re.DOTALL)

#: A French social security number (INSEE: sex, year, month, department, commune, order, key), a US one.
_NIR = re.compile(
    r"(?<![\w.-])([12])[ .-]?(\d\d)[ .-]?(0[1-9]|1[0-2]|[2-9]\d)[ .-]?(\d\d|2[AB])[ .-]?(\d{3})[ .-]?(\d{3})"
    r"[ .-]?(\d\d)(?![\w-])"
)
_SSN = re.compile(r"(?<![\w.-])(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\w-])")
#: as long as the shorter of the two numbers
_SHORTEST = 11
_EMAIL = re.compile(r"(?<![\w./:@+-])([\w.+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,})(?![\w:@-]|\.\w)")
#: Units of systemd are called name@instance.service; git@host is how git says where.
_NO_MAIL = re.compile(r"git@.*|.*\.(?:service|socket|timer|target|mount|slice|path)")


@rule(
    "plaintext.secrets",
    title="No secret may stand in plain text",
    routes=["P25"],
    controls=["HIPAA 164.312(a)(2)(iv)", "HIPAA 164.312(d)", "GDPR 32", "ISO 27001 A.8.24"],
    fix="Keep it in a Secret or in the stack's encrypted configuration, and replace what has stood here.",
    pack="protection",
    severity="critical",
    types=["*"],
)
def secrets(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """What stands in an input is kept in the state, shown in every plan, and handed to control planes that
    many read. A private key or token there opens what it opens to all of them. What is in a Secret, or
    encrypted by the stack, is where it belongs."""
    for leaf, text in _plain(subject):
        what = _secret(text) or _password(leaf.key, text)
        if what:
            yield subject.refuse(leaf.path, seen=what, why="it stands in plain text")


@rule(
    "plaintext.people",
    title="No personal data in inputs, names and tags",
    routes=["P25"],
    controls=["HDS EXI 28", "HIPAA 164.308(a)(3)", "GDPR 5(1)(c)", "GDPR 9"],
    fix="Name the thing, not the person; who may do what stands in the zone's `people`.",
    pack="protection",
    types=["*"],
)
def people(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Names, tags and settings are no place for patients: they are indexed, logged, and kept in control
    planes that span the world. Numbers of social security and e-mail addresses are told by their form; those
    whom the zone names as people may be named."""
    assert subject.resource is not None
    named = Leaf("", (), subject.resource.name)
    for leaf, text in (*_plain(subject), (named, subject.resource.name)):
        numbers, addresses = _personal(text)
        for what in numbers:
            yield subject.refuse(leaf.path, seen=what, why="it is about a person")
        for address in addresses:
            if zone.person(address) is None:
                yield subject.refuse(leaf.path, seen="an e-mail address", why="it is about a person")


def _plain(subject: Subject) -> Iterator[tuple[Leaf, str]]:
    assert subject.resource is not None
    for leaf in subject.resource.leaves or ():
        if isinstance(leaf.value, str) and not leaf.secret:
            yield leaf, leaf.value


@lru_cache(maxsize=65536)
def _secret(text: str) -> str | None:
    if tokens.pattern().search(text):
        return "a token"
    found = _SECRET.search(text)
    return _WHAT[found.lastgroup or ""] if found else None


def _password(key: str, text: str) -> str | None:
    return "a password" if _names_one(key) and not _REFERENCE.fullmatch(text) else None


@lru_cache(maxsize=16384)
def _names_one(key: str) -> bool:
    return _PASSWORD.fullmatch(" ".join(context.words(key))) is not None


def _personal(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The kinds of numbers of persons in a text, and the e-mail addresses in it."""
    return _numbers_and_addresses(text) if "@" in text or len(text) >= _SHORTEST else ((), ())


@lru_cache(maxsize=65536)
def _numbers_and_addresses(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    numbers = []
    if any(_is_nir("".join(parts)) for parts in _NIR.findall(text)):
        numbers.append("a French social security number")
    if _SSN.search(text):
        numbers.append("a US social security number")
    addresses = _EMAIL.findall(text)
    return tuple(numbers), tuple(one for one in addresses if not _NO_MAIL.fullmatch(one))


def _is_nir(number: str) -> bool:
    """Whether the key at its end is right: 97 less the number before it modulo 97 (Corsica: 2A is 19, 2B is
    18)."""
    digits = number.replace("2A", "19").replace("2B", "18")
    return int(digits[-2:]) == 97 - int(digits[:-2]) % 97
