"""Network isolation: what NetworkPolicies let out, and what they forget to hold.

NetworkPolicies only add: a pod that no policy isolates may call anyone, and one rule too many opens what ten
others closed. Semantics: kubernetes.io/docs/concepts/services-networking/network-policies and the API's
defaults (pkg/apis/networking/v1/defaults.go).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network

from facts.networks import Network, NetworkSet
from facts.zones import Zone
from policies import kubernetes
from policies.kubernetes import NETWORK_POLICIES, PODS
from policies.model import Node, Plan
from policies.rule import Cel, Hit, Subject, rule
from policies.walkers import hosts

_CONTROLS = ("HDS EXI 05", "HIPAA 164.312(e)(1)", "GDPR 32", "SNC 12.14", "SNC 13.2", "ISO 27001 A.8.22")
_BY_DEFAULT = (*_CONTROLS, "GDPR 25")

#: The node-local DNS cache listens on this link-local address of every node
#: (kubernetes.io/docs/tasks/administer-cluster/nodelocaldns); it never leaves the node.
_NODE_LOCAL_DNS = ip_network("169.254.20.10/32")
_DNS_NAMESPACE = frozenset(["kube-system"])
_DNS_APPS = frozenset(["kube-dns", "node-local-dns"])
_NAMESPACE_LABEL = "kubernetes.io/metadata.name"
_PEERS = ("ipBlock", "namespaceSelector", "podSelector")


def _rules(subject: Subject) -> Iterator[Node]:
    """The egress rules of a policy, whether or not its types let them count."""
    yield from subject["spec"]["egress"].each()


def _isolates_egress(look: Subject) -> bool | None:
    """Whether a policy isolates egress, by the API's defaults: an empty `egress` without types does not.
    None: its types aren't known."""
    types = look["spec"]["policyTypes"]
    if types.opaque:
        return None
    listed = types.texts()
    return "Egress" in listed if listed else bool(list(look["spec"]["egress"].each()))


def _networks(listed: Node) -> Iterator[Network]:
    for text in listed.texts():
        network = hosts.network_of(text)
        if network is not None:
            yield network


@rule(
    "isolation.cidr",
    title="Egress may only reach networks of the zone",
    routes=["K02", "K03"],
    controls=_CONTROLS,
    fix="List the site's networks in the zone and allow only those, port by port.",
    pack="egress",
    severity="critical",
    kinds=NETWORK_POLICIES,
    cel=[
        Cel(
            "!has(object.spec.egress) || object.spec.egress.all(r, !has(r.to) || r.to.all(p, "
            "!has(p.ipBlock) || {networks}.exists(n, cidr(n).containsCIDR(p.ipBlock.cidr))))"
        ),
    ],
)
def cidr(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """An ipBlock lets pods out to every address in it. Allowed addresses less the excepted ones, v4 and v6,
    must lie inside the zone's networks, judged as sets: two halves of the internet are the internet, and
    0.0.0.0/0 with an `except` looks narrowed and isn't."""
    for egress in _rules(subject):
        for peer in egress["to"].each():
            block = peer["ipBlock"]
            if isinstance(block.value, Mapping) and block["cidr"].absent:
                yield subject.undecided(block, seen="no network", why="which addresses it allows is not told")
            text = block["cidr"].text()
            if text is None:
                continue
            allowed = hosts.network_of(text)
            if allowed is None:
                yield subject.undecided(
                    block["cidr"], seen="a malformed network", why="it is not an address block"
                )
                continue
            excepted = NetworkSet(tuple(_networks(block["except"])))
            outside = NetworkSet((allowed,)) - excepted - zone.network_set - NetworkSet((_NODE_LOCAL_DNS,))
            if outside and allowed.prefixlen == 0 and excepted:
                yield subject.refuse(
                    block["cidr"],
                    seen=f"{allowed} except {excepted}",
                    why=f"what is left is still the internet, such as {outside.blocks[0]}",
                    route="K03",
                )
            elif outside:
                yield subject.refuse(
                    block["cidr"],
                    seen=str(allowed),
                    why=f"pods may reach {outside.blocks[0]}, outside zone {zone.name}",
                )


@rule(
    "isolation.everywhere",
    title="An egress rule must say where to",
    routes=["K04"],
    controls=_CONTROLS,
    fix="Name in `to` the pods, or the networks of the zone, that the rule is for.",
    pack="egress",
    severity="critical",
    kinds=NETWORK_POLICIES,
    cel=[
        Cel(
            "!has(object.spec.egress) || object.spec.egress.all(r, has(r.to) && size(r.to) > 0 && "
            "r.to.all(p, has(p.ipBlock) || has(p.podSelector) || has(p.namespaceSelector)))"
        ),
    ],
)
def everywhere(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """An egress rule with no `to`, or with an empty one, or with a peer that names nothing, allows every
    address there is: `egress: [{}]` is the internet."""
    for egress in _rules(subject):
        to = egress["to"]
        if to.value in (None, []):
            yield subject.refuse(egress, seen="no `to`", why="a rule that names no peer allows every address")
        for peer in to.each():
            if not peer.opaque and all(peer[key].absent for key in _PEERS):
                yield subject.refuse(
                    peer, seen="an empty peer", why="it names nothing, so it narrows nothing"
                )


@rule(
    "isolation.pretended",
    title="A policy with egress rules must isolate egress",
    routes=["K05"],
    controls=_CONTROLS,
    fix="List Egress in policyTypes: without it an empty egress list denies nothing.",
    pack="egress",
    severity="critical",
    kinds=NETWORK_POLICIES,
    cel=[
        Cel(
            "!has(object.spec.egress) || size(object.spec.egress) == 0 || "
            "has(object.spec.policyTypes) && object.spec.policyTypes.exists(t, t == 'Egress')"
        ),
    ],
)
def pretended(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A policy that has an `egress` list but doesn't list Egress in `policyTypes` looks as if it closed the
    way out and closes nothing: the API ignores the list, and takes an empty one without types for none."""
    egress, listed = subject["spec"]["egress"], subject["spec"]["policyTypes"].texts()
    if not egress.absent and "Egress" not in listed and (listed or egress.value == []):
        yield subject.refuse(
            "spec.policyTypes",
            seen=", ".join(listed) or "none",
            why="there are egress rules, and Egress is not among the types, so egress stays open",
        )


@rule(
    "isolation.ingress-only",
    title="Where ingress is isolated, egress must be too",
    routes=["K05"],
    controls=_CONTROLS,
    fix="List Egress in policyTypes, or add a default deny of egress to the namespace.",
    pack="egress",
    scope="plan",
)
def ingress_only(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A policy for ingress only leaves the way out of the same pods open. It is honest beside another policy
    of its namespace that isolates the egress of all pods, or of the same ones; judged alone, there is none
    beside it."""
    index = _index(subject.plan)
    for policy in index.policies:
        look = policy.look
        beside = index.by_namespace[policy.namespace]
        if policy.isolates is False and not any(one.isolates and _covers(one, policy) for one in beside):
            yield kubernetes.hit(
                look,
                "spec.policyTypes",
                seen=", ".join(look["spec"]["policyTypes"].texts()) or "none",
                why="it leaves the egress of the pods that it selects open, and no other policy closes it",
            )
        yield from kubernetes.untold(look)


@rule(
    "isolation.namespaces",
    title="Egress may not go to every namespace",
    routes=["K06"],
    controls=_CONTROLS,
    fix="Name the namespace: namespaceSelector with the label kubernetes.io/metadata.name.",
    pack="egress",
    kinds=NETWORK_POLICIES,
    cel=[
        Cel(
            "!has(object.spec.egress) || object.spec.egress.all(r, !has(r.to) || r.to.all(p, "
            "!has(p.namespaceSelector) || has(p.namespaceSelector.matchLabels) && "
            "size(p.namespaceSelector.matchLabels) > 0 || has(p.namespaceSelector.matchExpressions) "
            "&& p.namespaceSelector.matchExpressions.exists(e, e.operator == 'In')))"
        ),
    ],
)
def namespaces(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """`namespaceSelector: {}` selects every namespace, so also one with a proxy, an egress gateway or a pod
    of anyone else that has a way out. The same holds for selectors that only exclude, or ask for the label
    that all have."""
    for egress in _rules(subject):
        for peer in egress["to"].each():
            selector = peer["namespaceSelector"]
            if not selector.absent and not selector.opaque and _is_unbounded(selector):
                yield subject.refuse(
                    selector, seen="every namespace", why="one of them, now or later, has a way out"
                )


@rule(
    "isolation.dns",
    title="Port 53 may be open to the cluster's DNS only",
    routes=["K07"],
    controls=_CONTROLS,
    fix="Allow port 53 to pods k8s-app: kube-dns of namespace kube-system only; name the ports of every "
    "other rule.",
    pack="egress",
    kinds=NETWORK_POLICIES,
    cel=[
        Cel(
            "!has(object.spec.egress) || object.spec.egress.all(r, has(r.ports) && size(r.ports) > 0 "
            "&& r.ports.all(q, has(q.port) && q.port != 53 && !(type(q.port) == int && "
            "has(q.endPort) && q.port < 53 && q.endPort >= 53)) || has(r.to) && r.to.all(p, "
            "has(p.ipBlock) || has(p.namespaceSelector) && has(p.podSelector) && "
            "has(p.podSelector.matchLabels) && 'k8s-app' in p.podSelector.matchLabels && "
            "p.podSelector.matchLabels['k8s-app'] in ['kube-dns', 'node-local-dns']))"
        ),
    ],
)
def dns(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Whoever answers on port 53 can carry data out in names (a DNS tunnel). So it may be open to the
    cluster's DNS (kube-system, k8s-app: kube-dns) and to the node-local cache (169.254.20.10/32), and
    to no one else: not in a range of ports, and not through a rule without ports to a network or a
    whole namespace."""
    own = subject["metadata"]["namespace"].text()
    for egress in _rules(subject):
        opened = _opens_dns(egress["ports"])
        if opened is None:
            continue
        for peer in egress["to"].each():
            if _is_dns(peer, own):
                continue
            named = not kubernetes.selects_all(peer["podSelector"])
            if opened == _ALL_PORTS and (_in_zone(peer, zone) or named):
                continue
            yield subject.refuse(peer, seen=opened, why="it opens port 53 to more than the cluster's DNS")


@rule(
    "isolation.default-deny",
    title="Every namespace must deny egress by default",
    routes=["K01"],
    controls=(*_BY_DEFAULT, "HIPAA NPRM 164.312(a)(2)(vi)"),
    fix="Add a NetworkPolicy with podSelector: {} and policyTypes [Ingress, Egress] to the namespace.",
    pack="egress",
    severity="critical",
    scope="plan",
    needs_whole=True,
)
def default_deny(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A namespace without a policy that selects all its pods and isolates their egress lets every pod that
    nobody thought of call anyone. Asked of each namespace that the plan makes or puts pods into."""
    index = _index(subject.plan)
    first: dict[str | None, tuple[Subject, str]] = {}
    for look in kubernetes.looks(subject.plan, ("core/Namespace", *PODS)):
        assert look.resource is not None
        is_namespace = look.resource.kind == "core/Namespace"
        name = look["metadata"]["name"].text() if is_namespace else kubernetes.namespace(look)
        where = "metadata.name" if is_namespace else "metadata.namespace"
        first.setdefault(name, (look, where))
        yield from kubernetes.untold(look)
    for name, (look, where) in first.items():
        if not any(one.isolates and one.all_pods for one in index.by_namespace.get(name, ())):
            yield kubernetes.hit(
                look,
                where,
                seen=name or "no name",
                why="no policy of this namespace isolates the egress of all its pods",
            )


@rule(
    "isolation.selected",
    title="Every pod must be selected by a policy that isolates its egress",
    routes=["K08"],
    controls=_BY_DEFAULT,
    fix="Give the pods the labels that a policy of their own namespace selects, or add a default deny there.",
    pack="egress",
    severity="critical",
    scope="plan",
    needs_whole=True,
)
def selected(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A policy holds only the pods that it selects: a label mistyped, an expression that doesn't match, a
    policy in another namespace, and the pod may call anyone."""
    index = _index(subject.plan)
    for look in kubernetes.looks(subject.plan, PODS):
        name = kubernetes.namespace(look)
        policies = [one for one in index.by_namespace.get(name, ()) if one.isolates]
        for pod in kubernetes.pods(look):
            labels = kubernetes.labels_of(pod.labels)
            if labels is None or any(kubernetes.selects(one.selector, labels) for one in policies):
                continue
            yield kubernetes.hit(
                look,
                pod.labels,
                seen=", ".join(f"{key}={value}" for key, value in sorted(labels.items())) or "no labels",
                why=f"no policy of namespace {name} that isolates egress selects these labels",
            )
        yield from kubernetes.untold(look)


@dataclass(frozen=True)
class _Policy:
    """A NetworkPolicy as the rules about absence need it. `namespace` None: it can't be read."""

    look: Subject
    namespace: str | None
    isolates: bool | None
    all_pods: bool

    @property
    def selector(self) -> Node:
        return self.look["spec"]["podSelector"]


@dataclass(frozen=True)
class _Index:
    policies: tuple[_Policy, ...]
    by_namespace: Mapping[str | None, list[_Policy]]


def _index(plan: Plan) -> _Index:
    """The plan's policies by namespace: made once a rule, so that cost stays linear."""
    policies = tuple(_policy(look) for look in kubernetes.looks(plan, NETWORK_POLICIES))
    found: dict[str | None, list[_Policy]] = {}
    for policy in policies:
        found.setdefault(policy.namespace, []).append(policy)
    return _Index(policies, found)


def _policy(look: Subject) -> _Policy:
    every = kubernetes.selects_all(look["spec"]["podSelector"])
    return _Policy(look, kubernetes.namespace(look), _isolates_egress(look), every)


def _covers(other: _Policy, policy: _Policy) -> bool:
    """Whether `other` surely selects every pod that `policy` selects: all of them, or by the same or fewer
    labels."""
    if other.all_pods:
        return True
    if list(other.selector["matchExpressions"].each()):
        return False
    wanted = kubernetes.labels_of(other.selector["matchLabels"]) or {}
    given = kubernetes.labels_of(policy.selector["matchLabels"]) or {}
    return bool(wanted) and wanted.items() <= given.items()


def _is_unbounded(selector: Node) -> bool:
    """Whether a namespaceSelector leaves open which namespaces it means."""
    labels = kubernetes.labels_of(selector["matchLabels"])
    return labels == {} and not any(_narrows(one) for one in selector["matchExpressions"].each())


def _narrows(expression: Node) -> bool:
    operator, key = expression["operator"].text(), expression["key"].text()
    return operator == "In" or (operator == "Exists" and key != _NAMESPACE_LABEL)


_ALL_PORTS = "all ports"


def _opens_dns(ports: Node) -> str | None:
    """How a rule's ports let port 53 through, by what they say or leave out; None where they don't."""
    if ports.value in (None, []):
        return _ALL_PORTS
    for entry in ports.each():
        port = entry["port"]
        if (entry["protocol"].text() or "TCP") not in ("TCP", "UDP"):
            continue
        if port.absent:
            return _ALL_PORTS
        if isinstance(port.value, str):
            if port.value == "domain" or "dns" in port.value.lower():
                return f"port {port.value}"
            continue
        first = port.number()
        if first is not None and first <= 53 <= (entry["endPort"].number() or first):
            return "port 53"
    return None


def _in_zone(peer: Node, zone: Zone) -> bool:
    network = hosts.network_of(peer["ipBlock"]["cidr"].text() or "")
    return network is not None and zone.network_set.covers(NetworkSet((network,)))


def _is_dns(peer: Node, own: str | None) -> bool:
    """Whether a peer is the cluster's DNS, and nothing else."""
    block = peer["ipBlock"]
    if not block.absent:
        return hosts.network_of(block["cidr"].text() or "") == _NODE_LOCAL_DNS
    where = kubernetes.only(peer["namespaceSelector"], _NAMESPACE_LABEL)
    if peer["namespaceSelector"].absent:
        where = frozenset([own or ""])
    apps = kubernetes.only(peer["podSelector"], "k8s-app") or frozenset()
    return where == _DNS_NAMESPACE and bool(apps) and apps <= _DNS_APPS
