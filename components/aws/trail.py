"""The trail: who called what in the account, in every region, and who looked at weights and audit records.

Its files are chained by digests, and lie in a bucket where nobody can change or delete them.
"""

from collections.abc import Sequence
from typing import Any

from pulumi import ComponentResource, Input, Output, ResourceOptions
from pulumi_aws import cloudtrail

from components.aws.bucket import Kept, PrivateBucket, bucket_arn
from components.aws.place import Place


class Trail(ComponentResource):
    """A trail of all regions with a bucket of its own. Many accounts have one of their organization's, which
    is then used: see use.py."""

    bucket: Output[str]
    arn: Output[str]

    def __init__(
        self,
        name: str,
        place: Place,
        key: Input[str],
        endpoint: Input[str],
        days: int,
        watched: Sequence[Input[str]],
        deployers: Sequence[str],
        opts: ResourceOptions | None = None,
    ) -> None:
        """`days`: how long its files are locked. `watched`: ARNs of the buckets of which every read and write
        of an object is recorded. `deployers`: roles that may lock new files for longer, by ARN."""
        super().__init__("sovereign:aws:Trail", name, None, opts)
        arn = place.arn("cloudtrail", f"trail/{place.name}")
        bucket = PrivateBucket(
            name,
            place,
            "trail",
            key,
            endpoint,
            Kept(days, deployers=tuple(deployers)),
            _delivery(place, arn),
            opts=ResourceOptions(parent=self),
        )
        self.bucket = bucket.name
        objects = [Output.concat(one, "/") for one in watched]
        trail = cloudtrail.Trail(
            name,
            name=place.name,
            s3_bucket_name=bucket.name,
            kms_key_id=key,
            is_multi_region_trail=True,
            include_global_service_events=True,
            enable_log_file_validation=True,
            enable_logging=True,
            advanced_event_selectors=[
                {
                    "name": "Calls to services",
                    "field_selectors": [{"field": "eventCategory", "equals": ["Management"]}],
                },
                {
                    "name": "Reads and writes of objects",
                    "field_selectors": [
                        {"field": "eventCategory", "equals": ["Data"]},
                        {"field": "resources.type", "equals": ["AWS::S3::Object"]},
                        {"field": "resources.ARN", "starts_withs": objects},
                    ],
                },
            ],
            opts=place.within(self, depends_on=[bucket], protect=True),
        )
        self.arn = trail.arn
        self.register_outputs({"bucket": self.bucket})


def _delivery(place: Place, trail: str) -> list[dict[str, Any]]:
    """docs.aws.amazon.com/awscloudtrail/latest/userguide/create-s3-bucket-policy-for-cloudtrail.html"""
    bucket = bucket_arn(place, "trail")
    delivers = {
        "Effect": "Allow",
        "Principal": {"Service": place.principal("cloudtrail")},
        "Condition": {"StringEquals": {"aws:SourceArn": trail, "aws:SourceAccount": place.account}},
    }
    return [
        {**delivers, "Sid": "TrailLooks", "Action": "s3:GetBucketAcl", "Resource": bucket},
        {
            **delivers,
            "Sid": "TrailWrites",
            "Action": "s3:PutObject",
            "Resource": f"{bucket}/AWSLogs/{place.account}/*",
        },
    ]
