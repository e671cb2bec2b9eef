"""Watching: an inventory of every resource and its changes (AWS Config), and what looks like an attack
(GuardDuty), where the partition has it.

Both are one for the whole account and region, so they are made only where the settings say `create`.
"""

from typing import Any, Final

from pulumi import ComponentResource, Input, Output, ResourceOptions
from pulumi_aws import cfg, guardduty
from pulumi_aws.iam import ServiceLinkedRole

from components.aws.bucket import Kept, PrivateBucket, bucket_arn
from components.aws.place import Place

#: What GuardDuty looks at: calls to the Kubernetes API, what happens on nodes, and calls to buckets.
_FEATURES: Final = ("EKS_AUDIT_LOGS", "RUNTIME_MONITORING", "S3_DATA_EVENTS")
#: Agents that it would put on machines by itself, with an endpoint that no plan shows: addons.py does that.
_BY_ITSELF: Final = ("EC2_AGENT_MANAGEMENT", "ECS_FARGATE_AGENT_MANAGEMENT", "EKS_ADDON_MANAGEMENT")


class Inventory(ComponentResource):
    """The recorder of AWS Config and its bucket. The bucket isn't locked, because Config can't write to one
    that is."""

    bucket: Output[str]

    def __init__(
        self,
        name: str,
        place: Place,
        key: Input[str],
        endpoint: Input[str],
        days: int,
        opts: ResourceOptions | None = None,
    ) -> None:
        """`days`: how long what it writes is kept."""
        super().__init__("sovereign:aws:Inventory", name, None, opts)
        bucket = PrivateBucket(
            name,
            place,
            "inventory",
            key,
            endpoint,
            Kept(days, locked=False),
            _delivery(place),
            opts=ResourceOptions(parent=self),
        )
        self.bucket = bucket.name
        # with it Config writes as a service, for which policies of buckets and keys make way
        role = ServiceLinkedRole(name, aws_service_name=place.principal("config"), opts=place.within(self))
        recorder = cfg.Recorder(
            name,
            name=place.name,
            role_arn=role.arn,
            recording_group={"all_supported": True, "include_global_resource_types": True},
            opts=place.within(self),
        )
        channel = cfg.DeliveryChannel(
            name,
            name=place.name,
            s3_bucket_name=bucket.name,
            s3_kms_key_arn=key,
            snapshot_delivery_properties={"delivery_frequency": "TwentyFour_Hours"},
            opts=place.within(self, depends_on=[recorder, bucket]),
        )
        cfg.RecorderStatus(
            name, name=recorder.name, is_enabled=True, opts=place.within(self, depends_on=[channel])
        )
        self.register_outputs({"bucket": self.bucket})


class Detection(ComponentResource):
    """GuardDuty over the account, its buckets and the cluster's nodes."""

    detector: Output[str]  #: id

    def __init__(self, name: str, place: Place, opts: ResourceOptions | None = None) -> None:
        super().__init__("sovereign:aws:Detection", name, None, opts)
        detector = guardduty.Detector(
            name, enable=True, finding_publishing_frequency="FIFTEEN_MINUTES", opts=place.within(self)
        )
        self.detector = detector.id
        for feature in _FEATURES:
            guardduty.DetectorFeature(
                f"{name}-{feature.lower().replace('_', '-')}",
                detector_id=detector.id,
                name=feature,
                status="ENABLED",
                additional_configurations=[{"name": one, "status": "DISABLED"} for one in _BY_ITSELF]
                if feature == "RUNTIME_MONITORING"
                else None,
                opts=place.within(self),
            )
        self.register_outputs({"detector": self.detector})


def _delivery(place: Place) -> list[dict[str, Any]]:
    """docs.aws.amazon.com/config/latest/developerguide/s3-bucket-policy.html"""
    bucket = bucket_arn(place, "inventory")
    delivers = {
        "Effect": "Allow",
        "Principal": {"Service": place.principal("config")},
        "Condition": {"StringEquals": {"aws:SourceAccount": place.account}},
    }
    return [
        {
            **delivers,
            "Sid": "InventoryLooks",
            "Action": ["s3:GetBucketAcl", "s3:ListBucket"],
            "Resource": bucket,
        },
        {
            **delivers,
            "Sid": "InventoryWrites",
            "Action": "s3:PutObject",
            "Resource": f"{bucket}/AWSLogs/{place.account}/Config/*",
        },
    ]
