"""What can't be judged is refused: unknown values, unseen inputs, components without their objects."""

from collections.abc import Iterator

from facts.zones import Zone
from policies.model import UNKNOWN, Node, is_marker
from policies.rule import Hit, Subject, rule
from policies.walkers import hosts

_CONTROLS = ["HIPAA 164.308(a)(8)", "HDS EXI 06"]

#: Components that unfold into Kubernetes objects which the plan must show.
UNFOLDING = (
    "kubernetes:helm.sh/v3:Chart",
    "kubernetes:helm.sh/v4:Chart",
    "kubernetes:kustomize/v2:Directory",
    "kubernetes:kustomize:Directory",
    "kubernetes:yaml/v2:ConfigFile",
    "kubernetes:yaml/v2:ConfigGroup",
    "kubernetes:yaml:ConfigFile",
    "kubernetes:yaml:ConfigGroup",
)


@rule(
    "unknowns.value",
    title="A value must be known at plan time",
    routes=["P22"],
    controls=_CONTROLS,
    fix="Give the value as a literal, or take it from something known before the plan.",
    pack="every",
    types=["*"],
)
def value(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Any string can name a destination, so one that is not known yet is undecided, which is refused at plan
    time."""
    resource = subject.resource
    assert resource is not None
    if resource.leaves is None:
        yield subject.undecided(
            "", seen="too many or too deep values", why="it is more than can be read and judged"
        )
        return
    for leaf in resource.leaves:
        if is_marker(leaf.value):
            Node(leaf.value, leaf.path, subject.touched).text()


@rule(
    "unknowns.inputs",
    title="A resource's inputs must have been seen",
    routes=["P22"],
    controls=_CONTROLS,
    fix="Register the resource in the program, so that its inputs are shown; don't read it from outside.",
    pack="every",
    severity="critical",
    types=["*"],
)
def inputs(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A resource that the engine names but whose inputs no rule has seen is refused, not passed."""
    resource = subject.resource
    assert resource is not None
    if not resource.recorded:
        yield subject.undecided(
            "", seen=resource.type, why="its inputs were never shown, so no rule has judged them"
        )


@rule(
    "unknowns.component",
    title="A component must show its objects",
    routes=["P15", "P22"],
    controls=_CONTROLS,
    fix="Give the component known inputs and a local chart or files, so that its objects are in the plan.",
    pack="every",
    severity="critical",
    types=list(UNFOLDING),
)
def component(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """With an unknown input such a component shows no objects at all, and an empty plan would pass."""
    resource = subject.resource
    assert resource is not None
    for leaf in resource.leaves or ():
        if leaf.value is UNKNOWN:
            yield subject.undecided(
                leaf.path,
                seen="not known yet",
                why="with an unknown input the component's objects are not in the plan",
            )
    for where, source in _sources(subject):
        host = hosts.host_of(source) if "://" in source else None
        if host is not None and not hosts.inside(host, zone):
            yield subject.refuse(
                where, seen=host, why=f"the objects come from there, outside zone {zone.name}"
            )
    if subject.plan.whole and not subject.plan.by_parent.get(resource.urn):
        yield subject.undecided(
            "",
            seen="a component without objects",
            why="what it will make is not in the plan, so no rule has judged it",
        )


def _sources(subject: Subject) -> Iterator[tuple[Node, str]]:
    chart, directory, file = subject["chart"], subject["directory"], subject["file"]
    options = subject["repositoryOpts"]["repo"], subject["fetchOpts"]["repo"], subject["fetch_opts"]["repo"]
    for node in (chart, directory, file, *options):
        text = node.text()
        if text is not None:
            yield node, text
    files = subject["files"]
    for node in files.each() if isinstance(files.value, list) else (files,):
        text = node.text()
        if text is not None:
            yield node, text
