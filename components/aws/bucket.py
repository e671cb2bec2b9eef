"""Buckets: encrypted with a key of one's own, closed to the public and to other accounts, reached by TLS and
from inside the network only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pulumi import ComponentResource, Input, Output, ResourceOptions
from pulumi_aws import s3

from components.aws.place import Place
from components.aws.policy import but, document

#: Calls that carry what is in a bucket. Its settings stay open to whoever deploys, who may be outside the
#: network when it is made.
_CONTENT: Final = ("s3:DeleteObject*", "s3:GetObject*", "s3:PutObject*", "s3:RestoreObject")
#: For how many days an object that is written, or a lock that is set, stays locked
#: (docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html, limits on retention periods)
_REMAINING: Final = "s3:object-lock-remaining-retention-days"
#: Days after which parts of uploads that nobody finished go, and versions that another has replaced.
_UNFINISHED, _REPLACED = 7, 90


@dataclass(frozen=True)
class Kept:
    """How long objects are kept: nobody can delete one before that many days, and after them it goes.
    `locked` False: only the second.

    `deployers`, roles by ARN, may change for how long new objects are locked unless they say it themselves:
    IAM can't tell a longer time from a shorter one there. `stated`: each object has to say it.
    """

    days: int
    locked: bool = True
    deployers: tuple[str, ...] = ()
    stated: bool = False


class PrivateBucket(ComponentResource):
    """One bucket, and all that makes it private."""

    bucket: s3.Bucket
    name: Output[str]
    arn: Output[str]

    def __init__(
        self,
        name: str,
        place: Place,
        label: str,
        key: Input[str],
        endpoint: Input[str],
        kept: Kept | None = None,
        statements: Sequence[Mapping[str, Any]] = (),
        opts: ResourceOptions | None = None,
    ) -> None:
        """`label` says what it is for; `key` is the ARN of the key that encrypts, `endpoint` the id of the
        network's endpoint of S3. `kept` None: until somebody deletes it. `statements` let services deliver.
        """
        super().__init__("sovereign:aws:PrivateBucket", name, None, opts)
        held = place.within(self, protect=True, retain_on_delete=True)
        lock = kept is not None and kept.locked
        self.bucket = bucket = s3.Bucket(
            name,
            bucket=bucket_name(place, label),
            # names that only this account can have, so that nobody waits for one to be free
            bucket_namespace="account-regional",
            object_lock_enabled=lock,
            force_destroy=False,
            tags={"Name": name},
            opts=held,
        )
        self.name, self.arn = bucket.bucket, bucket.arn
        after: list[Any] = [
            s3.BucketPublicAccessBlock(
                name,
                bucket=bucket.id,
                block_public_acls=True,
                block_public_policy=True,
                ignore_public_acls=True,
                restrict_public_buckets=True,
                opts=place.within(self),
            ),
            s3.BucketOwnershipControls(
                name,
                bucket=bucket.id,
                rule={"object_ownership": "BucketOwnerEnforced"},
                opts=place.within(self),
            ),
            s3.BucketVersioning(
                name,
                bucket=bucket.id,
                versioning_configuration={"status": "Enabled"},
                opts=place.within(self),
            ),
            self._encryption(name, place, key),
            self._lifecycle(name, place, kept),
        ]
        if kept is not None and lock:
            after.append(
                s3.BucketObjectLockConfiguration(
                    name,
                    bucket=bucket.id,
                    object_lock_enabled="Enabled",
                    rule={"default_retention": {"mode": "COMPLIANCE", "days": kept.days}},
                    opts=place.within(self, retain_on_delete=True, depends_on=[after[2]]),
                )
            )
        s3.BucketPolicy(
            name,
            bucket=bucket.id,
            policy=document(*_denied(bucket.arn, endpoint, kept), *statements),
            # it forbids what makes the bucket, so it comes last
            opts=place.within(self, depends_on=after, retain_on_delete=True),
        )
        self.register_outputs({"name": self.name, "arn": self.arn})

    def _encryption(
        self, name: str, place: Place, key: Input[str]
    ) -> s3.BucketServerSideEncryptionConfiguration:
        return s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=self.bucket.id,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "aws:kms",
                        "kms_master_key_id": key,
                    },
                    "bucket_key_enabled": True,
                    # objects that somebody encrypts with a key of theirs are lost to everybody else
                    "blocked_encryption_types": ["SSE-C"],
                }
            ],
            opts=place.within(self),
        )

    def _lifecycle(self, name: str, place: Place, kept: Kept | None) -> s3.BucketLifecycleConfiguration:
        unfinished: s3.BucketLifecycleConfigurationRuleArgsDict = {
            "id": "unfinished",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "abort_incomplete_multipart_upload": {"days_after_initiation": _UNFINISHED},
        }
        gone: s3.BucketLifecycleConfigurationRuleArgsDict = {
            "id": "replaced" if kept is None else "kept",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "noncurrent_version_expiration": {"noncurrent_days": _REPLACED if kept is None else 1},
        }
        if kept is not None:
            gone["expiration"] = {"days": kept.days + 1}
        return s3.BucketLifecycleConfiguration(
            name, bucket=self.bucket.id, rules=[unfinished, gone], opts=place.within(self)
        )


def bucket_name(place: Place, label: str) -> str:
    """The bucket's name, in the account's own namespace of the region
    (docs.aws.amazon.com/AmazonS3/latest/userguide/gpbucketnamespaces.html)."""
    return f"{place.name}-{label}-{place.account}-{place.region}-an"


def bucket_arn(place: Place, label: str) -> str:
    """The bucket's ARN, for policies of what comes before it."""
    return place.arn("s3", bucket_name(place, label))


def tls_only(everything: Sequence[Input[str]]) -> list[dict[str, Any]]:
    """What the policy of every bucket denies; `everything`: the ARNs of the bucket and of what is in it."""
    denied = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": list(everything)}
    return [
        {**denied, "Sid": "WithoutTls", "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        {**denied, "Sid": "OldTls", "Condition": {"NumericLessThan": {"s3:TlsVersion": "1.2"}}},
    ]


def _denied(arn: Output[str], endpoint: Input[str], kept: Kept | None) -> list[dict[str, Any]]:
    everything = [arn, Output.concat(arn, "/*")]
    denied = {"Effect": "Deny", "Principal": "*"}
    return [
        *tls_only(everything),
        {
            **denied,
            "Sid": "OutsideTheNetwork",
            "Action": list(_CONTENT),
            "Resource": everything,
            "Condition": {
                "StringNotEquals": {"aws:SourceVpce": endpoint},
                # services that deliver logs come by no endpoint
                "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
            },
        },
        *(_locked(arn, kept) if kept is not None and kept.locked else []),
    ]


def _locked(arn: Output[str], kept: Kept) -> list[dict[str, Any]]:
    """What keeps a lock as long as it is. The mode COMPLIANCE itself lets nobody shorten that of an object."""
    denied = {"Effect": "Deny", "Principal": "*"}
    objects = Output.concat(arn, "/*")
    written = {**denied, "Action": "s3:PutObject", "Resource": objects}
    return [
        {**denied, "Sid": "Unlocking", "Action": "s3:BypassGovernanceRetention", "Resource": objects},
        {
            **denied,
            "Sid": "OtherLocks",
            "Action": "s3:PutBucketObjectLockConfiguration",
            "Resource": arn,
            **but(kept.deployers),
        },
        {**written, "Sid": "ShorterLocks", "Condition": {"NumericLessThan": {_REMAINING: kept.days}}},
        # whoever writes in parts would say it at the first only, so an object comes in one piece
        *(
            [{**written, "Sid": "UnstatedLocks", "Condition": {"Null": {_REMAINING: "true"}}}]
            if kept.stated
            else []
        ),
    ]
