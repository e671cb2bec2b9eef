"""Nodes: machines with Bottlerocket, which has no shell, no package manager and a root that can't be written.

Both disks are encrypted with the key of volumes, and the metadata that holds the node's rights is out of
reach of pods: it wants a token, and a pod is one hop too far.
"""

import base64
from dataclasses import dataclass
from typing import Final

from pulumi import ComponentResource, Input, Resource, ResourceOptions
from pulumi_aws import ec2, eks

from components.aws.cluster import Cluster
from components.aws.network import Network
from components.aws.place import Place
from components.aws.roles import Roles
from facts.gpus import Gpu

#: Bottlerocket's own disk, which is never written, and that of images and pods; GiB.
_SYSTEM_DISK, _DATA_DISK, _GPU_DATA_DISK = 4, 100, 300
#: docs.aws.amazon.com/eks/latest/APIReference/API_Nodegroup.html; that with GPUs brings the driver and the
#: device plugin. Those with FIPS ask endpoints that only regions in North America have.
_IMAGE: Final = "BOTTLEROCKET_x86_64"
_GPU_IMAGE: Final = "BOTTLEROCKET_x86_64_NVIDIA"

#: Unless it is told otherwise the system reports to its makers and asks a public pool for the time
#: (bottlerocket.dev/en/os/latest/api/settings); AWS's own clock is on the link. Nobody logs in: there is
#: neither a shell nor a session. What crashes leaves no memory on the disk.
_SETTINGS: Final = """\
[settings.metrics]
send-metrics = false

[settings.ntp]
time-servers = ["169.254.169.123"]

[settings.host-containers.admin]
enabled = false

[settings.host-containers.control]
enabled = false

[settings.kubernetes]
seccomp-default = true

[settings.kernel.sysctl]
"kernel.core_pattern" = "|/bin/false"
"""
#: A pod sees the GPUs that it has asked for, whatever its image says in NVIDIA_VISIBLE_DEVICES.
_GPU_SETTINGS: Final = """
[settings.nvidia-container-runtime]
visible-devices-as-volume-mounts = true
visible-devices-envvar-when-unprivileged = false

[settings.kubelet-device-plugins.nvidia]
device-list-strategy = "volume-mounts"
"""


class NodesError(ValueError):
    """Machines that can't be had as they are asked for; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """GPUs that are kept for the stack, in one availability zone: its quota is no promise of machines.

    `id` None: the kit makes an on-demand reservation, which is paid for from then on, used or not.
    `block`: the one of that id is a capacity block, bought for some days.
    """

    zone: str
    id: str | None = None
    block: bool = False

    def __post_init__(self) -> None:
        """Raises NodesError for a block without an id: buying one is nothing that a plan should do."""
        if self.block and self.id is None:
            raise NodesError("reservation: a capacity block is bought beforehand: name its id.")


@dataclass(frozen=True, kw_only=True)
class Machines:
    """As many machines of a type as are meant, over all availability zones of the place or those named; `gpu`
    where the type has some."""

    type: str
    count: int
    zones: tuple[str, ...] = ()
    gpu: Gpu | None = None
    reservation: Reservation | None = None

    @property
    def labels(self) -> dict[str, str]:
        """What nodes are chosen by."""
        if self.gpu is None:
            return {"llm.kit/pool": "system"}
        return {"llm.kit/pool": "gpu", "nvidia.com/gpu.product": self.gpu.products[0]}


class Nodes(ComponentResource):
    """A group of nodes."""

    group: eks.NodeGroup

    def __init__(
        self,
        name: str,
        place: Place,
        cluster: Cluster,
        network: Network,
        roles: Roles,
        key: Input[str],
        machines: Machines,
        opts: ResourceOptions | None = None,
    ) -> None:
        """`key`: ARN of the key that encrypts disks. Raises NodesError for a zone without subnets."""
        super().__init__("sovereign:aws:Nodes", name, None, opts)
        gpu, reservation, count = machines.gpu, machines.reservation, machines.count
        zones = (reservation.zone,) if reservation else machines.zones or place.zones
        if missing := [zone for zone in zones if zone not in network.nodes]:
            raise NodesError(
                f"{name}: the network has no subnet of nodes in {', '.join(missing)}: use "
                f"{', '.join(network.nodes)}, or add the availability zone to the place."
            )
        template = self._template(name, place, network, key, machines)
        self.group = eks.NodeGroup(
            name,
            cluster_name=cluster.name,
            node_group_name=name,
            node_role_arn=roles.nodes.arn,
            subnet_ids=[network.nodes[zone] for zone in zones],
            ami_type=_GPU_IMAGE if gpu else _IMAGE,
            version=cluster.release.kubernetes,
            capacity_type="CAPACITY_BLOCK" if reservation and reservation.block else "ON_DEMAND",
            launch_template={"id": template.id, "version": template.latest_version.apply(str)},
            scaling_config={"desired_size": count, "min_size": count, "max_size": count},
            update_config={
                "max_unavailable": 1,
                # a new machine has room in a reservation only once an old one has left it
                # (docs.aws.amazon.com/eks/latest/APIReference/API_NodegroupUpdateConfig.html)
                "update_strategy": "MINIMAL" if reservation else "DEFAULT",
            },
            node_repair_config={"enabled": True},
            labels=machines.labels,
            taints=[{"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}] if gpu else None,
            opts=place.within(self, depends_on=list(cluster.ready)),
        )
        self.register_outputs({})

    def _template(
        self, name: str, place: Place, network: Network, key: Input[str], machines: Machines
    ) -> ec2.LaunchTemplate:
        gpu, reservation = machines.gpu, machines.reservation
        settings = _SETTINGS + (_GPU_SETTINGS if gpu else "")
        tags = {**place.tags, "Name": name}
        return ec2.LaunchTemplate(
            name,
            name=name,
            instance_type=machines.type,
            update_default_version=True,
            block_device_mappings=[
                _disk("/dev/xvda", _SYSTEM_DISK, key),
                _disk("/dev/xvdb", _GPU_DATA_DISK if gpu else _DATA_DISK, key),
            ],
            metadata_options={
                "http_endpoint": "enabled",
                "http_tokens": "required",
                "http_put_response_hop_limit": 1,
                "http_protocol_ipv6": "disabled",
                "instance_metadata_tags": "disabled",
            },
            network_interfaces=[
                {
                    "device_index": 0,
                    "associate_public_ip_address": "false",
                    "security_groups": [network.nodes_group],
                    "delete_on_termination": "true",
                }
            ],
            capacity_reservation_specification=_kept(name, place, self, machines),
            instance_market_options={"market_type": "capacity-block"}
            if reservation and reservation.block
            else None,
            monitoring={"enabled": True},
            ebs_optimized="true",
            user_data=base64.b64encode(settings.encode()).decode(),
            tag_specifications=[
                {"resource_type": "instance", "tags": tags},
                {"resource_type": "volume", "tags": tags},
            ],
            tags={"Name": name},
            opts=place.within(self),
        )


def _disk(device: str, size: int, key: Input[str]) -> ec2.LaunchTemplateBlockDeviceMappingArgsDict:
    return {
        "device_name": device,
        "ebs": {
            "encrypted": "true",
            "kms_key_id": key,
            "volume_type": "gp3",
            "volume_size": size,
            "delete_on_termination": "true",
        },
    }


def _kept(
    name: str, place: Place, parent: Resource, machines: Machines
) -> ec2.LaunchTemplateCapacityReservationSpecificationArgsDict | None:
    """Machines of the reservation and no others, where there is one."""
    reservation = machines.reservation
    if reservation is None:
        return None
    id: Input[str] | None = reservation.id
    if id is None:
        id = ec2.CapacityReservation(
            name,
            instance_type=machines.type,
            instance_platform="Linux/UNIX",
            availability_zone=reservation.zone,
            instance_count=machines.count,
            instance_match_criteria="targeted",
            end_date_type="unlimited",
            ebs_optimized=True,
            tags={"Name": name},
            opts=place.within(parent),
        ).id
    return {
        "capacity_reservation_preference": "capacity-reservations-only",
        "capacity_reservation_target": {"capacity_reservation_id": id},
    }
