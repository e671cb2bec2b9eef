"""The network: private subnets that reach each other, what the endpoints lead to, and nothing else.

No gateway and no route leads out of it; Amazon's own resolver is held by dns.py, AWS's services are reached
by endpoints.py, and account.py keeps anybody from attaching a gateway later. Every flow is recorded.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_network
from typing import Final

from pulumi import ComponentResource, Input, Output, ResourceOptions
from pulumi_aws.ec2 import (
    DefaultRouteTable,
    DefaultSecurityGroup,
    FlowLog,
    RouteTable,
    RouteTableAssociation,
    SecurityGroup,
    Subnet,
    Vpc,
)
from pulumi_aws.iam import Role, RolePolicy
from pulumi_aws.vpc import SecurityGroupEgressRule, SecurityGroupIngressRule

from components.aws.logs import LogKeeping
from components.aws.place import Place
from components.aws.policy import document, trusted
from components.aws.use import Use

#: A quarter of the network for the nodes and pods of each zone, and the last one for the rest.
_QUARTERS: Final = 2
#: As long as the prefix may be (endpoints need 25 addresses in each zone), and as short as AWS takes.
_SHORTEST, _LONGEST = 16, 20
#: The smallest subnet that AWS takes; the API servers of EKS need six addresses in each.
_SMALLEST: Final = 28
#: RFC 1918
_PRIVATE: Final = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
#: What the control plane calls on nodes and pods: kubelet, webhooks, aggregated APIs
#: (docs.aws.amazon.com/eks/latest/userguide/sec-group-reqs.html).
_CALLED: Final = ((443, 443), (1025, 65535))


class NetworkError(ValueError):
    """Addresses that can't be used; the message says which and what is needed."""


@dataclass(frozen=True, kw_only=True)
class UsedNetwork:
    """A VPC of the landing zone: `vpc.id` is its id, the subnets are by availability zone. What keeps it
    private (no route out, a DNS firewall, flow logs) is the owner's word in `vpc.what`."""

    vpc: Use
    cidr: str
    nodes: Mapping[str, str]
    endpoints: Mapping[str, str]
    control_plane: Mapping[str, str]
    route_tables: tuple[str, ...]


class Network(ComponentResource):
    """Three kinds of subnets in each availability zone, and the groups of nodes and control plane.

    `nodes_group` lets nodes reach each other and the control plane; endpoints.py opens their way to AWS's
    services. `cidr` holds all addresses.
    """

    vpc_id: Output[str]
    identity: str  #: what another network has another of, known beforehand
    cidr: str
    nodes: Mapping[str, Output[str]]  #: subnets by availability zone
    endpoints: Mapping[str, Output[str]]  #: subnets by availability zone
    control_plane: Mapping[str, Output[str]]  #: subnets by availability zone
    route_tables: tuple[Output[str], ...]
    nodes_group: Output[str]  #: security group
    control_plane_group: Output[str]  #: security group, beside the one that EKS makes

    def __init__(
        self,
        name: str,
        place: Place,
        network: str | UsedNetwork,
        logs: LogKeeping,
        opts: ResourceOptions | None = None,
    ) -> None:
        """`network`: the addresses to make it with ("10.20.0.0/16"), or one that is there. Raises
        NetworkError."""
        super().__init__("sovereign:aws:Network", name, None, opts)
        if isinstance(network, UsedNetwork):
            self._use(place, network)
        else:
            self._create(name, place, network)
            self._record(name, place, logs)
        self._open(name, place)
        self.register_outputs({"vpc_id": self.vpc_id})

    @property
    def resolver(self) -> str:
        """The address of Amazon's resolver in the network
        (docs.aws.amazon.com/vpc/latest/userguide/AmazonDNS-concepts.html)."""
        return str(IPv4Network(self.cidr).network_address + 2)

    def _create(self, name: str, place: Place, cidr: str) -> None:
        plan = _subnets(cidr, len(place.zones))
        self.identity = self.cidr = cidr
        vpc = Vpc(
            name,
            cidr_block=cidr,
            # both, or endpoints have no private names
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags={"Name": name},
            opts=place.within(self),
        )
        self.vpc_id = vpc.id
        DefaultSecurityGroup(
            name,
            vpc_id=vpc.id,
            ingress=[],
            egress=[],
            tags={"Name": f"{name}-unused"},
            opts=place.within(self),
        )
        DefaultRouteTable(
            name,
            default_route_table_id=vpc.default_route_table_id,
            routes=[],
            tags={"Name": f"{name}-unused"},
            opts=place.within(self),
        )
        table = RouteTable(
            name, vpc_id=vpc.id, routes=[], tags={"Name": f"{name}-private"}, opts=place.within(self)
        )
        self.route_tables = (table.id,)
        made = {
            part: {
                zone: self._subnet(f"{name}-{part}", place, zone, block, table.id)
                for zone, block in zip(place.zones, blocks, strict=True)
            }
            for part, blocks in plan.items()
        }
        self.nodes, self.endpoints, self.control_plane = made.values()

    def _subnet(
        self, name: str, place: Place, zone: str, block: IPv4Network, table: Output[str]
    ) -> Output[str]:
        letter = zone.removeprefix(place.region)
        subnet = Subnet(
            f"{name}-{letter}",
            vpc_id=self.vpc_id,
            cidr_block=str(block),
            availability_zone=zone,
            map_public_ip_on_launch=False,
            tags={"Name": f"{name}-{letter}"},
            opts=place.within(self),
        )
        RouteTableAssociation(
            f"{name}-{letter}", subnet_id=subnet.id, route_table_id=table, opts=place.within(self)
        )
        return subnet.id

    def _use(self, place: Place, network: UsedNetwork) -> None:
        for part in (network.nodes, network.endpoints, network.control_plane):
            missing = [zone for zone in place.zones if zone not in part]
            if missing:
                raise NetworkError(
                    f"The network {network.vpc.id} has no subnet in {', '.join(missing)}: name one of each "
                    "kind in every availability zone of the place, or leave the zone out of the place."
                )
        _parsed(network.cidr)
        self.identity, self.cidr = network.vpc.id, network.cidr
        self.vpc_id = Output.from_input(network.vpc.id)
        self.nodes, self.endpoints, self.control_plane = (
            {zone: Output.from_input(part[zone]) for zone in place.zones}
            for part in (network.nodes, network.endpoints, network.control_plane)
        )
        self.route_tables = tuple(Output.from_input(table) for table in network.route_tables)

    def _record(self, name: str, place: Place, logs: LogKeeping) -> None:
        group = logs.group(place, self, "flows")
        role = Role(
            f"{name}-flows",
            assume_role_policy=trusted(place, "vpc-flow-logs", place.arn("ec2", "vpc-flow-log/*")),
            opts=place.within(self),
        )
        policy = RolePolicy(
            f"{name}-flows",
            role=role.id,
            policy=document(
                {
                    "Effect": "Allow",
                    "Action": ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
                    "Resource": Output.concat(group.arn, ":*"),
                }
            ),
            opts=place.within(self),
        )
        FlowLog(
            name,
            vpc_id=self.vpc_id,
            traffic_type="ALL",
            max_aggregation_interval=60,
            log_destination_type="cloud-watch-logs",
            log_destination=group.arn,
            iam_role_arn=role.arn,
            tags={"Name": name},
            opts=place.within(self, depends_on=[policy]),
        )

    def _open(self, name: str, place: Place) -> None:
        """Nodes to each other; nodes and control plane to each other where EKS needs it."""
        self.nodes_group = self._group(f"{name}-nodes", place, "Nodes and pods of the cluster")
        self.control_plane_group = self._group(f"{name}-control-plane", place, "API servers of the cluster")
        for rule in (SecurityGroupIngressRule, SecurityGroupEgressRule):
            rule(
                f"{name}-nodes-nodes",
                security_group_id=self.nodes_group,
                referenced_security_group_id=self.nodes_group,
                ip_protocol="-1",
                description="Pods among themselves: NetworkPolicies say which",
                opts=place.within(self),
            )
        connect(
            f"{name}-nodes-control-plane",
            place,
            self,
            self.nodes_group,
            self.control_plane_group,
            "Kubernetes API",
        )
        for first, last in _CALLED:
            connect(
                f"{name}-control-plane-nodes-{first}",
                place,
                self,
                self.control_plane_group,
                self.nodes_group,
                "Kubelets and webhooks",
                ports=(first, last),
            )

    def _group(self, name: str, place: Place, description: str) -> Output[str]:
        group = SecurityGroup(
            name,
            description=description,
            vpc_id=self.vpc_id,
            revoke_rules_on_delete=True,
            tags={"Name": name},
            opts=place.within(self),
        )
        return group.id


def connect(
    name: str,
    place: Place,
    parent: ComponentResource,
    source: Input[str],
    target: Input[str],
    description: str,
    *,
    ports: tuple[int, int] = (443, 443),
) -> None:
    """Lets one security group open connections to another, at both ends."""
    first, last = ports
    SecurityGroupEgressRule(
        name,
        security_group_id=source,
        referenced_security_group_id=target,
        ip_protocol="tcp",
        from_port=first,
        to_port=last,
        description=description,
        opts=place.within(parent),
    )
    SecurityGroupIngressRule(
        name,
        security_group_id=target,
        referenced_security_group_id=source,
        ip_protocol="tcp",
        from_port=first,
        to_port=last,
        description=description,
        opts=place.within(parent),
    )


def _subnets(cidr: str, zones: int) -> dict[str, list[IPv4Network]]:
    """The subnets of each kind, one a zone: nodes, endpoints, control plane."""
    whole = _parsed(cidr)
    if not _SHORTEST <= whole.prefixlen <= _LONGEST:
        raise NetworkError(
            f"The network {cidr} can't be divided: it needs a prefix of /{_SHORTEST} to /{_LONGEST}."
        )
    *quarters, rest = whole.subnets(_QUARTERS)
    if zones > len(quarters):
        raise NetworkError(
            f"The network {cidr} is divided for {len(quarters)} availability zones at most, and the place "
            f"has {zones}: name fewer."
        )
    halves = list(rest.subnets(1))
    endpoints = list(halves[0].subnets(new_prefix=min(whole.prefixlen + 8, 26)))
    control_plane = list(halves[1].subnets(new_prefix=_SMALLEST))
    return {
        "nodes": quarters[:zones],
        "endpoints": endpoints[:zones],
        "control-plane": control_plane[:zones],
    }


def _parsed(cidr: str) -> IPv4Network:
    try:
        network = ip_network(cidr)
    except ValueError as error:
        raise NetworkError(f"{cidr!r} is no network: {error}.") from None
    if not isinstance(network, IPv4Network) or not any(network.subnet_of(block) for block in _PRIVATE):
        raise NetworkError(f"The network {cidr} is not one of private IPv4 addresses (RFC 1918): use one.")
    return network
