"""Kubernetes objects as the rules read them: pods wherever they are templated, containers, selectors.

Names and defaults are those of the Kubernetes API reference (kubernetes.io/docs/reference/kubernetes-api).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Literal

from facts.zones import Zone
from policies.model import MASKED, UNKNOWN, Node, Plan, Resource, Verdict
from policies.model.pods import CONTAINERS, HOLDER, TEMPLATES
from policies.rule import Hit, Subject

#: Kinds that hold pods.
PODS: Final = (*TEMPLATES, HOLDER)

NETWORK_POLICIES: Final = ("networking.k8s.io/NetworkPolicy", "extensions/NetworkPolicy")

#: The API server's own policies, as the kit makes them of rules, and what binds them.
ADMISSION: Final = (
    "admissionregistration.k8s.io/ValidatingAdmissionPolicy",
    "admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding",
)

#: What only the systems that a zone names may do (`systems` in facts/zones.py).
Power = Literal["host-network", "privileged", "host-path", "node-dns"]


@dataclass(frozen=True)
class Container:
    """A container of a pod; `group` is the list that it stands in."""

    node: Node
    group: str
    pod: "Pod"

    @property
    def prepares(self) -> bool:
        """It runs to its end before the pod serves: an init container that isn't a sidecar."""
        return self.group == "initContainers" and quiet(self.node)["restartPolicy"].text() != "Always"

    def mount(self, path: str) -> Node | None:
        """The mount that a path lies on: of those above it, the nearest; None where there is none."""
        mounts = [
            (PurePosixPath(place), mount)
            for mount in self.node["volumeMounts"].each()
            if (place := mount["mountPath"].text()) is not None
        ]
        above = [
            (len(place.parts), mount) for place, mount in mounts if PurePosixPath(path).is_relative_to(place)
        ]
        return max(above, key=lambda one: one[0], default=(0, None))[1]


@dataclass(frozen=True)
class Pod:
    """A pod, or the template of one. `flat`: its specification itself; `groups`: where in that its
    containers are."""

    node: Node
    flat: bool = False
    groups: tuple[str, ...] = CONTAINERS

    @property
    def spec(self) -> Node:
        return self.node if self.flat else self.node["spec"]

    @property
    def labels(self) -> Node:
        return self.node["metadata"]["labels"]

    @property
    def annotations(self) -> Node:
        return self.node["metadata"]["annotations"]

    def containers(self) -> Iterator[Container]:
        """Containers of all kinds."""
        for group in self.groups:
            where = self.spec[group]
            alone = group not in CONTAINERS and isinstance(where.value, Mapping)
            for node in (where,) if alone else where.each():
                yield Container(node, group, self)


def pods(subject: Subject) -> tuple[Pod, ...]:
    """The pods that an object holds or makes; none where its kind makes none."""
    return subject.once("pods", lambda: tuple(_pods(subject)))


def _pods(subject: Subject) -> Iterator[Pod]:
    assert subject.resource is not None
    for path in TEMPLATES.get(subject.resource.kind or "", ()):
        node = subject.inputs
        for key in path.split(".") if path else ():
            node = node[key]
        # the worker template stands for the leader's too, so the leader's may be left out
        if not (path.endswith("leaderTemplate") and node.absent):
            yield Pod(node)
    for held in subject.resource.holdings:
        yield Pod(Node(held.value, held.path, subject.touched), held.flat, held.groups)


def containers(subject: Subject) -> tuple[Container, ...]:
    """All containers of all pods of an object."""
    return subject.once("containers", lambda: tuple(one for pod in pods(subject) for one in pod.containers()))


def may(subject: Subject, pod: Pod, power: Power, zone: Zone) -> bool:
    """Whether the zone names a pod as one of its systems that may have a power: each of its images, whole and
    by digest, is one of a system of its namespace. One image of somebody else's makes it none."""
    images = [quiet(container.node)["image"].text() for container in pod.containers()]
    place = namespace(subject) if images else None
    systems = [zone.system(place, image or "") for image in images]
    return bool(systems) and all(system is not None and power in system.may for system in systems)


def stands_for_rule(subject: Subject) -> bool:
    """Whether an admission policy, or the one that a binding names, stands for a rule of the kit: by its
    label."""
    named = subject["spec"]["policyName"].text()
    policy = subject.plan.by_object.get((ADMISSION[0], "default", named or ""))
    looks = [subject] if policy is None else [subject, Subject(subject.plan, policy)]
    return any(not look["metadata"]["labels"]["llm.kit/rule"].absent for look in looks)


def is_patch(resource: Resource | None) -> bool:
    """A patch holds only what it changes, so what is absent from it may well be there."""
    return resource is not None and resource.type.endswith("Patch")


def quiet(node: Node) -> Node:
    """The same place, looked at without remembering what couldn't be read: to see whether it matters."""
    return Node(node.value, node.path, {})


def looks(plan: Plan, kinds: tuple[str, ...]) -> Iterator[Subject]:
    """A look at each object of these kinds, for a rule about the whole plan; end each with `untold`."""
    for kind in kinds:
        for resource in plan.by_kind.get(kind, ()):
            yield Subject(plan, resource)


def hit(look: Subject, where: Node | str, *, seen: str, why: str, verdict: Verdict = Verdict.REFUSE) -> Hit:
    """A finding of a rule about the whole plan at a place in one of its objects."""
    assert look.resource is not None
    path = where if isinstance(where, str) else where.path
    return Hit(look.resource.prefix + path, seen, why, verdict, urn=look.resource.urn)


def untold(*looks: Subject) -> Iterator[Hit]:
    """What a rule about the whole plan could not read in some of its objects, as the judge tells it."""
    for look in looks:
        yield from _untold(look)


def _untold(look: Subject) -> Iterator[Hit]:
    assert look.resource is not None
    for touch in look.touched.values():
        unknown = touch.reason == "unknown"
        yield Hit(
            look.resource.prefix + touch.path,
            "not known yet" if unknown else touch.reason,
            "the plan as a whole can't be judged without it",
            Verdict.UNDECIDED,
            "P22" if unknown else None,
            f"Give {touch.expected} here that is known before the plan.",
            look.resource.urn,
        )


def namespace(subject: Subject) -> str | None:
    """The namespace of an object: its own, its provider's, or "default". None where it can't be read."""
    assert subject.resource is not None
    own = subject["metadata"]["namespace"]
    if not own.absent:
        return own.text()
    provider = subject.plan.by_urn.get(subject.resource.provider.rpartition("::")[0])
    if provider is not None:
        given = provider.inputs.get("namespace")
        if given is UNKNOWN or given is MASKED:
            Node(given, "metadata.namespace", subject.touched).text()
            return None
        if isinstance(given, str) and given:
            return given
    return "default"


def selects(selector: Node, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector, matchExpressions too, selects these labels; an empty one selects everything.

    What of the selector can't be read selects nothing, and is remembered.
    """
    if selector.opaque:
        return False
    for key, wanted in selector["matchLabels"].members():
        value = wanted.text()
        if value is None or labels.get(key) != value:
            return False
    if selector["matchLabels"].opaque or selector["matchExpressions"].opaque:
        return False
    return all(_holds(expression, labels) for expression in selector["matchExpressions"].each())


def selects_all(selector: Node) -> bool:
    """Whether a LabelSelector is empty, so selects everything."""
    if selector.opaque or selector["matchLabels"].opaque or selector["matchExpressions"].opaque:
        return False
    return not any(True for _ in selector["matchLabels"].members()) and not any(
        True for _ in selector["matchExpressions"].each()
    )


def only(selector: Node, key: str) -> frozenset[str] | None:
    """The values to which a LabelSelector holds the label `key`; None where it leaves it open."""
    bounds = [
        frozenset([value])
        for name, node in selector["matchLabels"].members()
        if name == key and (value := node.text()) is not None
    ]
    for expression in selector["matchExpressions"].each():
        if expression["key"].text() == key and expression["operator"].text() == "In":
            bounds.append(frozenset(expression["values"].texts()))
    return frozenset.intersection(*bounds) if bounds else None


def labels_of(node: Node) -> dict[str, str] | None:
    """Labels as plain text; None where one can't be read (which is remembered)."""
    if node.opaque:
        return None
    found: dict[str, str] = {}
    for key, value in node.members():
        text = value.text()
        if text is None:
            return None
        found[key] = text
    return found


def _holds(expression: Node, labels: Mapping[str, str]) -> bool:
    key, operator = expression["key"].text(), expression["operator"].text()
    if key is None or operator is None:
        return False
    values = expression["values"].texts()
    if operator == "In":
        return labels.get(key) in values
    if operator == "NotIn":
        return labels.get(key) not in values
    if operator == "Exists":
        return key in labels
    return operator == "DoesNotExist" and key not in labels
