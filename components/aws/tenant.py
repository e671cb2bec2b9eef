"""A stack on a cluster that a landing zone has: its own registry and bucket of records.

Nodes, network, endpoints, keys and whatever watches them are there already; their owners answer for them
(use.py). Of AWS the tenant makes only what is its own, and in the cluster only what its namespaces hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pulumi import ComponentResource, ResourceOptions
from pulumi_aws.iam import Role
from pulumi_kubernetes import Provider

from components.aws.audit import AuditBucket
from components.aws.cluster import identify
from components.aws.kubernetes import ClusterProvider
from components.aws.place import Place
from components.aws.registry import IMAGES, Registry
from components.aws.roles import for_pods
from components.aws.use import Use


@dataclass(frozen=True, kw_only=True)
class UsedCluster:
    """A cluster of the landing zone: `cluster.id` is its name, `authority` its certificates (base64 of PEM),
    `nodes` the ARN of the role of its nodes, which pull images. That it is private, encrypted, recorded and
    enforces NetworkPolicies is the owner's word."""

    cluster: Use
    endpoint: str
    authority: str
    nodes: str


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a tenant finds: `endpoint` is the gateway endpoint of S3, `registry_key` and `audit_key` are keys,
    by their ARNs, whose policies let it use them."""

    cluster: UsedCluster
    endpoint: Use
    registry_key: Use
    audit_key: Use


class Tenant(ComponentResource):
    """One stack's own in an account whose ground is there."""

    registry: Registry
    audit: AuditBucket

    def __init__(
        self,
        name: str,
        place: Place,
        found: Surroundings,
        publishers: Sequence[str],
        deployers: Sequence[str],
        auditor: tuple[str, str],
        days: int,
        opts: ResourceOptions | None = None,
    ) -> None:
        """`publishers` bring images, `deployers` may lock new records for longer: roles, by ARN. `auditor`:
        namespace and service account of the audit service. `days`: how long each record is locked."""
        super().__init__("sovereign:aws:Tenant", name, None, opts)
        self._place, self._found = place, found
        cluster, within = found.cluster.cluster.id, ResourceOptions(parent=self)
        self.registry = Registry(
            name, place, found.registry_key.id, IMAGES, found.cluster.nodes, publishers, within
        )
        writer = Role(
            f"{name}-audit",
            assume_role_policy=for_pods(place, place.arn("eks", f"cluster/{cluster}"), auditor),
            opts=place.within(self),
        )
        self.audit = AuditBucket(
            f"{name}-audit", place, found.audit_key.id, found.endpoint.id, days, writer, deployers, within
        )
        identify(place, self, cluster, "audit", auditor, writer)
        self.register_outputs({})

    def provider(self, uid: str) -> Provider:
        """The way into the cluster. `uid`: that of its namespace kube-system, or what stands for it in a
        review."""
        there = self._found.cluster
        return ClusterProvider(
            self._place.name,
            self._place,
            there.cluster.id,
            there.endpoint,
            there.authority,
            uid,
            opts=ResourceOptions(parent=self),
        ).provider
