"""Marks inside objects that make scanners and admission controllers look away."""

import re
from collections.abc import Iterator
from functools import lru_cache

from facts.zones import Zone
from policies import kubernetes
from policies.model import Node
from policies.rule import Hit, Subject, rule

_CONTROLS = ("HDS EXI 06", "HIPAA 164.308(a)(8)", "ISO 27001 A.8.32")
_FIX = "Remove it and mend what it hides; where an exception is due, ask for a waiver."

#: Annotations and labels by which checkov, KubeLinter, kube-score, Polaris, Gatekeeper, Datree and Kyverno
#: skip a check, as each documents. What describes a policy of Kyverno's (its title, category) skips nothing.
_SKIPS = re.compile(
    r"checkov\.io/skip\w*|ignore-check\.kube-linter\.io/.*|kube-score/ignore.*|polaris\.fairwinds\.com/.*exempt"
    r"|admission\.gatekeeper\.sh/ignore.*|datree\.skip/.*|(?:[\w-]+\.)?kyverno\.io/"
    r"(?!title$|category$|severity$|description$|subject$|minversion$).+",
    re.IGNORECASE,
)
#: Comments by which a scanner passes over a line or a file.
_MARKS = re.compile(
    r"(?:#|//)\s*(?:checkov:skip|tfsec:ignore|trivy:ignore|kics-scan\s+\w+|nosec\b|nosemgrep|hadolint\s)",
    re.IGNORECASE,
)


@rule(
    "suppressions.annotations",
    title="No object may tell a scanner to look away",
    routes=["P26"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="every",
    kinds=["*/*"],
)
def annotations(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """An annotation such as checkov.io/skip silences a check in the very object that fails it: the report
    then says that everything is fine, and nobody has answered for it."""
    places = [subject["metadata"], *(pod.node["metadata"] for pod in kubernetes.pods(subject))]
    for place in places:
        for node in (place["annotations"], place["labels"]):
            for key, where in node.members():
                if _skips(key):
                    yield subject.refuse(where, seen=key, why="it makes a scanner or controller look away")


@lru_cache(maxsize=16384)
def _skips(key: str) -> bool:
    return _SKIPS.fullmatch(key) is not None


@rule(
    "suppressions.marks",
    title="No file in an object may tell a scanner to look away",
    routes=["P26"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="every",
    severity="medium",
    kinds=["core/ConfigMap", "core/Secret"],
)
def marks(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Programs, charts and plans that travel in a ConfigMap are scanned as well; a comment in them silences
    the finding."""
    for node in _files(subject):
        found = _MARKS.search(kubernetes.quiet(node).text() or "")
        if found:
            mark = found.group().lstrip("#/ \t")
            yield subject.refuse(node, seen=mark, why="a scanner passes over what stands there")


@rule(
    "suppressions.excluded",
    title="No admission policy of the kit may leave objects out",
    routes=["P26"],
    controls=_CONTROLS,
    fix="Remove excludeResourceRules; where an exception is due, ask for a waiver.",
    pack="every",
    kinds=list(kubernetes.ADMISSION),
)
def excluded(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """What a policy or its binding excludes, the API server lets in unseen, whatever the rule says."""
    for key in ("matchConstraints", "matchResources"):
        node = subject["spec"][key]["excludeResourceRules"]
        if kubernetes.stands_for_rule(subject) and any(True for _ in node.each()):
            yield subject.refuse(node, seen="excludeResourceRules", why="what it names is let in unseen")


def _files(subject: Subject) -> Iterator[Node]:
    for key in ("data", "stringData"):
        for _, node in subject[key].members():
            yield node
