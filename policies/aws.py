"""What several rules about AWS ask of a plan, and the ways in which a resource sends data on."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from facts.zones import Zone
from policies import buckets, references
from policies.documents import Unparsable, of_json
from policies.model import Node, Plan, Resource
from policies.provider_settings import setting
from policies.rule import Hit, Subject
from policies.table import reach
from policies.walkers import hosts, places

#: Domains of AWS's own endpoints: docs.aws.amazon.com/general/latest/gr/rande.html, and those of aws-eusc.
_OWN = (".amazonaws.com", ".amazonaws.eu", ".api.aws", ".api.amazonwebservices.eu")


def used(plan: Plan) -> bool:
    """Whether a plan makes anything at AWS. A store of one's own that speaks S3 is none of AWS: its provider
    names another endpoint for the service."""
    return any(
        resource.package == "aws" and not resource.is_provider and not elsewhere(resource, plan)
        for resource in plan.resources
    )


def elsewhere(resource: Resource, plan: Plan) -> bool:
    """Whether a resource is made at a store of one's own, not at AWS: its provider names that endpoint."""
    provider = references.provider_of(resource, plan)
    if provider is None:
        return False
    service = references.service_of(resource)
    named = (one[service].text() for one in setting(Subject(plan, provider), "endpoints").each())
    found = [host for url in named if url and (host := hosts.host_of(url))]
    return bool(found) and not any(host.endswith(_OWN) for host in found)


def document(node: Node) -> Node:
    """What a text holds as JSON; the node itself where it is no text or holds none."""
    if not isinstance(node.value, str):
        return node
    try:
        [found] = of_json(node.value)
    except (Unparsable, ValueError):
        return node
    return Node(found, node.path, node.touched)


@lru_cache(maxsize=8192)
def matches(pattern: str, text: str) -> bool:
    """Whether a pattern of a policy, with its `*` and `?`, means a text."""
    parts = (".*" if one == "*" else "." if one == "?" else re.escape(one) for one in pattern)
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


class Way(NamedTuple):
    """A way by which data goes on: `at` (a path as in policies/table.py) names a bucket, what an ARN means,
    an account, a region or a host. `what` goes there."""

    at: str
    to: Literal["bucket", "place", "account", "region", "host"]
    what: str


def sent(subject: Subject, zone: Zone, ways: Sequence[Way]) -> Iterator[Hit]:
    """Findings for each way that leads out of the zone, or to where nobody can tell."""
    for way in ways:
        for node in reach(subject.inputs, way.at):
            if way.to == "bucket" or _is_bucket(node):
                yield from buckets.judge(subject, node, zone, what=way.what)
            elif way.to == "place":
                yield from references.judge(subject, node, zone, what=way.what)
            elif way.to == "account":
                yield from references.judge_account(subject, node, zone, what=f"{way.what} go there")
            else:
                yield from _named(subject, node, zone, way)


def _is_bucket(node: Node) -> bool:
    parts = references.arn(node.value) if isinstance(node.value, str) else None
    return parts is not None and parts.service == "s3"


def _named(subject: Subject, node: Node, zone: Zone, way: Way) -> Iterator[Hit]:
    text = node.text()
    if text is None:
        return
    if way.to == "region":
        outside = places.judge_region(text, places.providers_of("aws"), zone)
        if outside:
            yield subject.refuse(node, seen=text, why=f"{way.what} go to a region that {outside}")
        return
    for one in (text,) if "://" in text else text.split(","):
        host = hosts.host_of(one.removeprefix("jdbc:"))
        if host is None or not hosts.inside(host, zone):
            yield subject.refuse(
                node, seen=host or "no readable host", why=f"{way.what} go there, outside zone {zone.name}"
            )
