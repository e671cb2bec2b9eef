"""The bucket of audit records: what is in it can't be changed or deleted by anybody for as long as the zone
says, and every look at it is itself recorded (trail.py).
"""

from pulumi import ComponentResource, Input, Output, ResourceOptions
from pulumi_aws.iam import Role

from components.aws.bucket import Kept, PrivateBucket
from components.aws.place import Place
from components.aws.roles import allow


class AuditBucket(ComponentResource):
    """The bucket, which the audit service adds to; it can't read what it has added."""

    name: Output[str]
    arn: Output[str]

    def __init__(
        self,
        name: str,
        place: Place,
        key: Input[str],
        endpoint: Input[str],
        days: int,
        writer: Role,
        opts: ResourceOptions | None = None,
    ) -> None:
        """`days`: how long each record is locked. `writer`: the role of the audit service."""
        super().__init__("sovereign:aws:AuditBucket", name, None, opts)
        bucket = PrivateBucket(
            name, place, "audit", key, endpoint, Kept(days), opts=ResourceOptions(parent=self)
        )
        self.name, self.arn = bucket.name, bucket.arn
        allow(
            name,
            place,
            self,
            writer,
            {"Action": "s3:PutObject", "Resource": Output.concat(bucket.arn, "/*")},
        )
        self.register_outputs({"name": self.name})
