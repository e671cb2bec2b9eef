"""What the name of a key says of the value beside it: a destination, a place, a denial, prose, an identity.

The words are data, in words.yaml.
"""

import re
from functools import lru_cache
from pathlib import Path

from policies.documents import of_yaml

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")

[_WORDS] = of_yaml(Path(__file__).with_name("words.yaml").read_text(encoding="utf-8"))
_DESTINATION = frozenset(_WORDS["destination"])
_NOT_A_DESTINATION = frozenset(_WORDS["not_a_destination"])
_PLACE = frozenset(_WORDS["place"])
_SUBPLACE = frozenset(_WORDS["subplace"])
_PROSE = frozenset(_WORDS["prose"])
_LINK = frozenset(_WORDS["link"])
_VERSION = frozenset(_WORDS["version"])
_SOURCE = frozenset(_WORDS["source"])

#: Pairs of words that name who one is or whom one admits, not where one goes.
_IDENTITY = re.compile(
    r"(server|dns|common|tls|sni|cluster|peer|target|issuer|backend|repo|repository) names?$"
    r"|^allowed |^allow |^trusted |cors|^audiences?$|^aud$|^realm$"
)
_AUDIENCE = re.compile(r"^audiences?$|^aud$|cors|^allow(ed)? origins?$|^trust domain$")
_DENIAL = re.compile(
    r"\bno proxy\b|\bden(y|ied|ies)\b|\b(black|block|deny)list\b|\bexcept\b|\bblocked\b|\bdisallow"
)


@lru_cache(maxsize=16384)
def words(key: str) -> tuple[str, ...]:
    """The words of a key: `otlpEndpoint`, `OTLP_ENDPOINT`, `--otlp-endpoint` are (otlp, endpoint)."""
    return tuple(word.lower() for word in _WORD.findall(key))


@lru_cache(maxsize=16384)
def is_destination(key: str) -> bool:
    """Whether a bare host beside this key would be connected to."""
    parts = words(key)
    text = " ".join(parts)
    return (
        any(part in _DESTINATION for part in parts)
        and not any(part in _NOT_A_DESTINATION for part in parts[-1:])
        and not _IDENTITY.search(text)
    ) or text == "external name"


@lru_cache(maxsize=16384)
def is_identity(key: str) -> bool:
    """Whether a URL beside this key is a name that nobody calls (an audience, an allowed origin)."""
    text = " ".join(words(key))
    return bool(
        re.search(r"^audiences?$|^aud$|cors|^allowed origins?$|^allow origins?$|^trust domain$", text)
    )


@lru_cache(maxsize=16384)
def is_denial(key: str) -> bool:
    """Whether what is under this key is kept out, so names no destination."""
    return bool(_DENIAL.search(" ".join(words(key))))


@lru_cache(maxsize=16384)
def is_prose(key: str) -> bool:
    """Whether this key holds text for people."""
    parts = words(key)
    return bool(parts) and parts[-1] in _PROSE


@lru_cache(maxsize=16384)
def is_link(key: str) -> bool:
    """Whether this annotation is a link for people."""
    return any(part in _LINK for part in words(key.rpartition("/")[2]))


@lru_cache(maxsize=16384)
def is_version(key: str) -> bool:
    return any(part in _VERSION for part in words(key))


@lru_cache(maxsize=16384)
def is_source(key: str) -> bool:
    """Whether networks beside this key are admitted, rather than gone to."""
    return any(part in _SOURCE for part in words(key))


@lru_cache(maxsize=16384)
def is_place(key: str) -> bool:
    parts = words(key.rpartition("/")[2])
    return bool(parts) and parts[-1] in _PLACE


@lru_cache(maxsize=16384)
def is_subplace(key: str) -> bool:
    parts = words(key.rpartition("/")[2])
    return bool(parts) and parts[-1] in _SUBPLACE


@lru_cache(maxsize=16384)
def is_image(key: str) -> bool:
    parts = words(key)
    return bool(parts) and parts[-1] in ("image", "images")
