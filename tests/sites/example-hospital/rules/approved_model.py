"""Only models that the hospital's committee has approved are served."""

from collections.abc import Iterator

from facts.zones import Zone
from policies.rule import Hit, Subject, rule

_APPROVED = frozenset({"llama-3.3-70b"})
_FLAG = "--served-model-name="


@rule(
    "hospital.approved-model",
    title="Only approved models are served",
    routes=["SITE-2"],
    controls=["AI Act 26"],
    fix="Serve a model that the committee has approved, or ask it to approve this one.",
    pack="protection",
    kinds=["apps/Deployment"],
)
def approved_model(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """The name that requests use is the one that the committee's record has."""
    for container in subject["spec"]["template"]["spec"]["containers"].each():
        for argument in container["args"].each():
            text = argument.text() or ""
            name = text.removeprefix(_FLAG)
            if text.startswith(_FLAG) and name not in _APPROVED:
                yield subject.refuse(argument, seen=name, why="no record says that this model was approved")
