"""The guard of regions: what it denies, to whom, and that it is the same as a file and as a resource."""

import json
from fnmatch import fnmatchcase
from typing import Any

import pytest

from components.aws import organisation
from components.aws.organisation import GuardError
from facts import aws as facts
from tests.components.aws.support import ZONES, laid, lay, of_kind
from tests.support import aws


def denies(policy: Any, action: str, region: str) -> bool:
    """Whether a guard denies a call in a region."""
    for statement in policy["Statement"]:
        listed = statement.get("NotAction", statement.get("Action"))
        named = any(
            fnmatchcase(action, pattern) for pattern in ([listed] if isinstance(listed, str) else listed)
        )
        meant = named is not ("NotAction" in statement)
        held = statement.get("Condition", {}).get("StringNotEquals", {}).get("aws:RequestedRegion")
        if meant and (held is None or region not in held):
            return True
    return False


@pytest.mark.parametrize(
    ("action", "region", "denied"),
    [
        ("s3:PutObject", "eu-west-3", False),
        ("s3:CreateBucket", "us-east-1", True),
        ("ec2:RunInstances", "eu-west-2", True),
        ("bedrock:InvokeModel", "us-east-1", True),
        ("cloudfront:CreateDistribution", "us-east-1", True),
        ("globalaccelerator:CreateAccelerator", "us-west-2", True),
        ("networkmanager:CreateCoreNetwork", "us-west-2", True),
        ("iam:CreateRole", "us-east-1", False),
        ("organizations:DescribeOrganization", "us-east-1", False),
        ("sts:AssumeRole", "us-east-1", False),
        ("ec2:CreateInternetGateway", "eu-west-3", True),
        ("cloudtrail:DeleteTrail", "eu-west-3", True),
        ("cloudtrail:CreateTrail", "eu-west-3", False),
        ("kms:DisableKey", "eu-west-3", True),
        ("kms:ScheduleKeyDeletion", "eu-west-3", True),
        ("kms:Decrypt", "eu-west-3", False),
        ("s3:PutBucketObjectLockConfiguration", "eu-west-3", True),
        ("organizations:LeaveOrganization", "us-east-1", True),
    ],
)
def test_what_is_denied(action: str, region: str, denied: bool) -> None:
    policy = organisation.deny_regions(ZONES["eu-west-3"], facts.region("eu-west-3").partition)
    assert denies(policy, action, region) is denied


def test_in_a_partition_without_global_services_nothing_is_spared() -> None:
    policy = organisation.deny_regions(ZONES["eusc-de-east-1"], facts.region("eusc-de-east-1").partition)
    assert policy["Statement"][0]["Action"] == "*"
    assert policy["Statement"][0]["Condition"]["StringNotEquals"]["aws:RequestedRegion"] == ["eusc-de-east-1"]


def test_nobody_is_excepted() -> None:
    policy = organisation.deny_regions(ZONES["eu-west-3"], facts.region("eu-west-3").partition)
    keys = {
        key for one in policy["Statement"] for values in one.get("Condition", {}).values() for key in values
    }
    assert keys == {"aws:RequestedRegion"}


def test_those_who_apply_the_stack_are_excepted_from_one_denial_alone() -> None:
    deployers = ["arn:aws:iam::111122223333:role/llm-deployer"]
    region = facts.region("eu-west-3")
    policy = organisation.deny_regions(ZONES["eu-west-3"], region.partition, deployers)
    held = {one["Sid"]: one for one in policy["Statement"] if "aws:PrincipalArn" in json.dumps(one)}
    assert set(held) == {"Locks"}
    assert held["Locks"]["Action"] == "s3:PutBucketObjectLockConfiguration"
    assert held["Locks"]["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": deployers}}


def test_the_file_says_what_the_resource_says() -> None:
    zone = ZONES["eu-west-3"]
    (policy,) = of_kind(laid(), "Policy").values()
    assert json.loads(policy.inputs["content"]) == json.loads(
        organisation.text(zone, facts.region("eu-west-3").partition)
    )


def test_every_call_that_it_forbids_is_one() -> None:
    assert list(organisation._NEVER) == sorted(set(organisation._NEVER))


def test_a_zone_without_a_region_there_has_no_guard() -> None:
    with pytest.raises(GuardError, match="names no region of aws-eusc"):
        organisation.text(ZONES["eu-west-3"], facts.region("eusc-de-east-1").partition)


def test_a_guard_that_aws_would_not_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(organisation, "_LONGEST", 100)
    with pytest.raises(GuardError, match="AWS takes 100"):
        aws.planned(lay)
