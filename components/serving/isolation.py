"""Who may talk to whom: nothing in and out of the namespaces, then exactly the calls that the service makes.

    clients -> gateway -> vLLM          gateway -> audit -> object store, where one is declared
    gateway, audit -> DNS               Prometheus -> the metrics of all three

vLLM calls nobody and has no DNS: a name to be resolved is a way out. A namespace selector and a pod selector
stand in one peer each, which means both; in two they would mean either.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pulumi import ComponentResource, Resource, ResourceOptions
from pulumi_kubernetes import Provider
from pulumi_kubernetes.core.v1 import Namespace
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs
from pulumi_kubernetes.networking.v1 import (
    IPBlockArgs,
    NetworkPolicy,
    NetworkPolicyEgressRuleArgs,
    NetworkPolicyIngressRuleArgs,
    NetworkPolicyPeerArgs,
    NetworkPolicyPortArgs,
    NetworkPolicySpecArgs,
)

from components.ground import Ground
from components.serving import names
from components.serving.namespaces import Namespaces


@dataclass(frozen=True)
class Peer:
    """Pods by their namespace and labels."""

    namespace: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Place:
    """A namespace behind its policies: where a workload may stand."""

    name: str
    provider: Provider
    after: tuple[Resource, ...]

    def options(self, parent: Resource, after: Sequence[Resource] = ()) -> ResourceOptions:
        """For an object in this place: made once the namespace and all its policies stand."""
        return ResourceOptions(parent=parent, provider=self.provider, depends_on=[*self.after, *after])


class Isolation(ComponentResource):
    """The default deny of each namespace and the policies that open it, port by port."""

    gateway: Place
    serving: Place
    audit: Place

    def __init__(
        self,
        name: str,
        namespaces: Namespaces,
        clients: Sequence[str],
        door: Peer | None,
        ground: Ground,
        opts: ResourceOptions | None = None,
    ) -> None:
        """`clients` are the networks (CIDR) whose hosts may call the gateway; `door` the pods through which
        they do, where there are such: then the gateway takes calls of those pods only."""
        super().__init__("sovereign:index:Isolation", name, None, opts)
        where = namespaces.names
        gateway = _pods(where.gateway, {"app": names.GATEWAY})
        vllm = _pods(where.serving, {"app": names.VLLM})
        audit = _pods(where.audit, {"app": names.AUDIT})
        prometheus = _pods(where.monitoring, names.PROMETHEUS_LABELS)
        resolver = _pods(names.DNS_NAMESPACE, names.DNS_LABELS)
        callers = [_pods(door.namespace, door.labels)] if door else _blocks(clients)
        dns = _out([resolver], _port(53, protocol="UDP"), _port(53, protocol="TCP"))

        self.serving = self._place(
            namespaces.serving,
            where.serving,
            names.VLLM,
            ground.provider,
            # vLLM serves its metrics where it serves requests, behind the same client certificate
            ingress=[_in([gateway], _port(names.HTTPS)), _in([prometheus], _port(names.HTTPS))],
            egress=[],
        )
        self.gateway = self._place(
            namespaces.gateway,
            where.gateway,
            names.GATEWAY,
            ground.provider,
            ingress=[
                *([_in(callers, _port(names.HTTPS))] if callers else []),
                _in([prometheus], _port(names.METRICS)),
            ],
            egress=[_out([vllm], _port(names.HTTPS)), _out([audit], _port(names.HTTPS)), dns],
        )
        store = ground.audit.networks
        self.audit = self._place(
            namespaces.audit,
            where.audit,
            names.AUDIT,
            ground.provider,
            ingress=[_in([gateway], _port(names.HTTPS)), _in([prometheus], _port(names.METRICS))],
            egress=[*([_out(_blocks(store), _port(ground.audit.port))] if store else []), dns],
        )
        self.register_outputs({})

    def _place(
        self,
        namespace: Namespace | None,
        name: str,
        app: str,
        provider: Provider,
        ingress: list[NetworkPolicyIngressRuleArgs],
        egress: list[NetworkPolicyEgressRuleArgs],
    ) -> Place:
        after = () if namespace is None else (namespace,)
        options = ResourceOptions(parent=self, provider=provider, depends_on=after)
        deny = _policy(name, "default-deny", {}, None, None, options)
        allow = _policy(name, app, {"app": app}, ingress, egress, options)
        return Place(name, provider, (*after, deny, allow))


def _policy(
    place: str,
    name: str,
    pods: Mapping[str, str],
    ingress: list[NetworkPolicyIngressRuleArgs] | None,
    egress: list[NetworkPolicyEgressRuleArgs] | None,
    opts: ResourceOptions,
) -> NetworkPolicy:
    return NetworkPolicy(
        f"{place}/{name}",
        metadata=ObjectMetaArgs(
            name=name, namespace=place, labels={"app.kubernetes.io/part-of": "sovereign"}
        ),
        spec=NetworkPolicySpecArgs(
            pod_selector=LabelSelectorArgs(match_labels=pods) if pods else LabelSelectorArgs(),
            # without Egress among the types, an empty egress list denies nothing
            policy_types=["Ingress", "Egress"],
            ingress=ingress,
            egress=egress,
        ),
        opts=opts,
    )


def _pods(namespace: str, labels: Mapping[str, str]) -> NetworkPolicyPeerArgs:
    return NetworkPolicyPeerArgs(
        namespace_selector=LabelSelectorArgs(match_labels={"kubernetes.io/metadata.name": namespace}),
        pod_selector=LabelSelectorArgs(match_labels=dict(labels)),
    )


def _blocks(cidrs: Sequence[str]) -> list[NetworkPolicyPeerArgs]:
    return [NetworkPolicyPeerArgs(ip_block=IPBlockArgs(cidr=cidr)) for cidr in cidrs]


def _port(number: int, protocol: str = "TCP") -> NetworkPolicyPortArgs:
    return NetworkPolicyPortArgs(port=number, protocol=protocol)


def _in(peers: list[NetworkPolicyPeerArgs], *ports: NetworkPolicyPortArgs) -> NetworkPolicyIngressRuleArgs:
    return NetworkPolicyIngressRuleArgs(from_=peers, ports=list(ports))


def _out(peers: list[NetworkPolicyPeerArgs], *ports: NetworkPolicyPortArgs) -> NetworkPolicyEgressRuleArgs:
    return NetworkPolicyEgressRuleArgs(to=peers, ports=list(ports))
