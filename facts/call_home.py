"""Programs that call home unless told not to, services that programs send to, agents that read whole nodes.

Data with sources in call_home.yaml.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from facts.reading import read


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Way(_Part):
    """One way to switch something off: by what is said at one of these names."""

    at: tuple[str, ...]
    says: tuple[str, ...] = ()
    registry: bool = False
    host: bool = False


class Switch(_Part):
    what: str
    ways: tuple[Way, ...]


class Known(_Part):
    """A program that is known by its image: by the last part of its path, by the whole path, or by both."""

    name: str
    image: str | None = None
    path: str | None = None

    def is_image(self, path: str) -> bool:
        """Whether the path of an image (without registry, tag and digest) is this program's."""
        last = path.rpartition("/")[2]
        return (self.image is None or bool(re.fullmatch(rf"(?:.+[-_.])?(?:{self.image})", last))) and (
            self.path is None or bool(re.search(self.path, path))
        )


class Program(Known):
    told: str | None = None
    route: str
    source: str
    switches: tuple[Switch, ...]

    def is_command(self, name: str) -> bool:
        """Whether a command line that starts `name` starts this program."""
        return self.image is not None and bool(re.fullmatch(self.image, name))

    def is_told(self, word: str) -> bool:
        """Whether a variable of this name, or this word of a command line, is for this program."""
        return self.told is not None and bool(re.search(self.told, word))


class Service(_Part):
    name: str
    route: str
    home: str
    marks: tuple[str, ...]
    hosts: tuple[str, ...]
    source: str
    ended_by: dict[str, tuple[str, ...]] = {}


class Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    programs: tuple[Program, ...]
    services: tuple[Service, ...]
    readers: tuple[Known, ...]


@cache
def table() -> Table:
    file = Path(__file__).with_name("call_home.yaml")
    return Table.model_validate(read(file))


@lru_cache(maxsize=4096)
def programs(path: str) -> tuple[Program, ...]:
    """The programs that the path of an image is of."""
    return tuple(one for one in table().programs if one.is_image(path))


@lru_cache(maxsize=4096)
def started(name: str) -> tuple[Program, ...]:
    """The programs that a command line with this first word starts."""
    return tuple(one for one in table().programs if one.is_command(name))


def addressed(word: str) -> Iterator[Program]:
    """The programs for which a variable of this name, or this word of a command line, is."""
    return (one for one in _libraries() if one.is_told(word))


@cache
def _libraries() -> tuple[Program, ...]:
    return tuple(one for one in table().programs if one.told is not None)


def services(variables: Iterable[str]) -> Iterator[Service]:
    """The services of which one of these variables speaks."""
    known = _by_variable()
    yield from {known[name].name: known[name] for name in variables if name in known}.values()


@cache
def _by_variable() -> dict[str, Service]:
    return {name: one for one in table().services for name in (*one.marks, *one.hosts)}


@lru_cache(maxsize=4096)
def reader(path: str) -> Known | None:
    """The agent that the path of an image is of."""
    return next((one for one in table().readers if one.is_image(path)), None)
