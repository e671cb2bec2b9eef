"""How people reach a private cluster: a host for recorded sessions, or a VPN for their machines.

Neither exists unless the zone names it under `access`, because each is a way in.
"""

from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final

from pulumi import ComponentResource, Input, Output, ResourceOptions
from pulumi_aws.ec2 import (
    Instance,
    InstanceMetadataOptionsArgs,
    InstanceRootBlockDeviceArgs,
    SecurityGroup,
)
from pulumi_aws.ec2clientvpn import (
    AuthorizationRule,
    Endpoint,
    EndpointAuthenticationOptionArgs,
    EndpointClientRouteEnforcementOptionsArgs,
    EndpointConnectionLogOptionsArgs,
    NetworkAssociation,
)
from pulumi_aws.iam import InstanceProfile, Role, RolePolicy
from pulumi_aws.ssm import Document

from components.aws.endpoints import Endpoints
from components.aws.logs import LogKeeping
from components.aws.network import Network, connect
from components.aws.place import Place
from components.aws.policy import document, taken_on
from facts.zones import Zone

_SESSIONS: Final = "session-manager"
_VPN: Final = "client-vpn"
#: Minutes until a session without input ends, and until any does.
_IDLE, _LONGEST = "15", "60"
#: Prefixes of networks that a VPN gives addresses of.
_WIDEST, _NARROWEST = 12, 22
#: Hours until people sign on anew.
_HOURS: Final = 8


class AccessError(ValueError):
    """A way in that the zone does not name, or that AWS doesn't take; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class VpnMembers:
    """Who may use the VPN. `addresses`: a network of the zone that their machines get addresses of.
    `certificate`: ARN in ACM of the server's. `identities`: ARN of the provider where they sign on.
    `groups`: as it names them, and the zone under `people`."""

    addresses: str
    certificate: str
    identities: str
    groups: tuple[str, ...]


class SessionHost(ComponentResource):
    """A small machine beside the cluster, on which Session Manager opens recorded sessions and forwards
    ports.

    It reaches the API server and the endpoints, and holds no rights in the cluster: people bring their own.
    """

    instance: Output[str]  #: id of the machine
    document: Output[str]  #: name of the session document, which people have to use

    def __init__(
        self,
        name: str,
        place: Place,
        zone: Zone,
        network: Network,
        endpoints: Endpoints,
        image: str,
        volumes_key: Input[str],
        logs: LogKeeping,
        opts: ResourceOptions | None = None,
    ) -> None:
        """`image`: id of an AMI of Amazon Linux 2023; `volumes_key`: ARN of the key of its disk. `endpoints`
        have those of sessions. Raises AccessError."""
        super().__init__("sovereign:aws:SessionHost", name, None, opts)
        _named(zone, _SESSIONS)
        group = _group(name, place, self, network, "Session host: opens the endpoints and the Kubernetes API")
        connect(f"{name}-control-plane", place, self, group, network.control_plane_group, "Kubernetes API")
        endpoints.serve(name, place, group)
        record = logs.group(place, self, "sessions")
        machine = Instance(
            name,
            ami=image,
            instance_type="t3.micro",
            subnet_id=network.nodes[place.zones[0]],
            vpc_security_group_ids=[group],
            associate_public_ip_address=False,
            iam_instance_profile=self._profile(name, place, record.arn, logs.key),
            metadata_options=InstanceMetadataOptionsArgs(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            root_block_device=InstanceRootBlockDeviceArgs(
                encrypted=True, kms_key_id=volumes_key, volume_type="gp3"
            ),
            ebs_optimized=True,
            monitoring=True,
            tags={"Name": name},
            opts=place.within(self),
        )
        self.instance = machine.id
        shell = Document(
            name,
            name=f"{name}-session",
            document_type="Session",
            document_format="JSON",
            content=Output.json_dumps(
                {
                    "schemaVersion": "1.0",
                    "description": "Recorded, encrypted sessions",
                    "sessionType": "Standard_Stream",
                    "inputs": {
                        "cloudWatchLogGroupName": record.name,
                        "cloudWatchEncryptionEnabled": True,
                        "cloudWatchStreamingEnabled": True,
                        "kmsKeyId": logs.key,
                        "idleSessionTimeout": _IDLE,
                        "maxSessionDuration": _LONGEST,
                    },
                }
            ),
            opts=place.within(self),
        )
        self.document = shell.name
        self.register_outputs({"instance": self.instance, "document": self.document})

    def _profile(self, name: str, place: Place, record: Output[str], key: Input[str]) -> Output[str]:
        """What the agent on the machine may do, and no more
        (docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html)."""
        role = Role(name, assume_role_policy=taken_on(place, "ec2"), opts=place.within(self))
        RolePolicy(
            name,
            role=role.id,
            policy=document(
                {
                    "Effect": "Allow",
                    "Action": [
                        "ssm:UpdateInstanceInformation",
                        *(f"ssmmessages:{verb}{kind}Channel" for verb in _VERBS for kind in _CHANNELS),
                    ],
                    "Resource": "*",
                },
                {
                    "Effect": "Allow",
                    "Action": ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
                    "Resource": Output.concat(record, ":*"),
                },
                {"Effect": "Allow", "Action": "logs:DescribeLogGroups", "Resource": "*"},
                {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key},
            ),
            opts=place.within(self),
        )
        return InstanceProfile(name, role=role.name, opts=place.within(self)).name


_VERBS, _CHANNELS = ("Create", "Open"), ("Control", "Data")


class ClientVpn(ComponentResource):
    """A VPN for people's machines: who sign on with the site's identity provider, to the network only, every
    connection recorded."""

    endpoint: Output[str]  #: id, for the configuration of clients

    def __init__(
        self,
        name: str,
        place: Place,
        zone: Zone,
        network: Network,
        members: VpnMembers,
        logs: LogKeeping,
        opts: ResourceOptions | None = None,
    ) -> None:
        """Raises AccessError."""
        super().__init__("sovereign:aws:ClientVpn", name, None, opts)
        _named(zone, _VPN)
        _apart(members.addresses, network)
        group = _group(name, place, self, network, "Machines of people: open the Kubernetes API")
        connect(f"{name}-control-plane", place, self, group, network.control_plane_group, "Kubernetes API")
        endpoint = Endpoint(
            name,
            description="Machines of people",
            vpc_id=network.vpc_id,
            security_group_ids=[group],
            client_cidr_block=members.addresses,
            server_certificate_arn=members.certificate,
            authentication_options=[
                EndpointAuthenticationOptionArgs(
                    type="federated-authentication", saml_provider_arn=members.identities
                )
            ],
            connection_log_options=EndpointConnectionLogOptionsArgs(
                enabled=True, cloudwatch_log_group=logs.group(place, self, "vpn").name
            ),
            # routes that a machine adds by itself are taken out again
            client_route_enforcement_options=EndpointClientRouteEnforcementOptionsArgs(enforced=True),
            dns_servers=[network.resolver],
            split_tunnel=True,
            self_service_portal="disabled",
            session_timeout_hours=_HOURS,
            disconnect_on_session_timeout=True,
            tags={"Name": name},
            opts=place.within(self),
        )
        self.endpoint = endpoint.id
        for availability_zone, subnet in network.endpoints.items():
            NetworkAssociation(
                f"{name}-{availability_zone.removeprefix(place.region)}",
                client_vpn_endpoint_id=endpoint.id,
                subnet_id=subnet,
                opts=place.within(self),
            )
        for index, members_group in enumerate(members.groups):
            AuthorizationRule(
                f"{name}-{index}",
                client_vpn_endpoint_id=endpoint.id,
                target_network_cidr=network.cidr,
                access_group_id=members_group,
                opts=place.within(self),
            )
        self.register_outputs({"endpoint": self.endpoint})


def _named(zone: Zone, way: str) -> None:
    if way not in zone.access:
        raise AccessError(
            f"Zone {zone.name} does not name {way} among its ways in ({', '.join(zone.access) or 'none'}): "
            f"leave it out of the settings, or add {way} to `access` of the zone."
        )


def _apart(addresses: str, network: Network) -> None:
    """Refuses addresses of clients that AWS doesn't take
    (docs.aws.amazon.com/vpn/latest/clientvpn-admin/what-is-best-practices.html)."""
    clients = IPv4Network(addresses)
    if not _WIDEST <= clients.prefixlen <= _NARROWEST or clients.overlaps(IPv4Network(network.cidr)):
        raise AccessError(
            f"Machines of people can't get addresses of {addresses}: name a network of /{_WIDEST} to "
            f"/{_NARROWEST} that is not part of {network.cidr}."
        )


def _group(
    name: str, place: Place, parent: ComponentResource, network: Network, description: str
) -> Output[str]:
    group = SecurityGroup(
        name,
        description=description,
        vpc_id=network.vpc_id,
        revoke_rules_on_delete=True,
        tags={"Name": name},
        opts=place.within(parent),
    )
    return group.id
