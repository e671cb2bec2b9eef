"""Rules that differ only in type and property, as data: `policies/rules/*.yaml`, or `rules/*.yaml` of a site.

    - id: s3.acceleration
      title: Objects may not go through edge locations
      routes: [A22]
      controls: [HDS EXI 28, GDPR 44-46]
      pack: residency
      severity: high
      fix: Remove the acceleration, or suspend it.
      what: Acceleration takes objects in at edge locations all over the world.      # for `policy explain`
      types: [aws:s3/bucketAccelerateConfiguration:BucketAccelerateConfiguration]
      checks:
        - at: status                   # a path: `rules[].destination.bucket`, `tags.*`; left out: the whole
          is: [Suspended]
          why: objects travel through edge locations outside the zone

A check says what must hold `at` each place that its path leads to:

| key | it holds where |
|---|---|
| `never: true` | there is nothing there (without `at`: there is no such resource) |
| `given: true` | there is something there, and no empty list |
| `is: [...]` | it is one of these; nothing there fails, unless `absent: pass` |
| `isnt: [...]` | it is none of these; nothing there passes, unless `absent: refuse` |
| `matches: regex` | the whole text matches; nothing there fails, unless `absent: pass` |
| `region: true` | it is a region of the zone |
| `account: true` | it is an account of the zone, or an ARN of one |
| `networks: true` | its addresses are the zone's (CIDR, v4 or v6) |
| `host: true` | it is a host, or a URL of one, of the zone |
| `place: true` | it names something that lies in the zone: an ARN, or a resource of the plan |

`when: {at: ..., is: [...]}` limits a check to resources where that holds. `why` is said of what is found;
`route` and `fix` replace the rule's.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from facts.networks import NetworkSet
from facts.zones import Zone
from policies import references
from policies.documents import of_yaml
from policies.model import Node
from policies.rule import Hit, Judge, Pack, Severity, Subject, rule
from policies.walkers import hosts, places

Scalar = str | bool | int | float


class TableError(ValueError):
    """A table of rules that can't be used; the message says which file, which rule and what is wrong."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class When(_Part):
    """Where a check applies: all of the places have one of the values (`is`), or are there (`given`)."""

    at: str
    is_: Annotated[tuple[Scalar, ...], Field(alias="is")] = ()
    isnt: tuple[Scalar, ...] = ()
    given: bool | None = None


class Check(_Part):
    """One thing that must hold; see the head of this file."""

    at: str = ""
    why: Annotated[str, Field(min_length=5)]
    never: Literal[True] | None = None
    given: Literal[True] | None = None
    is_: Annotated[tuple[Scalar, ...] | None, Field(alias="is")] = None
    isnt: tuple[Scalar, ...] | None = None
    matches: str | None = None
    region: Literal[True] | None = None
    account: Literal[True] | None = None
    networks: Literal[True] | None = None
    host: Literal[True] | None = None
    place: Literal[True] | None = None
    absent: Literal["pass", "refuse"] | None = None
    when: When | None = None
    route: str | None = None
    fix: str | None = None

    @model_validator(mode="after")
    def _one_demand(self) -> "Check":
        asked = [name for name in _DEMANDS if getattr(self, name) is not None]
        if len(asked) != 1:
            raise ValueError("a check asks for exactly one of " + ", ".join(_DEMANDS).replace("is_", "is"))
        return self


_DEMANDS = (
    *("never", "given", "is_", "isnt", "matches"),
    *("region", "account", "networks", "host", "place"),
)


class Row(_Part):
    """One rule of a table."""

    id: str
    title: str
    what: Annotated[str, Field(min_length=20)]
    routes: Annotated[tuple[str, ...], Field(min_length=1)]
    controls: tuple[str, ...]
    fix: str
    pack: Pack
    severity: Severity = "high"
    types: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    checks: Annotated[tuple[Check, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _of_something(self) -> "Row":
        if not (self.types or self.kinds):
            raise ValueError("a rule names types or kinds")
        return self


def register(file: Path) -> None:
    """Registers each rule of a table. Raises TableError."""
    try:
        [rows] = of_yaml(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TableError(f"{file} can't be read as a list of rules: {error}.") from None
    for number, data in enumerate(rows if isinstance(rows, list) else [rows], 1):
        name = data.get("id") if isinstance(data, Mapping) else None
        try:
            row = Row.model_validate(data)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            key = ".".join(str(part) for part in first["loc"]) or "the whole"
            raise TableError(f"{file}: rule {name or number}: {key}: {first['msg']}.") from None
        make(row)


def make(row: Row) -> None:
    """Registers a row as a rule. Raises ValueError for an id that is taken or malformed."""
    rule(
        row.id,
        title=row.title,
        routes=row.routes,
        controls=row.controls,
        fix=row.fix,
        pack=row.pack,
        severity=row.severity,
        types=row.types,
        kinds=row.kinds,
    )(_judge(row))


def _judge(row: Row) -> Judge:
    def judge(subject: Subject, zone: Zone) -> Iterator[Hit]:
        for check in row.checks:
            if check.when is None or _applies(subject, check.when):
                for node in reach(subject.inputs, check.at):
                    yield from _held(subject, node, check, zone)

    judge.__doc__ = row.what
    return judge


def reach(node: Node, path: str) -> Iterator[Node]:
    """The places that a path leads to: `a.b`, `a[].b` for each item, `a.*` for each member. A list or mapping
    that isn't there is no place; a key that isn't there is one, of nothing."""
    if not path:
        yield node
        return
    head, _, rest = path.partition(".")
    if head == "*":
        for _, member in node.members():
            yield from reach(member, rest)
        return
    key, each, _ = head.partition("[]")
    inner = node[key]
    for one in inner.each() if each else (inner,):
        yield from reach(one, rest)


def _applies(subject: Subject, when: When) -> bool:
    found = list(reach(subject.inputs, when.at))
    if when.given is not None:
        return when.given == any(not node.absent for node in found)
    if when.is_:
        return any(_plain(node) in when.is_ for node in found)
    return all(_plain(node) not in when.isnt for node in found)


def _held(subject: Subject, node: Node, check: Check, zone: Zone) -> Iterator[Hit]:
    def refuse(seen: str, why: str = "") -> Hit:
        return subject.refuse(node, seen=seen, why=why or check.why, route=check.route, fix=check.fix)

    if check.never:
        if not check.at:
            assert subject.resource is not None
            yield refuse(subject.resource.kind or subject.resource.type)
        elif not node.absent and not node.opaque:
            yield refuse(_name(check.at))
        return
    if node.absent or (check.given and node.value == []):
        strict = check.given or check.is_ is not None or check.matches is not None
        if check.absent == "refuse" or (strict and check.absent is None):
            yield refuse(f"no {_name(check.at)}")
        return
    if check.given:
        node.opaque  # noqa: B018 - what isn't known yet is remembered
    elif check.is_ is not None or check.isnt is not None:
        value = _plain(node)
        if value is None:
            return
        if (check.is_ is not None and value not in check.is_) or (
            check.isnt is not None and value in check.isnt
        ):
            yield refuse(f"{_name(check.at)} {_shown(value, check)}")
    elif check.matches is not None:
        text = node.text()
        if text is not None and not re.fullmatch(check.matches, text):
            yield refuse(f"another {_name(check.at)}")
    elif check.place:
        yield from references.judge(subject, node, zone, what=check.why, route=check.route)
    elif check.account:
        yield from references.judge_account(subject, node, zone, what=check.why, route=check.route)
    else:
        text = node.text()
        if text is not None:
            yield from (refuse(*outside) for outside in _outside(subject, text, check, zone))


def _outside(subject: Subject, text: str, check: Check, zone: Zone) -> Iterator[tuple[str, str]]:
    """What a text shows of itself and why, where it is outside the zone."""
    assert subject.resource is not None
    if check.region:
        why = places.judge_region(text, places.providers_of(subject.resource.package), zone)
        if why:
            yield text, f"{check.why}: it {why}"
    elif check.networks:
        network = hosts.network_of(text) or hosts.network_of(f"{text}/{128 if ':' in text else 32}")
        if network is None:
            yield "a CIDR that can't be read", check.why
        elif rest := NetworkSet((network,)) - zone.network_set:
            yield text, f"{check.why}: {rest.blocks[0]} is outside zone {zone.name}"
    elif check.host:
        host = hosts.host_of(text)
        if host is None or not hosts.inside(host, zone):
            yield host or "no readable host", f"{check.why}, outside zone {zone.name}"


def _plain(node: Node) -> Any:
    """A scalar; None where there is none or it can't be read (which is remembered)."""
    if isinstance(node.value, bool):
        return node.flag()
    if isinstance(node.value, int | float):
        return node.number()
    return node.text()


def _name(path: str) -> str:
    return path.rpartition(".")[2].removesuffix("[]") or "value"


def _shown(value: Scalar, check: Check) -> str:
    """A value that the table itself lists, a switch or a number may be shown; other text may not."""
    listed = (*(check.is_ or ()), *(check.isnt or ()))
    return (
        str(value) if value in listed or not isinstance(value, str) or len(value) < 24 else "of another kind"
    )
