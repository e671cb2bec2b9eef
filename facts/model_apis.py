"""How gateways and clients of language models write where they send prompts to. Data in model_apis.yaml."""

from functools import cache
from pathlib import Path

from facts.reading import read
from facts.words import plain


@cache
def words(key: str) -> frozenset[str]:
    """The words that model_apis.yaml lists under a key, each in its plain spelling."""
    return frozenset(plain(word) for word in listed(key))


@cache
def listed(key: str) -> tuple[str, ...]:
    """The words that model_apis.yaml lists under a key, as they are written."""
    data = read(Path(__file__).with_name("model_apis.yaml"))
    return tuple(data[key])
