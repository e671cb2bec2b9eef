"""Second networks of pods: no NetworkPolicy holds them, so they must lead nowhere but within the zone."""

from collections.abc import Iterator, Mapping

from facts.zones import Zone
from policies import kubernetes, targets
from policies.documents import Unparsable, of_json
from policies.kubernetes import PODS
from policies.model import Node
from policies.rule import Hit, Subject, rule
from policies.walkers import hosts

_CONTROLS = ("HDS EXI 05", "HIPAA 164.312(e)(1)", "GDPR 32", "SNC 13.2", "ISO 27001 A.8.22")

_ATTACHMENT = "k8s.cni.cncf.io/NetworkAttachmentDefinition"
#: k8snetworkplumbingwg/multus-cni docs/how-to-use.md and docs/configuration.md
_NETWORKS = "k8s.v1.cni.cncf.io/networks"
_DEFAULT = "v1.multus-cni.io/default-network"

#: Who gives a pod its address from what the settings say (cni.dev/plugins/current/ipam, whereabouts);
#: others ask somebody on the network.
_IPAM = frozenset(("host-local", "static", "whereabouts"))


@rule(
    "networks-attached.definition",
    title="A second network may reach networks of the zone only",
    routes=["K35"],
    controls=_CONTROLS,
    fix="Give addresses of the zone by host-local, static or whereabouts, with no route outside.",
    pack="egress",
    kinds=[_ATTACHMENT],
)
def definition(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A NetworkAttachmentDefinition gives pods a second interface (macvlan, SR-IOV, RDMA) straight onto a
    network of the site. NetworkPolicies know the first one only, so what the second can reach is decided by
    its addresses and routes."""
    config = subject["spec"]["config"]
    text = config.text()
    if config.absent:
        yield subject.undecided(config, seen="no config", why="a file on the node says what the network is")
    if text is None:
        return
    try:
        [document] = of_json(text)
    except (Unparsable, ValueError):
        yield subject.undecided(config, seen="a config that is not JSON", why="what it reaches is not told")
        return
    parsed = Node(document, config.path, subject.touched)
    plugins = [parsed] if parsed["plugins"].absent else list(parsed["plugins"].each())
    for plugin in plugins:
        for key in ("ipMasq", "isDefaultGateway"):
            if plugin[key].flag():
                yield subject.refuse(plugin[key], seen=key, why="what pods send leaves by the node's own way")
        ipam = plugin["ipam"]
        kind = ipam["type"].text()
        if kind is not None and kind not in _IPAM:
            yield subject.undecided(
                ipam["type"],
                seen="addresses by somebody else",
                why="who answers decides what the pod reaches",
            )
        for node in _strings(plugin):
            if _outside(str(node.value), zone):
                yield subject.refuse(
                    node, seen=str(node.value), why=f"the network reaches it, outside zone {zone.name}"
                )


@rule(
    "networks-attached.pods",
    title="A pod may join second networks that the plan shows",
    routes=["K35"],
    controls=_CONTROLS,
    fix="Put the NetworkAttachmentDefinition into the plan, or declare in the zone what its network reaches.",
    pack="egress",
    kinds=PODS,
)
def pods(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """An annotation joins a pod to second networks, where no NetworkPolicy holds it, and may give it another
    default route. The network must be in the plan, so that it can be judged, unless somebody answers for it
    (`declared` in the zone)."""
    namespace = kubernetes.namespace(subject)
    for pod in kubernetes.pods(subject):
        first = pod.annotations[_DEFAULT]
        if not first.absent:
            yield subject.refuse(
                first, seen=_DEFAULT, why="it replaces the network that NetworkPolicies hold"
            )
        where = pod.annotations[_NETWORKS]
        for name, route in _joined(where, namespace):
            if name is None:
                yield subject.undecided(where, seen=_NETWORKS, why="which networks it means can't be read")
                continue
            if route:
                yield subject.refuse(where, seen="default-route", why="all that the pod sends goes by it")
            shown = (_ATTACHMENT, *name) in subject.plan.by_object
            if not shown and not zone.declares("K35", subject.plan.at):
                yield subject.undecided(
                    where, seen="a network that the plan doesn't show", why="what it reaches is not told"
                )


def _strings(node: Node) -> Iterator[Node]:
    if isinstance(node.value, Mapping):
        for _, inner in node.members():
            yield from _strings(inner)
    elif isinstance(node.value, list):
        for inner in node.each():
            yield from _strings(inner)
    else:
        yield node


def _outside(text: str, zone: Zone) -> bool:
    """Whether a text is an address or a network, or a span of them, outside the zone."""
    found = [part for part in text.split("-") if part.count(".") == 3 or ":" in part]
    spans = [part for part in found if hosts.network_of(part) or hosts.address_of(part)]
    return not all(targets.within(part, zone) for part in spans)


def _joined(where: Node, namespace: str | None) -> Iterator[tuple[tuple[str, str] | None, bool]]:
    """The networks that an annotation names, by namespace and name, and whether with a route for all; None:
    one that can't be read."""
    text = (where.text() or "").strip()
    if text.startswith("["):
        try:
            [listed] = of_json(text)
        except (Unparsable, ValueError):
            listed = [None]
        for one in listed:
            known = isinstance(one, Mapping) and isinstance(one.get("name"), str)
            place = one.get("namespace", namespace or "") if known else ""
            yield (place, one["name"]) if known else None, known and "default-route" in one
        return
    for part in text.split(",") if text else ():
        place, _, name = part.strip().partition("@")[0].rpartition("/")
        yield (place or namespace or "", name), False
