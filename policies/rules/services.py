"""Services that are a way out, or a door from outside."""

from collections.abc import Iterator

from facts import load_balancers
from facts.networks import NetworkSet
from facts.zones import Zone
from policies.model import Node
from policies.rule import Cel, Hit, Subject, rule
from policies.walkers import hosts

_OUT = ("HDS EXI 05", "HIPAA 164.312(e)(1)", "GDPR 32", "SNC 13.2")
_DOOR = ("HDS EXI 29", "HIPAA 164.312(a)(1)", "GDPR 32", "SNC 13.2")


@rule(
    "services.external-name",
    title="A Service may not stand for a host outside",
    routes=["K11"],
    controls=_OUT,
    fix="Point externalName at a host of the zone, or use a Service with a selector.",
    pack="egress",
    kinds=["core/Service"],
    cel=[
        Cel("object.spec.type != 'ExternalName' || {hosts}.exists(h, object.spec.externalName.matches(h))"),
    ],
)
def external_name(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A Service of type ExternalName is an alias in the cluster's DNS: callers see an internal name and talk
    to a host outside."""
    name = subject["spec"]["externalName"]
    text = name.text()
    if text is not None and not hosts.inside(hosts.host_of(text) or "", zone):
        yield subject.refuse(
            name,
            seen=hosts.host_of(text) or "no readable host",
            why=f"the name leads outside zone {zone.name}",
        )


@rule(
    "services.doors",
    title="A Service may not open a door to the outside",
    routes=["K12"],
    controls=_DOOR,
    fix="Use type ClusterIP behind the gateway, or the annotation that makes the load balancer internal.",
    pack="egress",
    kinds=["core/Service"],
    cel=[
        Cel(
            "object.spec.type in ['ClusterIP', 'ExternalName'] || object.spec.type == 'LoadBalancer' "
            "&& (has(object.spec.loadBalancerIP) && {networks}.exists(n, "
            "cidr(n).containsIP(object.spec.loadBalancerIP)) || has(object.metadata.annotations) && "
            "object.metadata.annotations.exists(k, k + '=' + "
            "object.metadata.annotations[k].lowerAscii() in {internal}))"
        ),
        Cel("!has(object.spec.externalIPs) || size(object.spec.externalIPs) == 0"),
    ],
)
def doors(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A NodePort listens on every address of every node. externalIPs take over traffic to any address that is
    named, other people's too (CVE-2020-8554). A LoadBalancer is public unless an annotation of its cloud says
    internal (facts/load_balancers.yaml), or it asks for an address of the zone's networks."""
    spec = subject["spec"]
    for address in spec["externalIPs"].each():
        seen = hosts.host_of(address.text() or "") or "no address"
        yield subject.refuse(address, seen=seen, why="traffic to it would be taken over")
    kind = spec["type"].text()
    if kind == "NodePort":
        yield subject.refuse(spec["type"], seen=kind, why="it listens on every address of every node")
    elif kind == "LoadBalancer" and not _is_internal(subject, zone):
        yield subject.refuse(
            spec["type"], seen=kind, why="nothing says that it is internal, and without that it is public"
        )


@rule(
    "services.endpoints",
    title="Endpoints written by hand must lie in the zone",
    routes=["K13"],
    controls=_OUT,
    fix="Name addresses of the zone's networks, or let a selector fill in the endpoints.",
    pack="egress",
    kinds=["core/Endpoints", "discovery.k8s.io/EndpointSlice"],
    cel=[
        Cel(
            "!has(object.subsets) || object.subsets.all(s, (!has(s.addresses) || s.addresses.all(a, "
            "{networks}.exists(n, cidr(n).containsIP(a.ip)))) && (!has(s.notReadyAddresses) || "
            "s.notReadyAddresses.all(a, {networks}.exists(n, cidr(n).containsIP(a.ip)))))",
            kinds=("core/Endpoints",),
        ),
        Cel(
            "object.addressType == 'FQDN' ? object.endpoints.all(e, e.addresses.all(a, "
            "{hosts}.exists(h, a.matches(h)))) : object.endpoints.all(e, e.addresses.all(a, "
            "{networks}.exists(n, cidr(n).containsIP(a))))",
            kinds=("discovery.k8s.io/EndpointSlice",),
        ),
    ],
)
def endpoints(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Endpoints and EndpointSlices may be written by hand: a Service without a selector then leads to any
    address, and callers see an internal name."""
    for where in _addresses(subject):
        text = where.text()
        if text is None:
            continue
        host = hosts.host_of(text) or ""
        if not _belongs(host, zone):
            yield subject.refuse(
                where, seen=host or "no readable address", why=f"it is outside zone {zone.name}"
            )


def _addresses(subject: Subject) -> Iterator[Node]:
    for subset in subject["subsets"].each():
        for key in ("addresses", "notReadyAddresses"):
            for address in subset[key].each():
                yield address["ip"]
    for endpoint in subject["endpoints"].each():
        yield from endpoint["addresses"].each()


def _belongs(host: str, zone: Zone) -> bool:
    if hosts.address_of(host) is not None:
        return hosts.declared(host, zone)
    return hosts.inside(host, zone)


def _is_internal(subject: Subject, zone: Zone) -> bool:
    """Whether a load balancer is surely internal; annotations that contradict each other make it public."""
    annotations = subject["metadata"]["annotations"]
    said = [
        (annotations[name].text() or "").lower() in values
        for name, values in load_balancers.internal_annotations().items()
        if not annotations[name].absent
    ]
    if said:
        return all(said)
    asked = [subject["spec"]["loadBalancerIP"], *(annotations[key] for key in _ADDRESS_ANNOTATIONS)]
    networks = [
        hosts.network_of(f"{one.strip()}/{128 if ':' in one else 32}")
        for node in asked
        for one in (node.text() or "").split(",")
        if one
    ]
    return bool(networks) and all(
        network is not None and zone.network_set.covers(NetworkSet((network,))) for network in networks
    )


#: Annotations that ask for a certain address: metallb.io/usage, docs.cilium.io (LB IPAM), kube-vip.io.
_ADDRESS_ANNOTATIONS = (
    "metallb.io/loadBalancerIPs",
    "metallb.universe.tf/loadBalancerIPs",
    "lbipam.cilium.io/ips",
    "io.cilium/lb-ipam-ips",
    "kube-vip.io/loadbalancerIPs",
)
