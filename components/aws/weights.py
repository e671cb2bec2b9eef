"""The bucket of weights: publishers bring models there, and the driver of volumes reads them for the engines.

Mountpoint for Amazon S3 shows it to pods as a folder that nobody in the cluster can write (storage.py), and
the verifier reads every byte against the signed manifest before an engine starts, so the bucket need not be
believed.
"""

from pulumi import ComponentResource, Input, Output, ResourceOptions

from components.aws.bucket import PrivateBucket
from components.aws.place import Place
from components.aws.roles import Roles, allow


class WeightsBucket(ComponentResource):
    """The bucket, and the one role of the cluster that may read it."""

    name: Output[str]
    arn: Output[str]

    def __init__(
        self,
        name: str,
        place: Place,
        key: Input[str],
        endpoint: Input[str],
        roles: Roles,
        opts: ResourceOptions | None = None,
    ) -> None:
        super().__init__("sovereign:aws:WeightsBucket", name, None, opts)
        bucket = PrivateBucket(name, place, "weights", key, endpoint, opts=ResourceOptions(parent=self))
        self.name, self.arn = bucket.name, bucket.arn
        # github.com/awslabs/mountpoint-s3, doc/CONFIGURATION.md, IAM permissions, read only
        allow(
            name,
            place,
            self,
            roles.weights,
            {"Action": "s3:ListBucket", "Resource": bucket.arn},
            {"Action": "s3:GetObject", "Resource": Output.concat(bucket.arn, "/*")},
        )
        self.register_outputs({"name": self.name})
