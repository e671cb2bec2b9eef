"""Storage of the embedded cluster, whose nodes are simulated: volumes that hold nothing, labelled as such.

Pods ask for their claims here just as on a real cluster, so that the same objects are planned, admitted and
scheduled. Nothing is stored, hence nothing is encrypted: the label says so, and no parameter claims
otherwise.
"""

from collections.abc import Mapping

from pulumi import ComponentResource, Resource, ResourceOptions
from pulumi_kubernetes import Provider
from pulumi_kubernetes.core.v1 import (
    CSIPersistentVolumeSourceArgs,
    ObjectReferenceArgs,
    PersistentVolume,
    PersistentVolumeSpecArgs,
)
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_kubernetes.storage.v1 import StorageClass

from components.serving.names import slug

KEY = "none: simulated, nothing is stored"

_DRIVER = "simulated.sovereign.internal"
_LABELS = {"llm.kit/simulated": "true", "app.kubernetes.io/part-of": "sovereign"}


class SimulatedStorage(ComponentResource):
    """A StorageClass without a provisioner behind it, volumes of weights and one of audit records."""

    class_name: str
    made: tuple[Resource, ...]

    def __init__(
        self,
        name: str,
        service: str,
        weights: Mapping[str, str],
        records_size: str,
        records_claim: tuple[str, str],
        provider: Provider,
        opts: ResourceOptions | None = None,
    ) -> None:
        """`service`: which of the cluster's it is for. `weights`: the size of each model's volume, by the
        model's name. `records_claim`: namespace and name of the claim that the volume of records is kept
        for."""
        super().__init__("sovereign:index:SimulatedStorage", name, None, opts)
        self.class_name = f"simulated-{service}"
        options = ResourceOptions(parent=self, provider=provider)
        storage_class = StorageClass(
            self.class_name,
            metadata=ObjectMetaArgs(name=self.class_name, labels=_LABELS),
            provisioner=_DRIVER,
            reclaim_policy="Retain",
            volume_binding_mode="Immediate",
            opts=options,
        )
        namespace, claim = records_claim
        volumes = ResourceOptions(parent=self, provider=provider, depends_on=[storage_class])
        self.made = (
            storage_class,
            *(
                self._volume(
                    volume_of(service, model), volume_of(service, model), size, "ReadOnlyMany", None, volumes
                )
                for model, size in weights.items()
            ),
            self._volume(
                "simulated-audit-records",
                # the claim's own: bound to one claim for good, it couldn't go while that claim is there
                f"simulated-{namespace}-{claim}",
                records_size,
                "ReadWriteOncePod",
                ObjectReferenceArgs(namespace=namespace, name=claim),
                volumes,
            ),
        )
        self.register_outputs({})

    def _volume(
        self,
        resource: str,
        name: str,
        size: str,
        access: str,
        kept_for: ObjectReferenceArgs | None,
        opts: ResourceOptions,
    ) -> PersistentVolume:
        return PersistentVolume(
            resource,
            metadata=ObjectMetaArgs(name=name, labels=_LABELS),
            spec=PersistentVolumeSpecArgs(
                capacity={"storage": size},
                access_modes=[access],
                storage_class_name=self.class_name,
                persistent_volume_reclaim_policy="Retain",
                csi=CSIPersistentVolumeSourceArgs(driver=_DRIVER, volume_handle=name),
                claim_ref=kept_for,
            ),
            opts=opts,
        )


def volume_of(service: str, model: str) -> str:
    """The simulated volume of a model's weights."""
    return f"simulated-{service}-{slug(model)}"
