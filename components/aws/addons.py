"""Add-ons that run on some nodes: names, and the drivers of volumes and of the bucket of weights. They wait
for nodes, because without any they never become healthy.
"""

from collections.abc import Sequence
from typing import Any, Final

from pulumi import ComponentResource, Resource, ResourceOptions

from components.aws.cluster import Cluster, addon, identify
from components.aws.place import Place
from components.aws.roles import Roles

#: Nodes with GPUs are tainted, and engines there mount volumes.
_EVERYWHERE: Final[dict[str, Any]] = {"node": {"tolerateAllTaints": True}}


class AddOns(ComponentResource):
    """The cluster's DNS, and drivers with a role of their own each."""

    made: tuple[Resource, ...]

    def __init__(
        self,
        name: str,
        place: Place,
        cluster: Cluster,
        roles: Roles,
        nodes: Sequence[Resource],
        *,
        guard: bool = False,
        opts: ResourceOptions | None = None,
    ) -> None:
        """`guard`: with GuardDuty's agent on each node."""
        super().__init__("sovereign:aws:AddOns", name, None, opts)
        volumes, weights = (
            identify(place, self, cluster.name, part, ("kube-system", account), role)
            for part, account, role in (
                ("volumes", "ebs-csi-controller-sa", roles.volumes),
                ("weights", "s3-csi-driver-sa", roles.weights),
            )
        )
        self.made = (
            addon(place, self, cluster, "coredns", nodes),
            addon(place, self, cluster, "aws-ebs-csi-driver", [*nodes, volumes], _EVERYWHERE),
            addon(place, self, cluster, "aws-mountpoint-s3-csi-driver", [*nodes, weights], _EVERYWHERE),
            *([addon(place, self, cluster, "aws-guardduty-agent", nodes)] if guard else []),
        )
        self.register_outputs({})
