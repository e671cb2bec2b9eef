"""The guard of regions: a policy of the organization that holds whoever no plan shows, at the console or with
a program of their own.

It belongs to whoever owns the organization: `text` is the file for them. It binds neither the management
account nor AWS's own service-linked roles.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pulumi import ComponentResource, Resource, ResourceOptions
from pulumi_aws.organizations import Policy, PolicyAttachment

from components.aws.place import Place
from components.aws.policy import but
from facts import aws
from facts.zones import Zone

#: What nobody may do in the accounts, whoever they are: open a way out, or end what keeps evidence and keys.
#: This deny has no exception, so the policy is attached once the ground stands.
_NEVER: Final = (
    "account:EnableRegion",
    "backup:DeleteBackupVaultLockConfiguration",
    "cloudtrail:DeleteTrail",
    "cloudtrail:StopLogging",
    "config:DeleteConfigurationRecorder",
    "config:DeleteDeliveryChannel",
    "config:StopConfigurationRecorder",
    "ec2:AttachInternetGateway",
    "ec2:CreateCarrierGateway",
    "ec2:CreateDefaultVpc",
    "ec2:CreateEgressOnlyInternetGateway",
    "ec2:CreateInternetGateway",
    "ec2:CreateNatGateway",
    "ec2:CreateVpcBlockPublicAccessExclusion",
    "ec2:DeleteFlowLogs",
    "ec2:DisableEbsEncryptionByDefault",
    "ec2:DisableImageBlockPublicAccess",
    "ec2:DisableSnapshotBlockPublicAccess",
    "ec2:EnableSerialConsoleAccess",
    "ec2:ModifyVpcBlockPublicAccessExclusion",
    "ec2:ModifyVpcBlockPublicAccessOptions",
    "guardduty:DeleteDetector",
    "guardduty:DisassociateFromAdministratorAccount",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:ReplicateKey",
    "kms:ScheduleKeyDeletion",
    "organizations:LeaveOrganization",
    "route53resolver:DeleteFirewallRule",
    "route53resolver:DisassociateFirewallRuleGroup",
    "s3:BypassGovernanceRetention",
)
#: What makes retention longer can make it shorter, too, so it is for those that apply the stack alone.
_LOCK: Final = "s3:PutBucketObjectLockConfiguration"
#: docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html: characters of a policy
_LONGEST: Final = 5120


class GuardError(ValueError):
    """A guard that can't be written; the message says what is missing."""


def deny_regions(zone: Zone, partition: aws.Partition, deployers: Sequence[str] = ()) -> Mapping[str, Any]:
    """The policy: every call outside the zone's regions is denied, but to services that have none; what
    nobody may do; and what only `deployers` may, roles by ARN. Raises GuardError where the zone has no region
    in the partition."""
    regions = sorted(zone.regions.get(partition.provider, ()))
    if not regions:
        raise GuardError(
            f"Zone {zone.name} names no region of {partition.provider}, so a guard would deny everything: "
            f"name some under `regions: {partition.provider}:`."
        )
    spared = [f"{service}:*" for service in partition.spared]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "OtherRegions",
                "Effect": "Deny",
                **({"NotAction": spared} if spared else {"Action": "*"}),
                "Resource": "*",
                "Condition": {"StringNotEquals": {"aws:RequestedRegion": regions}},
            },
            {"Sid": "Never", "Effect": "Deny", "Action": list(_NEVER), "Resource": "*"},
            {"Sid": "Locks", "Effect": "Deny", "Action": _LOCK, "Resource": "*", **but(deployers)},
        ],
    }


def text(zone: Zone, partition: aws.Partition, deployers: Sequence[str] = ()) -> str:
    """The policy as the file that the organization's owner attaches. Raises GuardError."""
    return json.dumps(deny_regions(zone, partition, deployers), indent=2) + "\n"


class RegionGuard(ComponentResource):
    """The policy, attached: for those who own the organization, from its management account."""

    def __init__(
        self,
        name: str,
        place: Place,
        zone: Zone,
        target: str,
        deployers: Sequence[str] = (),
        *,
        after: Sequence[Resource] = (),
        opts: ResourceOptions | None = None,
    ) -> None:
        """`place` is in the management account; `target` the id of a root, a unit or an account. `deployers`:
        roles, by ARN, that may lock records for longer. `after`: the ground, which could not be made under
        it. Raises GuardError."""
        super().__init__("sovereign:aws:RegionGuard", name, None, opts)
        content = json.dumps(deny_regions(zone, place.facts.partition, deployers), separators=(",", ":"))
        if len(content) > _LONGEST:
            raise GuardError(
                f"The guard of zone {zone.name} has {len(content)} characters, and AWS takes {_LONGEST}: "
                "name fewer regions in the zone."
            )
        policy = Policy(
            name,
            name=name,
            type="SERVICE_CONTROL_POLICY",
            description=f"Calls outside zone {zone.name} are denied",
            content=content,
            opts=place.within(self),
        )
        PolicyAttachment(
            name, policy_id=policy.id, target_id=target, opts=place.within(self, depends_on=list(after))
        )
        self.register_outputs({})
