"""What AWS itself tells of the parts that a stack only uses: declared by their owners, and here observed.

Each part is read by the calls that its answer names, as resources of a plan, so that the same rules judge it by
the same zone as they judge what a stack makes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from cli.account import Account
from cli.observed import cluster, network, watch
from cli.observed.reader import Part, Reader, provider
from policies.model import Finding, Plan, Resource, StackFacts, UsedPart, Verdict
from policies.rule import Rule

if TYPE_CHECKING:
    from facts.zones import Zone
    from stacks.aws_settings import Aws

SCHEMA = "observed/v1"


@dataclass(frozen=True)
class Observed:
    """One part: who answers for it, and what was seen. `findings` are refused by the zone's rules; of
    `unclear` the part doesn't tell enough, so that the owner's word stays alone."""

    used: UsedPart
    part: Part
    findings: tuple[Finding, ...]
    unclear: tuple[Finding, ...]

    @property
    def differs(self) -> bool:
        return bool(self.part.differs or self.findings)


def observe(
    stack: str,
    given: "Aws",
    zone: "Zone",
    used: tuple[UsedPart, ...],
    account: Account,
    rules: tuple[Rule, ...],
) -> list[Observed]:
    """Reads every used part back and judges it. Raises BadInput, OperationFailed."""
    words = {part.key: part for part in used}
    parts = []
    for key, id, read in _readers(stack, given):
        reader = Reader(account, stack, key, id)
        read(reader)
        parts.append(reader.part)
    return list(_judged(stack, parts, words, zone, account, rules))


def _readers(stack: str, given: "Aws") -> Iterator[tuple[str, str, Callable[[Reader], None]]]:
    """The parts that are used, and how each is read back."""
    from facts import aws
    from stacks.aws_settings import Used, UsedNetwork

    there = given.network if isinstance(given.network, UsedNetwork) else None
    if there is not None:
        yield "aws.network.vpc", there.vpc.id, lambda reader: network.network(reader, there)
    ends = given.endpoints
    if ends is not None and there is not None:
        yield "aws.endpoints.s3", ends.s3.id, lambda reader: network.endpoints(reader, ends, there.vpc.id)
    for use, key in sorted(given.keys.items()):
        yield f"aws.keys.{use}", key.id, lambda reader, arn=key.id: cluster.key(reader, arn)  # type: ignore[misc]
    if given.cluster is not None:
        mine = given.cluster
        yield "aws.cluster.cluster", mine.cluster.id, lambda reader: cluster.cluster(reader, mine)
    bucket = f"{stack}-audit-{given.account}-{given.region}-an"
    watched = aws.region(given.region).partition.arn("s3", bucket)
    once = given.singletons
    singles: tuple[tuple[str, Any, Callable[[Reader], None]], ...] = (
        ("autoscaling", once.autoscaling, lambda reader: watch.autoscaling(reader, reader.part.id)),
        ("defaults", once.defaults, watch.defaults),
        ("detection", once.detection, watch.detection),
        ("inventory", once.inventory, watch.inventory),
        ("trail", once.trail, lambda reader: watch.trail(reader, reader.part.id, watched)),
    )
    for name, part, read in singles:
        if isinstance(part, Used):
            yield f"aws.singletons.{name}", part.id, read
    if isinstance(given.organisation, Used):
        yield "aws.organisation", given.organisation.id, watch.guard


def _judged(
    stack: str,
    parts: list[Part],
    words: dict[str, UsedPart],
    zone: "Zone",
    account: Account,
    rules: tuple[Rule, ...],
) -> Iterator[Observed]:
    """Each part by the rules for single resources, and by those that conclude from an absence where the part
    was read in full; never by its owner's word, which is what is being looked at."""
    from policies.judge import judge

    urn, _, _ = provider(stack).rpartition("::")
    asker = Resource(
        urn,
        "pulumi:providers:aws",
        "account",
        {"region": account.region, "allowedAccountIds": [account.number]},
    )
    seen = [one for part in parts for one in part.resources]
    for part in parts:
        used = words.get(part.key, UsedPart(part.key, ()))
        routes = set() if part.unread else set(used.routes)
        chosen = [rule for rule in rules if rule.scope == "resource" or routes & set(rule.routes)]
        bare = zone.model_copy(
            update={"declared": tuple(one for one in zone.declared if one.route not in used.routes)}
        )
        plan = Plan.of([asker, *seen], StackFacts(stack), at=date.today())
        urns = {one.urn for one in part.resources}
        found = [
            one
            for one in judge(plan, bare, chosen).findings
            if one.urn in urns or (not one.urn and one.route in routes)
        ]
        yield Observed(
            used,
            part,
            tuple(one for one in found if one.verdict is Verdict.REFUSE),
            tuple(one for one in found if one.verdict is not Verdict.REFUSE),
        )
