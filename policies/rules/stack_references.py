"""References to other stacks: what they read comes from a state that the zone must hold as well."""

from collections.abc import Iterator

from facts.zones import Zone
from policies.model import STACK_REFERENCE
from policies.rule import Hit, Subject, rule

#: The organization of every stack in a bucket or file (pkg/backend/diy, v3.259.0).
_OWN = "organization"


@rule(
    "stack-references.owner",
    title="A stack reference may read stacks of the same owner only",
    routes=["P17"],
    controls=["HDS EXI 28", "HDS EXI 30", "GDPR 44-46", "SNC 19.2"],
    fix="Name a stack of the same organization, or list the organization under `accounts: pulumi:`.",
    pack="residency",
    types=[STACK_REFERENCE],
)
def owner(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A reference reads the outputs of another stack from the same backend, whose place the zone judges
    (P18). At a service, another organization is another owner, whose stacks may stand anywhere. In a bucket
    or a file there are no others: each is called `organization`."""
    where = subject["name"]
    text = where.text()
    parts = text.split("/") if text is not None else []
    if where.absent or not all(parts) or len(parts) > 3:
        yield subject.undecided(where, seen="no name of a stack", why="whose outputs are read can't be told")
        return
    named = len(parts) > 1 and not zone.allows_account("pulumi", parts[0])
    if named and (parts[0] != _OWN or (subject.plan.stack.backend or "").startswith("https://")):
        yield subject.refuse(where, seen=parts[0], why=f"zone {zone.name} does not name this organization")
