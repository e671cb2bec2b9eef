"""The way in: how the hospital's applications reach the gateway, and nothing else does.

TLS goes through to the gateway's own pods in either form, so that nobody between sees a request:

    load balancer   a Service of the site's own network, open to the clients' networks only, which keeps the
                    caller's address, so that the gateway's NetworkPolicy means the caller too
    Gateway         a TLSRoute at a Gateway that the cluster has already, by server name, passed through
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pulumi import ComponentResource, ResourceOptions
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.core.v1 import Service, ServicePortArgs, ServiceSpecArgs

from components.serving import names
from components.serving.isolation import Place
from components.serving.workload import metadata

#: the port that applications call
_PORT = 443


@dataclass(frozen=True)
class LoadBalancer:
    """An address of the site's network, or the annotation by which its controller gives an internal one."""

    address: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    class_name: str | None = None


@dataclass(frozen=True)
class SharedGateway:
    """A Gateway of the cluster (Gateway API) with a TLS listener in mode Passthrough, and its pods."""

    name: str
    namespace: str
    listener: str
    pods: Mapping[str, str]


@dataclass(frozen=True)
class Clients:
    """Who may call: `networks` (CIDR), the `host` name they use, and through what; None: nothing opens."""

    networks: tuple[str, ...] = ()
    host: str | None = None
    through: LoadBalancer | SharedGateway | None = None


class Entrance(ComponentResource):
    """The Service or the route, in the gateway's namespace."""

    def __init__(
        self, name: str, clients: Clients, place: Place, opts: ResourceOptions | None = None
    ) -> None:
        super().__init__("sovereign:index:Entrance", name, None, opts)
        who = names.part(names.GATEWAY)
        entrance = f"{who.name}-entrance"
        through = clients.through
        if isinstance(through, LoadBalancer):
            Service(
                f"{place.name}/{entrance}",
                metadata=metadata(who, place, entrance, through.annotations),
                spec=ServiceSpecArgs(
                    type="LoadBalancer",
                    load_balancer_class=through.class_name,
                    load_balancer_ip=through.address,
                    load_balancer_source_ranges=list(clients.networks),
                    # the caller's own address arrives, so that the policy on the gateway's pods means it
                    external_traffic_policy="Local",
                    # a port of each node would be a second door
                    allocate_load_balancer_node_ports=False,
                    selector=who.selector,
                    ports=[ServicePortArgs(name="https", port=_PORT, target_port="https", protocol="TCP")],
                ),
                opts=place.options(self),
            )
        elif isinstance(through, SharedGateway):
            CustomResource(
                f"{place.name}/{entrance}",
                api_version="gateway.networking.k8s.io/v1alpha2",
                kind="TLSRoute",
                metadata=metadata(who, place, entrance),
                spec={
                    "parentRefs": [
                        {
                            "name": through.name,
                            "namespace": through.namespace,
                            "sectionName": through.listener,
                        }
                    ],
                    "hostnames": [clients.host],
                    "rules": [{"backendRefs": [{"name": who.name, "port": names.HTTPS}]}],
                },
                opts=place.options(self),
            )
        self.register_outputs({})
