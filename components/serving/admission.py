"""Admission: the policies with which the API server itself refuses what no plan may hold.

They come as plain data from the rules (policies/admission.py), and stand before anything that they judge.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pulumi import ComponentResource, Resource, ResourceOptions
from pulumi_kubernetes.admissionregistration.v1 import (
    ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
)

from components.ground import Ground

_CLASSES: Mapping[str, type[ValidatingAdmissionPolicy] | type[ValidatingAdmissionPolicyBinding]] = {
    "ValidatingAdmissionPolicy": ValidatingAdmissionPolicy,
    "ValidatingAdmissionPolicyBinding": ValidatingAdmissionPolicyBinding,
}


class Admission(ComponentResource):
    """The policies and their bindings, which hold the namespaces labelled as parts of the service."""

    made: tuple[Resource, ...]

    def __init__(
        self,
        name: str,
        objects: Sequence[Mapping[str, Any]],
        ground: Ground,
        opts: ResourceOptions | None = None,
    ) -> None:
        super().__init__("sovereign:index:Admission", name, None, opts)
        made: list[Resource] = []
        for item in objects:
            # a binding comes after its policy, which is right before it
            after = made[-1:] if item["kind"].endswith("Binding") else list(ground.made)
            make = _CLASSES[item["kind"]]
            made.append(
                make(
                    item["metadata"]["name"],
                    metadata=item["metadata"],
                    spec=item["spec"],
                    opts=ResourceOptions(parent=self, provider=ground.provider, depends_on=after),
                )
            )
        self.made = tuple(made)
        self.register_outputs({})
