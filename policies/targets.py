"""Where a setting leads: a host, a URL, or a list of them, judged by the zone."""

import re
from collections.abc import Iterator

from facts.networks import NetworkSet
from facts.zones import Zone
from policies.model import Node
from policies.rule import Hit, Subject
from policies.walkers import hosts

#: Of a pattern of names, what stands for anything.
_ANYTHING = re.compile(r"\*+")
#: What a program or a template puts in place only when it runs: `$HOST`, `{{ .host }}`, `os.environ/HOST`.
_OPEN = re.compile(r"[$`]|\{\{|\bos\.environ/")
#: A socket or a file of the same machine.
_NO_NETWORK = ("unix:", "file:", "/")


def judge(subject: Subject, node: Node, zone: Zone, *, what: str, route: str | None = None) -> Iterator[Hit]:
    """Findings where what stands at `node` leads outside the zone; nothing there leads nowhere. `what` goes
    there: "logs", "prompts"."""
    yield from judge_text(subject, node, node.text() or "", zone, what=what, route=route)


def judge_text(
    subject: Subject, where: Node, text: str, zone: Zone, *, what: str, route: str | None = None
) -> Iterator[Hit]:
    """As `judge`, of a text that was put together from more than one place."""
    if _OPEN.search(text):
        yield subject.undecided(
            where, seen="a value that is put in place later", why=f"where {what} go is not told", route=route
        )
        return
    for one in re.split(r"[\s,;]+", text.strip()):
        host = hosts.host_of(one)
        if one and not one.startswith(_NO_NETWORK) and (host is None or not hosts.inside(host, zone)):
            yield subject.refuse(
                where,
                seen=host or "no readable host",
                why=f"{what} go there, outside zone {zone.name}",
                route=route,
            )


def within(pattern: str, zone: Zone) -> bool:
    """Whether all that a network, a name, or a pattern of names with `*` stands for is inside."""
    network = hosts.network_of(pattern)
    if network is not None:
        return zone.network_set.covers(NetworkSet((network,)))
    host = hosts.host_of(_ANYTHING.sub("x", pattern))
    return bool(pattern.strip("*.")) and host is not None and hosts.inside(host, zone)
