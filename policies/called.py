"""What something calls, judged by the zone, so that a rule says it in one line."""

import re
from collections.abc import Iterator

from facts.zones import Zone
from policies.model import Node
from policies.rule import Hit, Subject
from policies.walkers import destinations, hosts, places
from policies.walkers.strings import Leaf

#: `git@host:path`, as git and scp write it
_SCP = re.compile(r"[\w.-]+@([\w.-]+):(?!\d+(?:/|$)).*", re.DOTALL)


def host(
    subject: Subject,
    node: Node,
    zone: Zone,
    what: str,
    *,
    absent: str | None = None,
    secret: bool = False,
) -> Iterator[Hit]:
    """Findings where a host, or the host of a URL, is outside the zone. `what`: what is there ("copies are
    kept there"). `absent`: why it can't be judged where nothing is said; None: then nothing is called.
    `secret`: it comes from a Secret, so it isn't shown."""
    if node.absent and absent:
        yield subject.undecided(node, seen="nothing said", why=absent)
    text = node.text()
    if text is None:
        return
    found = _SCP.fullmatch(text.strip())
    name = hosts.host_of(found.group(1) if found else text)
    if name is None or not hosts.inside(name, zone):
        shown = _shown(subject, name or "no readable host", secret)
        yield subject.refuse(node, seen=shown, why=f"{what}, which is outside zone {zone.name}")


def region(
    subject: Subject, node: Node, zone: Zone, provider: str, what: str, *, absent: str
) -> Iterator[Hit]:
    """Findings where a region of a provider is outside the zone. `absent`: why it can't be judged where none
    is said."""
    if node.absent:
        yield subject.undecided(node, seen="no region", why=absent)
    text = node.text()
    outside = places.judge_region(text, places.providers_of(provider), zone) if text is not None else None
    if outside:
        yield subject.refuse(node, seen=str(text), why=f"{what}, and it {outside}")


def settings(subject: Subject, node: Node, zone: Zone, what: str) -> Iterator[Hit]:
    """Findings for each of a mapping's texts that leads outside."""
    for key, value in node.members():
        yield from setting(subject, key, value, zone, what)


def setting(subject: Subject, key: str, value: Node, zone: Zone, what: str) -> Iterator[Hit]:
    """Findings where a setting leads outside: to a host, a network, a region or an ARN, told by its key."""
    text = value.text()
    if text is None:
        return
    leaf = Leaf(value.path, (key,), text)
    if text.startswith("//"):  # `//server/share`, as SMB has it
        yield from host(subject, value, zone, what)
    for escape in destinations.escapes(leaf, text, zone):
        yield subject.refuse(
            value, seen=_shown(subject, escape.seen), why=f"{what}, outside zone {zone.name}"
        )
    for place in (*places.arns(text, zone), *places.named(leaf, text, "", zone)):
        if place.outside:
            yield subject.refuse(value, seen=_shown(subject, place.seen), why=f"{what}: it {place.outside}")


def _shown(subject: Subject, text: str, secret: bool = False) -> str:
    """Nothing of a Secret is shown."""
    hidden = secret or (subject.resource is not None and subject.resource.kind == "core/Secret")
    return "in a Secret, not shown" if hidden else text
