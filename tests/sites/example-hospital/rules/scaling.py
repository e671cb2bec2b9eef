"""The model is never scaled to nothing: a ward would wait minutes for its first answer."""

from collections.abc import Iterator

from facts.zones import Zone
from policies.rule import Hit, Subject, rule


@rule(
    "hospital.never-to-zero",
    title="A ScaledObject keeps at least one replica",
    routes=["SITE-1"],
    controls=["HIPAA 164.308(a)(7)"],
    fix="Set spec.minReplicaCount to 1 or more.",
    pack="protection",
    kinds=["keda.sh/ScaledObject"],
)
def never_to_zero(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """KEDA's own default is zero."""
    least = subject["spec"]["minReplicaCount"]
    if least.opaque:
        return
    if (least.number() or 0) < 1:
        seen = "none" if least.absent else str(least.number())
        yield subject.refuse(
            least, seen=seen, why="with no load there is no engine, and loading one takes minutes"
        )
