"""The cluster: an EKS control plane that answers inside the network only, whose Secrets are encrypted with a
key of one's own, and which writes down every request.

What runs on every node comes with it (the network plugin, which enforces NetworkPolicies, kube-proxy, the
agent of Pod Identity), because nodes become ready only with it; what runs on some is in addons.py.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pulumi import ComponentResource, Input, Output, Resource, ResourceOptions
from pulumi_aws import eks
from pulumi_aws.iam import Role

from components.aws.keys import Keys
from components.aws.logs import LogKeeping
from components.aws.network import Network
from components.aws.place import Place
from components.aws.roles import Roles
from facts.eks import Release

#: docs.aws.amazon.com/eks/latest/userguide/control-plane-logs.html: all that there are
_LOGS: Final = ("api", "audit", "authenticator", "controllerManager", "scheduler")
_ADMINISTRATION: Final = "AmazonEKSClusterAdminPolicy"
#: Enforcement is off unless it is asked for. In mode `strict` a pod may do nothing until its policies are
#: there, the cluster's own pods too, which have none: the cluster would never start. In `standard` a new pod
#: is open for about a second, within a network that leads nowhere
#: (docs.aws.amazon.com/eks/latest/userguide/cni-network-policy-configure.html).
_NETWORK: Final = {"enableNetworkPolicy": "true", "env": {"NETWORK_POLICY_ENFORCING_MODE": "standard"}}


@dataclass(frozen=True, kw_only=True)
class Entries:
    """Who enters the cluster, by the ARN of a role: deployers as administrators, because they make what the
    whole cluster shares; others as members of Kubernetes groups, to which roles of the cluster are bound."""

    deployers: Sequence[str]
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)


class Cluster(ComponentResource):
    """One private cluster."""

    name: Output[str]
    endpoint: Output[str]
    authority: Output[str]  #: base64 of PEM
    release: Release
    ready: tuple[Resource, ...]  #: what nodes wait for
    entered: tuple[Resource, ...]  #: what whoever makes objects there waits for

    def __init__(
        self,
        name: str,
        place: Place,
        network: Network,
        roles: Roles,
        keys: Keys,
        logs: LogKeeping,
        entries: Entries,
        release: Release,
        services: str,
        opts: ResourceOptions | None = None,
    ) -> None:
        """`services`: addresses of Services, of the zone and outside the network ("172.20.0.0/16")."""
        super().__init__("sovereign:aws:Cluster", name, None, opts)
        self.release = release
        # EKS would make it itself, unencrypted and for ever
        record = logs.group(place, self, "cluster", f"/aws/eks/{place.name}/cluster")
        cluster = eks.Cluster(
            name,
            name=place.name,
            version=release.kubernetes,
            role_arn=roles.cluster.arn,
            vpc_config={
                "subnet_ids": list(network.control_plane.values()),
                "security_group_ids": [network.control_plane_group],
                "endpoint_private_access": True,
                "endpoint_public_access": False,
                # else it calls webhooks and issuers by a path that no rule of the network sees
                "control_plane_egress_mode": "CUSTOMER_ROUTED",
            },
            kubernetes_network_config={"ip_family": "ipv4", "service_ipv4_cidr": services},
            encryption_config={"provider": {"key_arn": keys.cluster}, "resources": ["secrets"]},
            access_config={
                "authentication_mode": "API",
                "bootstrap_cluster_creator_admin_permissions": False,
            },
            bootstrap_self_managed_addons=False,
            enabled_cluster_log_types=list(_LOGS),
            upgrade_policy={"support_type": "STANDARD"},
            deletion_protection=True,
            tags={"Name": place.name},
            opts=place.within(
                self,
                depends_on=[record],
                protect=True,
                # AWS moves no cluster to another network, and says so only when half of it is made
                replacement_trigger=network.identity,
            ),
        )
        self.name, self.endpoint = cluster.name, cluster.endpoint
        self.authority = cluster.certificate_authority.data
        self.entered = tuple(self._enter(name, place, entries))
        agent = addon(place, self, self, "eks-pod-identity-agent", [])
        identity = identify(place, self, self.name, "network", ("kube-system", "aws-node"), roles.network)
        plugin = addon(place, self, self, "vpc-cni", [agent, identity], _NETWORK)
        self.ready = (agent, plugin, addon(place, self, self, "kube-proxy", []))
        self.register_outputs({"name": self.name, "endpoint": self.endpoint})

    def _enter(self, name: str, place: Place, entries: Entries) -> Iterator[Resource]:
        for index, role in enumerate(entries.deployers):
            label = f"{name}-deployer-{index}"
            entry = eks.AccessEntry(
                label, cluster_name=self.name, principal_arn=role, type="STANDARD", opts=place.within(self)
            )
            yield eks.AccessPolicyAssociation(
                label,
                cluster_name=self.name,
                principal_arn=role,
                policy_arn=place.arn("eks", f"cluster-access-policy/{_ADMINISTRATION}", owner="aws"),
                access_scope={"type": "cluster"},
                opts=place.within(self, depends_on=[entry]),
            )
        for index, (role, groups) in enumerate(entries.groups.items()):
            yield eks.AccessEntry(
                f"{name}-member-{index}",
                cluster_name=self.name,
                principal_arn=role,
                kubernetes_groups=list(groups),
                type="STANDARD",
                opts=place.within(self),
            )


def addon(
    place: Place,
    parent: ComponentResource,
    cluster: Cluster,
    name: str,
    after: Sequence[Resource],
    settings: Mapping[str, Any] | None = None,
) -> eks.Addon:
    """An add-on in the version that goes with the cluster's; what is changed in it by hand is put back."""
    return eks.Addon(
        f"{place.name}-{name}",
        cluster_name=cluster.name,
        addon_name=name,
        addon_version=cluster.release.addons[name],
        configuration_values=json.dumps(settings) if settings else None,
        resolve_conflicts_on_create="OVERWRITE",
        resolve_conflicts_on_update="OVERWRITE",
        opts=place.within(parent, depends_on=list(after)),
    )


def identify(
    place: Place,
    parent: ComponentResource,
    cluster: Input[str],
    part: str,
    account: tuple[str, str],
    role: Role,
) -> eks.PodIdentityAssociation:
    """Gives the pods of a service account (namespace and name) a role, before there are any."""
    namespace, service_account = account
    return eks.PodIdentityAssociation(
        f"{place.name}-{part}",
        cluster_name=cluster,
        namespace=namespace,
        service_account=service_account,
        role_arn=role.arn,
        opts=place.within(parent),
    )
