"""GitOps: what Argo CD and Flux fetch, from where, in which state of it, and to which cluster it goes.

Their objects stand for others that the plan doesn't show. Those can be judged elsewhere (`sovereign policy
eval` over the manifests of a commit) only where the commit is named, and somebody has to answer for it.
"""

import re
from collections.abc import Iterator

from facts.zones import Zone
from policies import called, carried
from policies.kubernetes import quiet
from policies.model import Node
from policies.rule import Hit, Subject, rule

_CONTROLS = ("HDS EXI 06", "HDS EXI 28", "HIPAA 164.308(a)(8)", "GDPR 32", "SNC 12.14", "ISO 27001 A.8.32")
_FIX = (
    "Name a repository of the zone and in it one commit, digest or exact version; have its manifests judged "
    "in their own pipeline, and declare K42 in the zone."
)

_FETCHED = "objects come from it"
_NOWHERE = "from where objects come is not told"
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_VERSION = re.compile(r"v?\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]+)?")

#: how Argo CD calls the cluster that it runs in (argo-cd.readthedocs.io, declarative setup)
_HERE = "in-cluster"
#: Argo CD takes Secrets with this label for clusters and repositories (as above)
_KIND_OF_SECRET = "argocd.argoproj.io/secret-type"


@rule(
    "gitops.applications",
    title="Argo CD may apply commits of the zone's repositories to clusters of the zone",
    routes=["K42"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="egress",
    severity="critical",
    kinds=["argoproj.io/Application"],
)
def applications(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """An Application applies whatever its repository holds, to a cluster that may be any. A branch holds
    something else tomorrow."""
    spec = subject["spec"]
    for source in (spec["source"], *spec["sources"].each()):
        if not source.absent:
            yield from called.host(
                subject, source["repoURL"], zone, _FETCHED, absent="no repository is named"
            )
            pattern = _COMMIT if source["chart"].absent else _VERSION
            yield from _pinned(subject, source["targetRevision"], pattern)
    yield from _destination(subject, spec["destination"], zone)
    yield from _unseen(subject, zone)


@rule(
    "gitops.projects",
    title="Argo CD's projects may only allow repositories and clusters of the zone",
    routes=["K42"],
    controls=_CONTROLS,
    fix="List the zone's repositories and clusters one by one, without wildcards.",
    pack="egress",
    kinds=["argoproj.io/AppProject"],
)
def projects(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A project bounds what its Applications may fetch and where they may apply it, also those that are made
    by hand. `*` is no bound."""
    for source in subject["spec"]["sourceRepos"].each():
        yield from called.host(subject, source, zone, "objects may come from it")
    for destination in subject["spec"]["destinations"].each():
        yield from _destination(subject, destination, zone)


@rule(
    "gitops.generated",
    title="No generated Applications and no automatic image updates",
    routes=["K42"],
    controls=_CONTROLS,
    fix="Write each Application, and each image's digest, into the plan.",
    pack="egress",
    severity="critical",
    kinds=["argoproj.io/ApplicationSet", "image.toolkit.fluxcd.io/ImageUpdateAutomation"],
)
def generated(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """What these make follows from lists of clusters, branches, pull requests or tags, found out after the
    plan."""
    assert subject.resource is not None
    yield subject.refuse(
        "", seen=subject.resource.kind or "", why="what it makes is found out after the plan"
    )


@rule(
    "gitops.credentials",
    title="Argo CD may know clusters and repositories of the zone only",
    routes=["K42"],
    controls=_CONTROLS,
    fix="Remove the Secret, or name a cluster or repository of the zone in it.",
    pack="egress",
    severity="critical",
    kinds=["core/Secret"],
)
def credentials(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A labelled Secret is all that it takes to register a cluster or a repository with Argo CD."""
    if quiet(subject["metadata"])["labels"][_KIND_OF_SECRET].absent:
        return
    for file in carried.files(subject):
        if file.name in ("server", "url"):
            yield from called.host(subject, file.where, zone, "objects may come from it or go there")


@rule(
    "gitops.sources",
    title="Flux may fetch commits and digests of the zone's repositories only",
    routes=["K42"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="egress",
    severity="critical",
    kinds=[
        "source.toolkit.fluxcd.io/GitRepository",
        "source.toolkit.fluxcd.io/HelmRepository",
        "source.toolkit.fluxcd.io/OCIRepository",
    ],
)
def sources(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A source is asked again and again; with a branch, a tag or a range it hands out what the plan never
    saw."""
    assert subject.resource is not None
    spec = subject["spec"]
    yield from called.host(subject, spec["url"], zone, _FETCHED, absent=_NOWHERE)
    if subject.resource.kind == "source.toolkit.fluxcd.io/GitRepository":
        yield from _pinned(subject, spec["ref"]["commit"], _COMMIT)
    elif subject.resource.kind == "source.toolkit.fluxcd.io/OCIRepository":
        yield from _pinned(subject, spec["ref"]["digest"], _DIGEST)


@rule(
    "gitops.releases",
    title="Flux may apply pinned sources to its own cluster",
    routes=["K42"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="egress",
    severity="critical",
    kinds=["helm.toolkit.fluxcd.io/HelmRelease", "kustomize.toolkit.fluxcd.io/Kustomization"],
)
def releases(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A Kustomization or HelmRelease stands for all that its source holds. With a kubeConfig it goes to
    another cluster."""
    spec = subject["spec"]
    if not spec["kubeConfig"].absent:
        yield subject.undecided(
            spec["kubeConfig"], seen="kubeConfig", why="to which cluster objects go is not told"
        )
    if not spec["chart"].absent:
        yield from _pinned(subject, spec["chart"]["spec"]["version"], _VERSION)
    yield from _unseen(subject, zone)


@rule(
    "gitops.notifications",
    title="Flux may report to hosts of the zone only",
    routes=["K42"],
    controls=_CONTROLS,
    fix="Name an address of the zone.",
    pack="egress",
    kinds=["notification.toolkit.fluxcd.io/Provider"],
)
def notifications(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Reports name what runs, in which version, and why it fails. Without an address a Secret, or the
    provider's service, says where they go."""
    told = "where reports go is not told"
    yield from called.host(subject, subject["spec"]["address"], zone, "reports go there", absent=told)


def _destination(subject: Subject, node: Node, zone: Zone) -> Iterator[Hit]:
    yield from called.host(subject, node["server"], zone, "objects go there")
    name = node["name"].text()
    if name not in (None, "", _HERE):
        yield subject.undecided(node["name"], seen="a cluster by its name", why="where it is is not told")


def _pinned(subject: Subject, node: Node, pattern: re.Pattern[str]) -> Iterator[Hit]:
    text = node.text()
    if not pattern.fullmatch(text or ""):
        yield subject.refuse(node, seen="nothing exact", why="it may hold something else tomorrow")


def _unseen(subject: Subject, zone: Zone) -> Iterator[Hit]:
    if not zone.declares("K42", subject.plan.at):
        yield subject.refuse(
            "spec", seen="objects that are not in the plan", why="nobody answers for having judged them"
        )
