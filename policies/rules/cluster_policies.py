"""Network policies of CNIs and of administrators: they add to, or override, what NetworkPolicies say."""

from collections.abc import Iterator

from facts.networks import NetworkSet
from facts.zones import Zone
from policies import kubernetes, targets
from policies.model import Node
from policies.rule import Hit, Subject, rule
from policies.walkers import hosts

_CONTROLS = ("HDS EXI 05", "HIPAA 164.312(e)(1)", "GDPR 32", "SNC 12.14", "SNC 13.2", "ISO 27001 A.8.22")
_EVERYWHERE = "it allows every address"
_A_WAY_OUT = "one of them, now or later, has a way out"

_CILIUM = "cilium.io/CiliumNetworkPolicy"
_CILIUM_CLUSTERWIDE = "cilium.io/CiliumClusterwideNetworkPolicy"
_GROUP = "cilium.io/CiliumCIDRGroup"
#: docs.cilium.io/en/stable/security/policy/language: entities that are no more than the control plane.
_ENTITIES = frozenset(("health", "ingress", "kube-apiserver", "none"))
#: Peers that lie in the cluster, and what a rule says besides its peers.
_IN_CLUSTER = frozenset(("toEndpoints", "toServices"))
_NOT_PEERS = frozenset(("authentication", "icmps", "toPorts"))


@rule(
    "cluster-policies.cilium",
    title="Cilium's policies may let out to the zone only",
    routes=["K32"],
    controls=_CONTROLS,
    fix="Name endpoints, or networks and host names of the zone.",
    pack="egress",
    severity="critical",
    kinds=[_CILIUM, _CILIUM_CLUSTERWIDE],
)
def cilium(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A Cilium policy opens what a NetworkPolicy closed: each adds to the other. `toEntities: [world]` and
    `all` are the internet, `cluster` is every pod with whatever way out it has; toFQDNs with a pattern such
    as `*` is every host; a rule with ports and no peer is every address; and enableDefaultDeny can say that
    the policy denies nothing."""
    for spec in (subject["spec"], *subject["specs"].each()):
        denies = spec["enableDefaultDeny"]["egress"]
        if denies.flag() is False:
            yield subject.refuse(denies, seen="egress: false", why="pods that it selects may call anyone")
        for egress in spec["egress"].each():
            yield from _cilium_peers(subject, egress, zone)


def _cilium_peers(subject: Subject, egress: Node, zone: Zone) -> Iterator[Hit]:
    keys = [key for key, _ in egress.members()]
    if keys and _NOT_PEERS.issuperset(keys):
        yield subject.refuse(egress, seen="no peer", why=_EVERYWHERE)
    for key in keys:
        for peer in egress[key].each() if key not in _NOT_PEERS else ():
            if key == "toEntities":
                if peer.text() not in _ENTITIES:
                    yield subject.refuse(
                        peer, seen=peer.text() or "an entity", why="it is more than named pods"
                    )
            elif key == "toFQDNs":
                for node in (peer["matchName"], peer["matchPattern"]):
                    yield from _name(subject, node, zone)
            elif key == "toCIDR":
                yield from _network(subject, peer, peer.text(), zone)
            elif key == "toCIDRSet":
                yield from _cilium_set(subject, peer, zone)
            elif key not in _IN_CLUSTER:
                yield subject.undecided(
                    peer, seen=key, why="whom it means is told elsewhere than in the plan"
                )
            elif key == "toEndpoints" and _is_wide(subject, peer):
                yield subject.refuse(peer, seen="more than pods of one's own", why=_A_WAY_OUT)


def _cilium_set(subject: Subject, peer: Node, zone: Zone) -> Iterator[Hit]:
    """A network, or those of a CiliumCIDRGroup of the plan; what is excepted makes neither narrower here."""
    if not peer["cidr"].absent:
        yield from _network(subject, peer["cidr"], peer["cidr"].text(), zone)
        return
    name = peer["cidrGroupRef"].text()
    group = subject.plan.by_object.get((_GROUP, "default", name or ""))
    if group is None:
        yield subject.undecided(peer, seen="a group of networks", why="the plan doesn't show its networks")
        return
    for text in Node(group.inputs, "", subject.touched)["spec"]["externalCIDRs"].texts():
        yield from _network(subject, peer, text, zone)


def _is_wide(subject: Subject, peer: Node) -> bool:
    """Whether endpoints are the whole cluster's, or what Cilium's own labels mean (`reserved:world`)."""
    assert subject.resource is not None
    keys = [key for key, _ in peer["matchLabels"].members()]
    keys += [expression["key"].text() or "" for expression in peer["matchExpressions"].each()]
    everywhere = subject.resource.kind == _CILIUM_CLUSTERWIDE and kubernetes.selects_all(peer)
    return everywhere or any(key.startswith("reserved") for key in keys)


@rule(
    "cluster-policies.admin",
    title="An administrator's policy may let out to the zone only",
    routes=["K33"],
    controls=_CONTROLS,
    fix="Allow networks and host names of the zone, or pass the decision on to the namespaces (Pass).",
    pack="egress",
    severity="critical",
    kinds=[
        "policy.networking.k8s.io/AdminNetworkPolicy",
        "policy.networking.k8s.io/BaselineAdminNetworkPolicy",
        "policy.networking.k8s.io/ClusterNetworkPolicy",
    ],
)
def admin(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """What an AdminNetworkPolicy allows (Accept in a ClusterNetworkPolicy), no NetworkPolicy can deny any
    more: one rule opens every namespace that it selects."""
    for egress in subject["spec"]["egress"].each():
        if egress["action"].text() in ("Deny", "Pass"):
            continue
        for peer in egress["to"].each():
            for network in peer["networks"].each():
                yield from _network(subject, network, network.text(), zone)
            for name in peer["domainNames"].each():
                yield from _name(subject, name, zone)
            for selector in (peer["namespaces"], peer["pods"]["namespaceSelector"]):
                if not selector.absent and kubernetes.selects_all(selector):
                    yield subject.refuse(selector, seen="every namespace", why=_A_WAY_OUT)


@rule(
    "cluster-policies.calico",
    title="Calico's policies may let out to the zone only",
    routes=["K33"],
    controls=_CONTROLS,
    fix="Name nets or domains of the zone, or a selector of pods, in each destination that is allowed.",
    pack="egress",
    severity="critical",
    kinds=[
        "crd.projectcalico.org/GlobalNetworkPolicy",
        "crd.projectcalico.org/NetworkPolicy",
        "projectcalico.org/GlobalNetworkPolicy",
        "projectcalico.org/NetworkPolicy",
    ],
)
def calico(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A policy of Calico that comes first (by order and tier) decides before any NetworkPolicy does. Without
    a destination, with one that only says what it is not, or with `all()`, an Allow is the internet."""
    # docs.tigera.io/calico/latest/reference/resources/globalnetworkpolicy
    for egress in subject["spec"]["egress"].each():
        if egress["action"].text() in ("Deny", "Log", "Pass"):
            continue
        destination = egress["destination"]
        for network in destination["nets"].each():
            yield from _network(subject, network, network.text(), zone)
        for name in destination["domains"].each():
            yield from _name(subject, name, zone)
        if not any(_narrows(destination[key]) for key in _PEERS):
            yield subject.refuse(egress, seen="no destination", why=_EVERYWHERE)


#: What of a destination says which one it is.
_PEERS = ("domains", "namespaceSelector", "nets", "selector", "serviceAccounts", "services")


def _narrows(node: Node) -> bool:
    return node.opaque or (bool(node.value) and node.value not in ("all()", "global()"))


def _network(subject: Subject, where: Node, text: str | None, zone: Zone) -> Iterator[Hit]:
    if text is None:
        return
    allowed = hosts.network_of(text if "/" in text else f"{text}/{128 if ':' in text else 32}")
    if allowed is None:
        yield subject.undecided(where, seen="a malformed network", why="it is not an address block")
        return
    outside = NetworkSet((allowed,)) - zone.network_set
    if outside:
        yield subject.refuse(
            where, seen=str(allowed), why=f"pods may reach {outside.blocks[0]}, outside zone {zone.name}"
        )


def _name(subject: Subject, node: Node, zone: Zone) -> Iterator[Hit]:
    text = node.text()
    if text and not targets.within(text, zone):
        yield subject.refuse(node, seen=text, why=f"pods may reach hosts outside zone {zone.name}")
