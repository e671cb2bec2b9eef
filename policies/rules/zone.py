"""The zone itself: without one there is nothing to judge by."""

from collections.abc import Iterator

from facts.zones import Zone
from policies.rule import Hit, Subject, rule


@rule(
    "zone.missing",
    title="A stack must declare its zone",
    routes=["P27"],
    controls=["HDS EXI 28", "GDPR 44-46"],
    fix="Set `zone` in `sovereign:settings` of the stack's settings file, or give a zone file with --zone.",
    pack="every",
    severity="critical",
    scope="plan",
)
def missing(subject: Subject, zone: Zone | None) -> Iterator[Hit]:
    """No zone, no plan: nothing says where the data may be, so nothing can be allowed."""
    if zone is None:
        yield subject.refuse(
            "sovereign:settings.zone", seen="no zone", why="nothing says where the data may be"
        )
