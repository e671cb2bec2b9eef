"""Options by which the engine leaves alone what a rule guards, or takes over what no plan has made."""

import re
from collections.abc import Iterator

from facts.zones import Zone
from policies.model import Node
from policies.rule import Hit, Subject, rule

_CONTROLS = ("HDS EXI 06", "HDS EXI 28", "HIPAA 164.308(a)(8)", "ISO 27001 A.8.32")

#: What others rightly write: an autoscaler the number of copies, cert-manager the authority of a webhook.
_OTHERS_WRITE = re.compile(
    r"status(\..*)?|(spec\.)?replicas|desiredCapacity|scalingConfig\.desiredSize"
    r"|(webhooks\[(\*|\d+)\]|spec\.conversion\.webhook)\.clientConfig\.caBundle"
)


@rule(
    "options.ignored",
    title="No change of a guarded property may be ignored",
    routes=["P24"],
    controls=_CONTROLS,
    fix="Remove the path from ignoreChanges; name only what others write, such as `spec.replicas`.",
    pack="every",
    types=["*"],
)
def ignored(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """With ignoreChanges the engine keeps what is there instead of what the program says: whoever changes it
    by hand is never corrected, and no later plan shows it. That is right only for what a controller of the
    cluster writes, such as the number of replicas under an autoscaler."""
    for node in _options(subject)["ignoreChanges"].each():
        text = node.text()
        if text is not None and not _OTHERS_WRITE.fullmatch(
            re.sub(r"\[\"(\w+)\"\]", r".\1", text).strip(".")
        ):
            yield subject.refuse(
                node,
                seen="ignoreChanges",
                why="what is there is kept, whatever the program and the rules say",
            )


@rule(
    "options.adopted",
    title="What no plan has made may be taken over only with its inputs shown",
    routes=["P24"],
    controls=_CONTROLS,
    fix="Write the resource in the program with all that it is, or make it anew.",
    pack="every",
    types=["*"],
)
def adopted(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A resource that is read with `.get()` or imported was made by somebody else, in no plan that the rules
    have judged. Where its inputs are in the plan they are judged like any other's; where they aren't, it may
    lie anywhere and lead anywhere."""
    resource = subject.resource
    assert resource is not None
    taken = resource.read or not _options(subject)["importID"].absent
    if taken and not (resource.recorded and resource.inputs):
        yield subject.undecided(
            "",
            seen="read" if resource.read else "imported",
            why="it was made elsewhere, and its inputs are not shown",
        )


def _options(subject: Subject) -> Node:
    assert subject.resource is not None
    return Node(subject.resource.options, "options", subject.touched)
