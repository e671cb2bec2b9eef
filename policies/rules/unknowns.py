"""What can't be judged is refused: unknown values, unseen inputs, components without their objects."""

import re
from collections.abc import Iterator

from facts.zones import Zone
from policies import references
from policies.model import UNKNOWN, Node, Resource, is_marker
from policies.rule import Hit, Subject, rule
from policies.table import reach
from policies.walkers import hosts, places

_CONTROLS = ["HIPAA 164.308(a)(8)", "HDS EXI 06"]

#: Properties that hold one id or ARN of a resource; an account is none, and lies nowhere.
_REFERENCE = re.compile(r"(?!\w*(?:[aA]ccount|[oO]wner)Id$)\w*[a-z](?:Id|Arn)")
#: Properties that hold a resource's name, and whose: a name is a text like any other.
_NAMES = {"bucket": "aws:s3/bucket:Bucket", "role": "aws:iam/role:Role"}

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
    time. Only a property that can hold nothing but a reference (`vpcId`, `roleArn`) is decided by what it is
    computed from, where that is one resource of the plan: a text that is put together of an id and a host of
    one's own is computed from the same resource, and is no reference."""
    resource = subject.resource
    assert resource is not None
    if resource.leaves is None:
        yield subject.undecided(
            "", seen="too many or too deep values", why="it is more than can be read and judged"
        )
        return
    for leaf in resource.leaves:
        if is_marker(leaf.value):
            node = Node(leaf.value, leaf.path, subject.touched)
            target = _referred(subject, node)
            if target is None:
                node.text()
            else:
                yield from _placed(subject, node, references.place(target, subject.plan), zone)


def _referred(subject: Subject, node: Node) -> Resource | None:
    """The resource to which a value that isn't known yet can only refer; None: it can be any text."""
    wanted = _NAMES.get(node.path)
    if wanted is None and not _REFERENCE.fullmatch(node.path):
        return None
    target = references.resolve(subject, node)
    return target if target is None or wanted in (None, target.type) else None


def _placed(subject: Subject, node: Node, where: references.Place, zone: Zone) -> Iterator[Hit]:
    if where.region is None or where.account is None:
        yield subject.undecided(
            node, seen="no place", why="where the resource lies that it names is not told"
        )
        return
    outside = places.judge_region(where.region, (where.provider,), zone)
    if outside:
        yield subject.refuse(node, seen=where.region, why=f"what it names lies in a region that {outside}")
    if not zone.allows_account(where.provider, where.account):
        yield subject.refuse(
            node,
            seen=f"account {where.account}",
            why=f"what it names is of an account that zone {zone.name} does not name",
        )


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
    routes=["P15"],
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
    paths = ("chart", "directory", "file", "repositoryOpts.repo", "fetchOpts.repo", "fetch_opts.repo")
    files = subject["files"]
    listed = files.each() if isinstance(files.value, list) else (files,)
    for node in (*(node for path in paths for node in reach(subject.inputs, path)), *listed):
        text = node.text()
        if text is not None:
            yield node, text
