"""Who may look: a read-only role in each namespace for the groups that the stack names, and for nobody else.

It shows what runs and why it doesn't. It shows no Secret, no log and no way into a container: those would
show what patients' data went through.
"""

from collections.abc import Sequence

from pulumi import ComponentResource, ResourceOptions
from pulumi_kubernetes.rbac.v1 import PolicyRuleArgs, Role, RoleBinding, RoleRefArgs, SubjectArgs

from components.serving.isolation import Isolation
from components.serving.names import Identity
from components.serving.workload import metadata

_NAME = "observer"
_WHO = Identity(_NAME, _NAME)
_LOOK = ["get", "list", "watch"]
_VISIBLE = {
    "": ["events", "persistentvolumeclaims", "pods", "serviceaccounts", "services"],
    "apps": ["deployments", "replicasets", "statefulsets"],
    "networking.k8s.io": ["networkpolicies"],
    "policy": ["poddisruptionbudgets"],
}


class Observers(ComponentResource):
    """The role in each namespace, bound to the groups; with no group, a role that nobody has."""

    def __init__(
        self, name: str, groups: Sequence[str], isolation: Isolation, opts: ResourceOptions | None = None
    ) -> None:
        super().__init__("sovereign:index:Observers", name, None, opts)
        for place in (isolation.gateway, isolation.serving, isolation.audit):
            role = Role(
                f"{place.name}/{_NAME}",
                metadata=metadata(_WHO, place),
                rules=[
                    PolicyRuleArgs(api_groups=[group], resources=kinds, verbs=_LOOK)
                    for group, kinds in _VISIBLE.items()
                ],
                opts=place.options(self),
            )
            if not groups:
                continue
            RoleBinding(
                f"{place.name}/{_NAME}",
                metadata=metadata(_WHO, place),
                role_ref=RoleRefArgs(api_group="rbac.authorization.k8s.io", kind="Role", name=_NAME),
                subjects=[
                    SubjectArgs(kind="Group", name=group, api_group="rbac.authorization.k8s.io")
                    for group in groups
                ],
                opts=place.options(self, after=[role]),
            )
        self.register_outputs({})
