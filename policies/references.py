"""References among resources of a plan: which one a name, an ARN or an id means, and where that one lies.

A name that means nothing in the plan can't be placed, so it is undecided. Where a value isn't known yet,
dependencies may decide only for a scalar property that is computed from one resource alone.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from facts.sentinels import LENGTH
from facts.zones import Zone
from policies.documents import Unparsable, of_json
from policies.model import UNKNOWN, Node, Plan, Resource
from policies.rule import Hit, Subject
from policies.walkers import places

#: service, region, account, resource (docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html)
_ARN = re.compile(r"arn:(aws[a-z-]*):([a-z0-9-]*):([a-z0-9-]*):(\d{12}|aws)?:(.*)", re.DOTALL)
#: a sentinel stands alone, after the words of an id (`vpc-`, `core-network-`, `AWSServiceRoleFor-`), or as such
#: a part of an ARN
_MARK = re.compile(rf"(?:^|[:/])(?:[A-Za-z][A-Za-z0-9]*-){{0,4}}(0[0-9a-f]{{{LENGTH - 1}}})(?![0-9a-z.-])")
#: ids that AWS makes up when it makes a thing: of EC2, of KMS, of a policy of an organization
_ID = re.compile(
    r"[a-z]+(?:-[a-z]+)*-[0-9a-f]{8}(?:[0-9a-f]{9})?|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|p-[0-9a-z]{8,128}"
)
_PARTITIONS = {"aws": "aws", "aws-eusc": "aws-eusc"}


@dataclass(frozen=True)
class Arn:
    partition: str
    service: str
    region: str
    account: str
    resource: str

    @property
    def provider(self) -> str:
        """The provider as facts/regions.yaml names it; the partition itself where none has it."""
        return _PARTITIONS.get(self.partition, self.partition)


@dataclass(frozen=True)
class Place:
    """Where a resource lies, as far as the plan says. None: it doesn't say."""

    provider: str
    region: str | None
    account: str | None


@lru_cache(maxsize=8192)
def arn(text: str) -> Arn | None:
    """A text that is one whole ARN, taken apart."""
    found = _ARN.fullmatch(text.strip())
    return Arn(*(part or "" for part in found.groups())) if found else None


def place(resource: Resource, plan: Plan) -> Place:
    """Where a resource lies: its own `region`, else that of its provider; the one account of its provider."""
    provider = provider_of(resource, plan)
    inputs: Mapping[str, object] = provider.inputs if provider is not None else {}
    region = resource.inputs.get("region", inputs.get("region"))
    allowed = inputs.get("allowedAccountIds")
    allowed = _parsed(allowed) if isinstance(allowed, str) else allowed
    account = allowed[0] if isinstance(allowed, list) and len(allowed) == 1 else None
    code = region if isinstance(region, str) else None
    return Place(
        "aws-eusc" if code is not None and code.startswith("eusc-") else resource.package,
        code,
        account if isinstance(account, str) else None,
    )


@lru_cache(maxsize=256)
def _parsed(text: str) -> Any:
    """A list that an SDK hands its provider as JSON text."""
    try:
        return of_json(text)[0]
    except (Unparsable, IndexError):
        return None


def provider_of(resource: Resource, plan: Plan) -> Resource | None:
    """The provider that will make a resource; None where the plan doesn't hold it."""
    return plan.by_urn.get(resource.provider.rpartition("::")[0])


def resolve(subject: Subject, node: Node) -> Resource | None:
    """The resource of the same plan that a value means: by a sentinel in it, by the name or ARN that it is,
    or, where it isn't known yet or is an id that AWS made up, by the one resource that its top-level property
    is computed from."""
    if node.value is UNKNOWN:
        return _source(subject, node)
    if not isinstance(node.value, str):
        return None
    for mark in _MARK.findall(node.value):
        if mark in subject.plan.by_mark:
            return subject.plan.by_mark[mark]
    parts = arn(node.value)
    name = parts.resource if parts else node.value
    service = parts.service if parts else None
    # of an object's ARN the first part is the bucket; of most others the last part is the name
    first, last = re.split(r"[:/]", name)[0], re.split(r"[:/]", name)[-1]
    for candidate in (name, first) if service == "s3" else (name, last, first):
        found = [one for one in subject.plan.by_name.get(candidate, ()) if service in (None, service_of(one))]
        if len(found) == 1:
            return found[0]
    return _source(subject, node) if _ID.fullmatch(node.value) else None


def _source(subject: Subject, node: Node) -> Resource | None:
    """The one resource that a top-level property is computed from."""
    scalar = not re.search(r"[.\[]", node.path)
    sources = subject.resource.dependencies.get(node.path, ()) if subject.resource and scalar else ()
    return subject.plan.by_urn.get(sources[0]) if len(sources) == 1 else None


def service_of(resource: Resource) -> str:
    """The service of a type token: `s3` of `aws:s3/bucket:Bucket`."""
    return resource.type.partition(":")[2].partition("/")[0].partition(":")[0]


def judge(subject: Subject, node: Node, zone: Zone, *, what: str, route: str | None = None) -> Iterator[Hit]:
    """Findings where what `node` means lies outside the zone, or can't be placed; `what` goes there ("copies
    of objects")."""
    if node.absent:
        return
    target = resolve(subject, node)
    if target is None and node.value is UNKNOWN:
        node.text()  # remembered as not known
        return
    text = node.text()
    if text is None and target is None:
        return
    parts = arn(text) if text is not None else None
    where = _stated(parts) if parts is not None and parts.region else None
    if target is not None:
        where = _joined(place(target, subject.plan), where)
    if where is None or where.region is None:
        yield subject.undecided(
            node,
            seen="a name that nothing in the plan bears" if target is None else "no region",
            why=f"{what} go there, and where that is can't be told",
            route=route,
        )
        return
    outside = places.judge_region(where.region, (where.provider,), zone)
    if outside:
        yield subject.refuse(
            node, seen=where.region, why=f"{what} go to a region that {outside}", route=route
        )
    account = (parts.account if parts and parts.account else None) or where.account
    if account and account != "aws" and not zone.allows_account(where.provider, account):
        yield subject.refuse(
            node,
            seen=f"account {account}",
            why=f"{what} go to an account that zone {zone.name} does not name",
            route=route,
        )


def judge_account(
    subject: Subject, node: Node, zone: Zone, *, what: str, route: str | None = None
) -> Iterator[Hit]:
    """Findings where an account id, or the account of an ARN, is none of the zone's."""
    text = node.text()
    if text is None:
        return
    parts = arn(text)
    account = parts.account if parts else text
    provider = parts.provider if parts else "aws"
    partitions = [provider] if parts else list(_PARTITIONS.values())
    if not re.fullmatch(r"\d{12}", account):
        yield subject.undecided(
            node, seen="no account", why=f"{what}: whose it is can't be told", route=route
        )
    elif not any(zone.allows_account(one, account) for one in partitions):
        yield subject.refuse(
            node, seen=f"account {account}", why=f"{what}: zone {zone.name} does not name it", route=route
        )


def _stated(parts: Arn) -> Place:
    return Place(parts.provider, parts.region, parts.account or None)


def _joined(known: Place, stated: Place | None) -> Place:
    """A resource's own place; what an ARN says besides counts where the plan doesn't say."""
    if stated is None:
        return known
    return Place(stated.provider, stated.region or known.region, stated.account or known.account)
