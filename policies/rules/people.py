"""People: who may do what, for whom they work, under which law, from where, until when, and seen by whom."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from facts.zones import Person, Zone
from policies import kubernetes
from policies.kubernetes import quiet
from policies.model import Node
from policies.roles import STRONG, WEAK
from policies.rule import Hit, Subject, rule

_CONTROLS = (
    "HDS EXI 15",
    "HDS EXI 16",
    "HDS EXI 29",
    "HIPAA 164.308(a)(3)",
    "GDPR 44-46",
    "SNC 19.3",
    "ISO 27001 A.5.18",
)
_FIX = "Name them under the zone's `people`, with employer, law and country, or take the right away."

_RBAC = "rbac.authorization.k8s.io"
_BINDINGS: Final = (f"{_RBAC}/ClusterRoleBinding", f"{_RBAC}/RoleBinding")

#: kubernetes.io/docs/reference/access-authn-authz: whoever asks, with or without a name.
_ANYBODY = re.compile(r"system:(?:anonymous|(?:un)?authenticated)")

#: Rights of people in clouds, and what names them there.
_GRANTS: Final[Mapping[str, str]] = {
    "aws:ec2clientvpn/authorizationRule:AuthorizationRule": "accessGroupId",
    "aws:iam/user:User": "name",
    "azure-native:authorization:RoleAssignment": "principalId",
}
#: A line of authorized_keys with its comment (sshd(8)); known_hosts has the host's name before the key.
_KEY = re.compile(
    r"(?m)^[ \t]*(?:[\w-]+(?:=\"[^\"]*\")?[, ]+)*[\w@.-]+[ \t]+AAAA[A-Za-z0-9+/=]{20,}[ \t]*(\S*)"
)

#: Resources whose rights are privileged, but to delete them; verbs with which one gets any right.
_GUARDED = re.compile(
    r"\*|secrets|serviceaccounts/token|[\w*]+/(?:attach|ephemeralcontainers|exec|portforward|proxy)"
)
_DELETES = re.compile(r"delete(?:collection)?")
_ANY_RIGHT = re.compile(r"bind|escalate|impersonate")


@rule(
    "people.subjects",
    title="Rights in the cluster are for people whom the zone names",
    routes=["H01"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="protection",
    kinds=_BINDINGS,
)
def subjects(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Somebody who looks in from another country, or works for somebody under another law, is a transfer as
    much as a copy is. A binding says a name only; for whom that person works, under which law and from where
    they reach in, the zone says. Accounts of pods, and what Kubernetes itself is called by, are no people."""
    for one in _people(subject):
        yield from _outside(subject, one["name"], zone)


@rule(
    "people.grants",
    title="Rights in a cloud or VPN are for people whom the zone names",
    routes=["H01"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="protection",
    types=tuple(_GRANTS),
)
def grants(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A user, a role that is assigned, a group that the VPN lets in: the zone must say who they are. A
    service principal is a program's account."""
    assert subject.resource is not None
    where = subject[_GRANTS[subject.resource.type]]
    if subject["principalType"].text() != "ServicePrincipal":
        yield from _outside(subject, where, zone)


@rule(
    "people.keys",
    title="SSH keys are for people whom the zone names",
    routes=["H01"],
    controls=_CONTROLS,
    fix="Write the name that the zone's `people` has at the end of the key, or remove the key.",
    pack="protection",
    types=["*"],
)
def keys(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Whoever holds the other half of an SSH key gets onto the machine, past every directory and every record
    of it. The comment at the key's end says whose it is."""
    assert subject.resource is not None
    for leaf in subject.resource.leaves or ():
        if isinstance(leaf.value, str):
            for name in _KEY.findall(leaf.value):
                person = zone.person(name)
                if person is None or not _is_of(person, zone):
                    yield subject.refuse(
                        leaf.path, seen="an SSH key", why=f"whose it is zone {zone.name} doesn't say"
                    )


@rule(
    "people.privileged",
    title="Privileged rights end, and need a second factor and a record",
    routes=["H02"],
    controls=[*_CONTROLS, "HIPAA 164.312(b)", "HIPAA 164.312(d)"],
    fix="Give the person `until`, `mfa` and `recorded` in the zone, or bind a role that reads no secret.",
    pack="protection",
    severity="critical",
    kinds=_BINDINGS,
)
def privileged(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Who reads Secrets, gets into pods or hands out rights can take everything along. Such a right is for a
    time, for somebody who is known by two factors, in sessions that are recorded. A role that isn't in the
    whole plan may hold any."""
    where = subject["roleRef"]["name"]
    name = where.text() or ""
    strong = _is_strong(subject, name)
    for one in _people(subject) if strong is not False else ():
        person = zone.person(one["name"].text() or "")
        lacks = _lacks(person, subject)
        if lacks and strong:
            yield subject.refuse(
                one["name"], seen=f"no {', '.join(lacks)}", why="the role that they get is privileged"
            )
        elif lacks and subject.plan.whole:
            yield subject.undecided(
                where, seen="a role that is not in the plan", why="what it allows is not told"
            )


def _people(subject: Subject) -> Iterator[Node]:
    """The subjects of a binding that are people; whoever asks is one too."""
    for one in subject["subjects"].each():
        name = quiet(one["name"]).text() or ""
        if one["kind"].text() != "ServiceAccount" and (
            _ANYBODY.fullmatch(name) or not name.startswith("system:")
        ):
            yield one


def _outside(subject: Subject, where: Node, zone: Zone) -> Iterator[Hit]:
    person = zone.person(where.text() or "")
    if person is None:
        yield subject.refuse(
            where, seen="somebody", why=f"zone {zone.name} doesn't say for whom they work, and where"
        )
    elif not _is_of(person, zone):
        yield subject.refuse(
            where, seen=f"{person.law}, {person.country}", why=f"that is outside zone {zone.name}"
        )
    elif person.until is not None and person.until < subject.plan.at:
        yield subject.refuse(where, seen=f"until {person.until}", why="their right has ended")


def _is_of(person: Person, zone: Zone) -> bool:
    return person.law in zone.countries and person.country in zone.countries


def _lacks(person: Person | None, subject: Subject) -> list[str]:
    """What a privileged person must have and doesn't."""
    ends = person is not None and person.until is not None and person.until >= subject.plan.at
    held = {"end to come": ends, "second factor": person and person.mfa, "record": person and person.recorded}
    return [what for what, there in held.items() if not there]


def _is_strong(subject: Subject, name: str) -> bool | None:
    """Whether a role is privileged; None: its rights aren't in the plan."""
    kind = subject["roleRef"]["kind"].text()
    place = "default" if kind == "ClusterRole" else kubernetes.namespace(subject) or ""
    role = subject.plan.by_object.get((f"{_RBAC}/{kind}", place, name))
    if role is None or "aggregationRule" in role.inputs:
        strong = name in STRONG or name.endswith("-admin")
        return True if strong else False if name in WEAK else None
    look = Subject(subject.plan, role)
    for entry in look["rules"].each():
        verbs = [verb for verb in entry["verbs"].texts() if not _DELETES.fullmatch(verb)]
        guarded = [one for one in entry["resources"].texts() if _GUARDED.fullmatch(one)]
        if (verbs and guarded and _of_core(entry)) or any(_ANY_RIGHT.fullmatch(verb) for verb in verbs):
            return True
    return False


def _of_core(entry: Node) -> bool:
    """Whether a rule is for the core group, where Secrets and pods are, and maybe others."""
    return any(group in ("", "*") for group in entry["apiGroups"].texts())
