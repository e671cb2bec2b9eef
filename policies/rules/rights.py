"""Rights in the cluster by which somebody could open a tunnel: into a pod, or through a node or a Service.

Who may exec into a pod, or forward one of its ports, reads what goes through it and carries it anywhere, past
every NetworkPolicy, because it is the API server that connects. kubernetes.io/docs/concepts/security/
rbac-good-practices, .../reference/access-authn-authz/rbac.
"""

import re
from collections.abc import Iterator

from facts.zones import Zone
from policies.kubernetes import looks, namespace, quiet
from policies.model import Node
from policies.roles import STRONG, WEAK
from policies.rule import Hit, Subject, rule

_CONTROLS = (
    "HDS EXI 05",
    "HDS EXI 16",
    "HDS EXI 29",
    "HIPAA 164.308(a)(4)",
    "HIPAA 164.312(a)(1)",
    "GDPR 32",
    "SNC 13.2",
)
_FIX = (
    "Leave the right out. Where somebody must have it in an emergency, bind the role to people of the zone "
    "only, with mfa, recorded sessions and a day on which it ends."
)

#: `*` is each resource with all of its subresources, `*/exec` the subresource of all
_TUNNEL = re.compile(
    r"\*|(?:pods|\*)/(?:attach|ephemeralcontainers|exec|portforward)|(?:nodes|pods|services|\*)/proxy"
)
#: `get` suffices for exec and the proxies, where a client asks for a WebSocket
_USES = ("*", "create", "get", "patch", "update")
#: with these somebody gets every right that there is
_ANY_RIGHT = ("bind", "escalate", "impersonate")
_RBAC = "rbac.authorization.k8s.io"
_AGGREGATES = f"{_RBAC}/aggregate-to-"

_ROLES = (f"{_RBAC}/ClusterRole", f"{_RBAC}/Role")
_BINDINGS = (f"{_RBAC}/ClusterRoleBinding", f"{_RBAC}/RoleBinding")


@rule(
    "rights.tunnels",
    title="No role may open a tunnel, unless it is for recorded people in an emergency",
    routes=["K44"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="protection",
    severity="critical",
    kinds=_ROLES,
)
def tunnels(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """exec, attach, port-forward, ephemeral containers and the proxies of nodes, pods and Services; wildcards
    that hold them; and the rights by which one gets any right. A role whose rights come from other roles
    can't be judged."""
    if not subject["aggregationRule"].absent:
        yield subject.undecided(
            "aggregationRule", seen="aggregationRule", why="its rights come from roles that may not be here"
        )
    if _is_for_emergencies(subject, zone):
        return
    for entry in subject["rules"].each():
        groups, verbs = entry["apiGroups"].texts(), entry["verbs"].texts()
        for verb in entry["verbs"].each():
            if verb.text() in _ANY_RIGHT or (verb.text() == "*" and _RBAC in groups):
                yield subject.refuse(verb, seen=str(verb.text()), why="with it one gets any right")
        for resource in entry["resources"].each():
            text = resource.text()
            core = "" in groups or "*" in groups
            if text is not None and core and _TUNNEL.fullmatch(text) and any(verb in _USES for verb in verbs):
                yield subject.refuse(resource, seen=text, why="it is a way into pods, or through the node")


@rule(
    "rights.bindings",
    title="The cluster's strong roles are for recorded people only",
    routes=["K44"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="protection",
    severity="critical",
    kinds=_BINDINGS,
)
def bindings(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """`edit` sounds modest and holds exec, attach and port-forward, as `admin` and `cluster-admin` do. A role
    that isn't in the whole plan may hold anything."""
    where = subject["roleRef"]["name"]
    name, kind = where.text() or "", subject["roleRef"]["kind"].text()
    held = all(_answers(one, subject, zone) for one in subject["subjects"].each())
    if name in WEAK or held:
        return
    if name in STRONG:
        yield subject.refuse(where, seen=name, why="it holds ways into pods, for others than recorded people")
        return
    place = "default" if kind == "ClusterRole" else namespace(subject) or ""
    if subject.plan.whole and (f"{_RBAC}/{kind}", place, name) not in subject.plan.by_object:
        yield subject.undecided(where, seen="a role that is not in the plan", why="its rights are not told")


def _is_for_emergencies(subject: Subject, zone: Zone) -> bool:
    """Whether a role of the plan is bound, and only to people who are held to it."""
    assert subject.resource is not None
    labels = quiet(subject["metadata"])["labels"]
    if any(key.startswith(_AGGREGATES) for key, _ in labels.members()):
        return False
    name, kind = subject["metadata"]["name"].text(), (subject.resource.kind or "").rpartition("/")[2]
    bound = [
        one
        for look in looks(subject.plan, _BINDINGS)
        if look["roleRef"]["name"].text() == name and look["roleRef"]["kind"].text() == kind
        for one in look["subjects"].each()
    ]
    return bool(bound) and all(_answers(one, subject, zone) for one in bound)


def _answers(given: Node, subject: Subject, zone: Zone) -> bool:
    """Whether somebody is a person of the zone, known by two factors, recorded, and until a day to come."""
    person = zone.person(given["name"].text() or "")
    return (
        given["kind"].text() in ("Group", "User")
        and person is not None
        and person.mfa
        and person.recorded
        and person.until is not None
        and person.until >= subject.plan.at
    )
