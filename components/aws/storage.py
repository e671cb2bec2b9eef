"""Volumes of the cluster: a class of encrypted disks for records, and the bucket of weights as volumes that
nobody can write.
"""

from collections.abc import Mapping
from typing import Final

from pulumi import ComponentResource, Input, Resource, ResourceOptions
from pulumi_kubernetes import Provider
from pulumi_kubernetes.core.v1 import (
    CSIPersistentVolumeSourceArgs,
    PersistentVolume,
    PersistentVolumeSpecArgs,
)
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_kubernetes.storage.v1 import StorageClass

from components.aws.backup import TAG
from components.aws.place import Place
from components.serving.names import slug

#: Drivers, for the zone's `provisioners`.
DISKS: Final = "ebs.csi.aws.com"
BUCKETS: Final = "s3.csi.aws.com"

_LABELS = {"app.kubernetes.io/part-of": "sovereign"}


class ClusterStorage(ComponentResource):
    """The class of disks, and a volume of weights for each model."""

    class_name: str
    made: tuple[Resource, ...]

    def __init__(
        self,
        name: str,
        place: Place,
        key: Input[str],
        bucket: Input[str],
        weights: Mapping[str, str],
        provider: Provider,
        opts: ResourceOptions | None = None,
    ) -> None:
        """`key`: ARN of the key that encrypts disks. `bucket`: the name of that of weights, in which each
        model is a folder. `weights`: the size of each model's weights, by the model's name."""
        super().__init__("sovereign:aws:ClusterStorage", name, None, opts)
        self.class_name = f"{place.name}-disks"
        options = ResourceOptions(parent=self, provider=provider)
        tag, value = TAG
        disks = StorageClass(
            self.class_name,
            metadata=ObjectMetaArgs(name=self.class_name, labels=_LABELS),
            provisioner=DISKS,
            parameters={
                "type": "gp3",
                "encrypted": "true",
                "kmsKeyId": key,
                # by which a copy is made every day
                "tagSpecification_1": f"{tag}={value}",
            },
            reclaim_policy="Retain",
            volume_binding_mode="WaitForFirstConsumer",
            allow_volume_expansion=True,
            opts=options,
        )
        self.made = (
            disks,
            *(self._volume(place, bucket, model, size, options) for model, size in weights.items()),
        )
        self.register_outputs({})

    def _volume(
        self, place: Place, bucket: Input[str], model: str, size: str, opts: ResourceOptions
    ) -> PersistentVolume:
        """github.com/awslabs/mountpoint-s3-csi-driver, docs/CONFIGURATION.md, static provisioning"""
        name = volume_of(place, model)
        return PersistentVolume(
            name,
            metadata=ObjectMetaArgs(name=name, labels=_LABELS),
            spec=PersistentVolumeSpecArgs(
                capacity={"storage": size},
                access_modes=["ReadOnlyMany"],
                storage_class_name=self.class_name,
                persistent_volume_reclaim_policy="Retain",
                # engines aren't root; without the region the driver asks for metadata beyond its reach
                mount_options=["read-only", "allow-other", f"region {place.region}"],
                csi=CSIPersistentVolumeSourceArgs(
                    driver=BUCKETS,
                    volume_handle=name,
                    read_only=True,
                    volume_attributes={"bucketName": bucket, "authenticationSource": "driver"},
                ),
            ),
            opts=opts,
        )


def volume_of(place: Place, model: str) -> str:
    """The volume of a model's weights."""
    return f"{place.name}-weights-{slug(model)}"
