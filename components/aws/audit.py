"""The bucket of audit records: what is in it can't be changed or deleted by anybody for as long as the zone
says, and every look at it is itself recorded (trail.py).

Whoever writes a record says until when it is locked, `days` from then and a little more, so that no change of
the bucket's default makes it less.
"""

from collections.abc import Sequence

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
        deployers: Sequence[str],
        opts: ResourceOptions | None = None,
    ) -> None:
        """`days`: how long each record is locked. `writer`: the role of the audit service. `deployers`: roles
        that may make that longer, by ARN."""
        super().__init__("sovereign:aws:AuditBucket", name, None, opts)
        kept = Kept(days, deployers=tuple(deployers), stated=True)
        bucket = PrivateBucket(name, place, "audit", key, endpoint, kept, opts=ResourceOptions(parent=self))
        self.name, self.arn = bucket.name, bucket.arn
        allow(
            name,
            place,
            self,
            writer,
            # a lock is said in the call that writes, and is a right of its own
            {
                "Action": ["s3:PutObject", "s3:PutObjectRetention"],
                "Resource": Output.concat(bucket.arn, "/*"),
            },
        )
        self.register_outputs({"name": self.name})
