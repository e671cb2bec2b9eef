"""Keys: one for each use, so that whoever may read one kind of data can read no other.

Who administers a key may not use it, and nobody may delete or disable one: what it has encrypted, locked
records among it, would be gone at once. To end a key, its policy has to be changed first, by two calls that
the trail records.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from pulumi import ComponentResource, Input, Output, ResourceOptions
from pulumi_aws.kms import Alias, Key

from components.aws.bucket import bucket_arn
from components.aws.place import Place
from components.aws.policy import document, plain
from components.aws.roles import Roles
from components.aws.use import Use
from facts import aws

KeyUse = Literal["audit", "backup", "cluster", "logs", "registry", "volumes", "weights"]
#: What each encrypts, as its description says.
_WHAT: Final[Mapping[KeyUse, str]] = {
    "audit": "Audit records",
    "backup": "Backups",
    "cluster": "Secrets of the cluster",
    "logs": "Logs, the trail and inventories",
    "registry": "Images",
    "volumes": "Disks of nodes and volumes of pods",
    "weights": "Weights of models",
}
_ROTATION: Final = 365
_WINDOW: Final = 30

#: docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html, key administrators: without what
#: uses a key (CreateGrant does), copies it or ends it.
_ADMINISTER: Final = (
    *("kms:CancelKeyDeletion", "kms:CreateAlias", "kms:DeleteAlias", "kms:DescribeKey", "kms:EnableKey"),
    *("kms:EnableKeyRotation", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListAliases"),
    *("kms:ListGrants", "kms:ListKeyPolicies", "kms:ListKeyRotations", "kms:ListResourceTags"),
    *("kms:PutKeyPolicy", "kms:RevokeGrant", "kms:RotateKeyOnDemand", "kms:TagResource"),
    *("kms:UntagResource", "kms:UpdateAlias", "kms:UpdateKeyDescription"),
)
_END: Final = (
    *("kms:DeleteImportedKeyMaterial", "kms:DisableKey", "kms:DisableKeyRotation"),
    "kms:ScheduleKeyDeletion",
)
#: docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html
_DISKS: Final = (
    *("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"),
    *("kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"),
)
_WRITE: Final = ("kms:Decrypt", "kms:GenerateDataKey")
_READ: Final = ("kms:Decrypt",)
#: A service that goes on using a key by itself gets a grant from whoever asks it to.
_HAND_OVER: Final = ("kms:CreateGrant", "kms:DescribeKey", "kms:RetireGrant")
_AUTOSCALING: Final = "autoscaling"


@dataclass(frozen=True, kw_only=True)
class KeyPeople:
    """Roles, by ARN, that the kit doesn't make: who plans and applies, who brings weights and images, who
    reads the records."""

    deployers: Sequence[str]
    publishers: Sequence[str] = ()
    auditors: Sequence[str] = ()


class Keys(ComponentResource):
    """The keys by use, as ARNs. What they encrypt outlives the stack, so they do too."""

    audit: Output[str]
    backup: Output[str]
    cluster: Output[str]
    logs: Output[str]
    registry: Output[str]
    volumes: Output[str]
    weights: Output[str]

    def __init__(
        self,
        name: str,
        place: Place,
        roles: Roles,
        people: KeyPeople,
        use: Mapping[KeyUse, Use] | None = None,
        opts: ResourceOptions | None = None,
    ) -> None:
        """`use`: keys of the landing zone, by their ARNs; the others are made."""
        super().__init__("sovereign:aws:Keys", name, None, opts)
        used = use or {}
        for key in get_args(KeyUse):
            made = (
                Output.from_input(used[key].id)
                if key in used
                else self._make(name, place, key, roles, people)
            )
            setattr(self, key, made)
        self.register_outputs({key: getattr(self, key) for key in get_args(KeyUse)})

    def _make(self, name: str, place: Place, use: KeyUse, roles: Roles, people: KeyPeople) -> Output[str]:
        key = Key(
            f"{name}-{use}",
            description=f"{_WHAT[use]} of {place.name}",
            key_usage="ENCRYPT_DECRYPT",
            enable_key_rotation=True,
            rotation_period_in_days=_ROTATION,
            deletion_window_in_days=_WINDOW,
            multi_region=False,
            policy=document(*_guards(place.arn("iam", "root")), *_users(place, use, roles, people)),
            opts=place.within(self, protect=True, retain_on_delete=True),
        )
        Alias(f"{name}-{use}", name=_alias(place, use), target_key_id=key.arn, opts=place.within(self))
        return key.arn


def _alias(place: Place, use: KeyUse) -> str:
    return f"alias/{place.name}-{use}"


def state_policy(
    region: aws.Region, account: str, deployers: Sequence[str], service: str = ""
) -> dict[str, Any]:
    """The policy of a key for the stack's own state, which is made before any stack is. `service`: used by
    this one only, for the deployers."""
    root = region.partition.arn("iam", "root", account=account)
    via = {"StringEquals": {"kms:ViaService": region.names(service)[0]}} if service else None
    return plain(*_guards(root), _used("State", deployers, (*_WRITE, "kms:DescribeKey", "kms:Encrypt"), via))


def _guards(root: str) -> list[dict[str, Any]]:
    """Who administers (`root` stands for the account), and what nobody may."""
    return [
        {
            "Sid": "Administration",
            "Effect": "Allow",
            "Principal": {"AWS": root},
            "Action": list(_ADMINISTER),
            "Resource": "*",
        },
        {
            "Sid": "NeverEnded",
            "Effect": "Deny",
            "Principal": {"AWS": "*"},
            "Action": list(_END),
            "Resource": "*",
        },
    ]


def _users(place: Place, use: KeyUse, roles: Roles, people: KeyPeople) -> list[dict[str, Any]]:
    """Who uses the key, and by which service."""
    deployers = list(people.deployers)
    if use == "cluster":
        # with kms:GrantIsForAWSResource CreateCluster fails:
        # docs.aws.amazon.com/eks/latest/userguide/enable-kms.html
        cluster = (*_WRITE, "kms:CreateGrant", "kms:DescribeKey", "kms:Encrypt", "kms:ListGrants")
        return [
            _used("Cluster", [roles.cluster.arn], cluster),
            _used("Deployers", deployers, ("kms:CreateGrant", "kms:DescribeKey")),
        ]
    if use == "volumes":
        scaling = place.arn("iam", f"role/{_service_linked(place)}")
        drivers = [roles.volumes.arn, roles.backup.arn]
        return [
            _used("Nodes", [scaling], _DISKS),
            _used("NodesGrants", [scaling], ["kms:CreateGrant"], grants=True),
            _used("Volumes", drivers, _DISKS, _via(place, "ec2")),
            _used("VolumesGrants", drivers, ["kms:CreateGrant"], _via(place, "ec2"), grants=True),
        ]
    if use == "weights":
        return [
            _used("Readers", [roles.weights.arn], _READ, _bucket(place, "weights")),
            *_some("Publishers", people.publishers, _WRITE, _bucket(place, "weights")),
        ]
    if use == "audit":
        return [
            _used("Writer", [roles.audit.arn], _WRITE, _bucket(place, "audit")),
            *_some("Auditors", people.auditors, _READ, _bucket(place, "audit")),
        ]
    if use == "logs":
        return [
            *_services(place),
            *_some("Auditors", people.auditors, _READ, _bucket(place, "trail", "inventory")),
        ]
    return [_used("Deployers", deployers, _HAND_OVER, _via(place, {"registry": "ecr"}.get(use, use)))]


def _service_linked(place: Place) -> str:
    return f"aws-service-role/{place.principal(_AUTOSCALING)}/AWSServiceRoleForAutoScaling"


def _services(place: Place) -> list[dict[str, Any]]:
    """Services that write logs: each for this account only, and for what it says it is."""
    logs = place.arn("logs", "log-group:*")
    trails = place.arn("cloudtrail", "trail/*")
    own = {"StringEquals": {"aws:SourceAccount": place.account}}
    return [
        {
            # docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
            "Sid": "Logs",
            "Effect": "Allow",
            "Principal": {"Service": place.principal(f"logs.{place.region}")},
            "Action": list(_DISKS),
            "Resource": "*",
            "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": logs}},
        },
        {
            # docs.aws.amazon.com/awscloudtrail/latest/userguide/create-kms-key-policy-for-cloudtrail.html
            "Sid": "Trail",
            "Effect": "Allow",
            "Principal": {"Service": place.principal("cloudtrail")},
            "Action": ["kms:DescribeKey", "kms:GenerateDataKey"],
            "Resource": "*",
            "Condition": {**own, "ArnLike": {"aws:SourceArn": trails}},
        },
        {
            # docs.aws.amazon.com/config/latest/developerguide/s3-kms-key-policy.html
            "Sid": "Inventory",
            "Effect": "Allow",
            "Principal": {"Service": place.principal("config")},
            "Action": list(_WRITE),
            "Resource": "*",
            "Condition": own,
        },
    ]


def _via(place: Place, service: str) -> dict[str, Any]:
    return {"StringEquals": {"kms:ViaService": place.facts.names(service)[0]}}


def _bucket(place: Place, *labels: str) -> dict[str, Any]:
    """By S3, and for objects of these buckets: with bucket keys the context is the bucket itself
    (docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html)."""
    buckets = [bucket_arn(place, label) for label in labels]
    objects = [f"{bucket}/*" for bucket in buckets]
    return {**_via(place, "s3"), "ArnLike": {"kms:EncryptionContext:aws:s3:arn": [*buckets, *objects]}}


def _used(
    sid: str,
    roles: Sequence[Input[str]],
    actions: Sequence[str],
    held: Mapping[str, Any] | None = None,
    *,
    grants: bool = False,
) -> dict[str, Any]:
    """Use by some roles. `grants`: only for what AWS's services keep on using."""
    condition = dict(held or {})
    if grants:
        condition["Bool"] = {"kms:GrantIsForAWSResource": "true"}
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"AWS": list(roles)},
        "Action": list(actions),
        "Resource": "*",
        **({"Condition": condition} if condition else {}),
    }


def _some(
    sid: str, roles: Sequence[str], actions: Sequence[str], held: Mapping[str, Any]
) -> list[dict[str, Any]]:
    return [_used(sid, list(roles), actions, held)] if roles else []
