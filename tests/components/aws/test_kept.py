"""What is kept, and what watches: buckets, the trail, backups; and what a landing zone has of them already."""

import json
from typing import Any

import pytest

from components.aws.ground import Singletons
from policies.model import Resource
from tests.components.aws.grounds import DAYS, stood, used, usual
from tests.components.aws.support import of_kind
from tests.support import aws

_BUCKETS = ("audit", "inventory", "trail", "weights")
_LOCKED = ("audit", "trail")


def one(kind: str, part: str = "", plan: tuple[Resource, ...] | None = None) -> dict[str, Any]:
    """The inputs of a resource."""
    return dict(of_kind(plan or usual(), kind)[f"llm-paris-{part}".rstrip("-")].inputs)


def denied(bucket: str) -> dict[str, dict[str, Any]]:
    """What the policy of a bucket denies to everybody, by its name."""
    told = json.loads(one("BucketPolicy", bucket)["policy"])["Statement"]
    return {each["Sid"]: each for each in told if each["Effect"] == "Deny" and each["Principal"] == "*"}


@pytest.mark.parametrize("bucket", _BUCKETS)
def test_a_bucket_is_private_encrypted_and_kept_when_the_stack_goes(bucket: str) -> None:
    made = of_kind(usual(), "Bucket")[f"llm-paris-{bucket}"]
    assert made.options == {"protect": True, "retainOnDelete": True}
    assert made.inputs["forceDestroy"] is False
    block = one("BucketPublicAccessBlock", bucket)
    assert {key for key, value in block.items() if value is True} == {
        "blockPublicAcls",
        "blockPublicPolicy",
        "ignorePublicAcls",
        "restrictPublicBuckets",
    }
    assert one("BucketVersioning", bucket)["versioningConfiguration"] == {"status": "Enabled"}
    assert one("BucketOwnershipControls", bucket)["rule"] == {"objectOwnership": "BucketOwnerEnforced"}
    (rule,) = one("BucketServerSideEncryptionConfiguration", bucket)["rules"]
    assert rule["applyServerSideEncryptionByDefault"]["sseAlgorithm"] == "aws:kms"
    assert (rule["bucketKeyEnabled"], rule["blockedEncryptionTypes"]) == (True, ["SSE-C"])


@pytest.mark.parametrize("bucket", _BUCKETS)
def test_what_is_in_it_is_reached_by_tls_from_inside_only(bucket: str) -> None:
    assert {"WithoutTls", "OldTls", "OutsideTheNetwork"} <= set(denied(bucket))
    outside = denied(bucket)["OutsideTheNetwork"]
    assert list(outside["Condition"]["StringNotEquals"]) == ["aws:SourceVpce"]
    assert set(outside["Action"]) >= {"s3:GetObject*", "s3:PutObject*", "s3:DeleteObject*"}


def test_records_and_the_trail_are_locked_and_nobody_may_open_the_lock() -> None:
    deployers = [f"arn:aws:iam::{aws.ACCOUNT}:role/deployers"]
    locks = of_kind(usual(), "BucketObjectLockConfiguration")
    assert set(locks) == {f"llm-paris-{bucket}" for bucket in _LOCKED}
    for bucket in _LOCKED:
        kept = one("BucketObjectLockConfiguration", bucket)["rule"]["defaultRetention"]
        assert kept == {"mode": "COMPLIANCE", "days": DAYS}
        assert one("Bucket", bucket)["objectLockEnabled"] is True
        assert denied(bucket)["Unlocking"]["Action"] == "s3:BypassGovernanceRetention"
        assert "Condition" not in denied(bucket)["Unlocking"]
        assert denied(bucket)["OtherLocks"]["Action"] == "s3:PutBucketObjectLockConfiguration"
        assert denied(bucket)["OtherLocks"]["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": deployers}}


def test_no_object_says_a_shorter_lock_and_an_audit_record_says_one() -> None:
    for bucket in _LOCKED:
        shorter = denied(bucket)["ShorterLocks"]
        assert shorter["Action"] == "s3:PutObject"
        assert shorter["Condition"] == {"NumericLessThan": {"s3:object-lock-remaining-retention-days": DAYS}}
    unstated = denied("audit")["UnstatedLocks"]
    assert unstated["Condition"] == {"Null": {"s3:object-lock-remaining-retention-days": "true"}}
    # a service delivers the files of the trail, and says nothing
    assert "UnstatedLocks" not in denied("trail")


def test_locked_records_go_on_the_day_after_and_weights_never() -> None:
    for bucket in _LOCKED:
        (kept,) = (
            each for each in one("BucketLifecycleConfiguration", bucket)["rules"] if each["id"] == "kept"
        )
        assert kept["expiration"] == {"days": DAYS + 1}
    rules = one("BucketLifecycleConfiguration", "weights")["rules"]
    assert [each["id"] for each in rules if "expiration" in each] == []


def test_a_policy_that_forbids_to_change_the_lock_comes_after_the_lock() -> None:
    named = [(each.type.rpartition(":")[2], each.name) for each in usual()]
    for bucket in _LOCKED:
        name = f"llm-paris-{bucket}"
        assert named.index(("BucketPolicy", name)) > named.index(("BucketObjectLockConfiguration", name))


def test_the_trail_is_of_all_regions_chained_and_watches_records_and_weights() -> None:
    trail = one("Trail", "trail")
    assert trail["isMultiRegionTrail"] is True
    assert trail["enableLogFileValidation"] is True
    assert trail["includeGlobalServiceEvents"] is True
    fields = {each["field"]: each for each in trail["advancedEventSelectors"][1]["fieldSelectors"]}
    assert len(fields["resources.ARN"]["startsWiths"]) == 2
    assert all(arn.endswith("/") for arn in fields["resources.ARN"]["startsWiths"])


def test_guardduty_puts_no_agents_anywhere_by_itself() -> None:
    runtime = one("DetectorFeature", "runtime-monitoring")
    assert {each["status"] for each in runtime["additionalConfigurations"]} == {"DISABLED"}
    assert "llm-paris-aws-guardduty-agent" in of_kind(usual(), "Addon")


def test_backups_are_kept_as_long_as_records_behind_a_lock_for_ever() -> None:
    lock = one("VaultLockConfiguration", f"{DAYS}-days")
    assert (lock["minRetentionDays"], lock["maxRetentionDays"], lock["changeableForDays"]) == (DAYS, DAYS, 3)
    (daily,) = one("Plan")["rules"]
    assert daily["lifecycle"] == {"deleteAfter": DAYS}
    assert "copyActions" not in daily
    (tag,) = one("Selection")["selectionTags"]
    disks = one("StorageClass", "disks")["parameters"]
    assert disks["tagSpecification_1"] == f"{tag['key']}={tag['value']}"


def test_the_vault_of_an_earlier_retention_stays_beside_with_its_lock() -> None:
    plan = stood(days=3653, earlier=(DAYS,))
    for kind in ("Vault", "VaultLockConfiguration"):
        found = of_kind(plan, kind)
        assert set(found) == {"llm-paris-3653-days", f"llm-paris-{DAYS}-days"}
        before = of_kind(usual(), kind)[f"llm-paris-{DAYS}-days"]
        assert found[before.name].inputs == before.inputs
        assert all(each.options == {"protect": True, "retainOnDelete": True} for each in found.values())
    (daily,) = one("Plan", plan=plan)["rules"]
    assert daily["targetVaultName"] == "llm-paris-backups-3653"
    assert daily["lifecycle"] == {"deleteAfter": 3653}


def test_images_are_encrypted_and_their_tags_never_move() -> None:
    repositories = of_kind(usual(), "Repository")
    assert {each.inputs["name"] for each in repositories.values()} == {
        f"llm-paris/{image}" for image in ("audit", "gateway", "verifier", "vllm")
    }
    for each in repositories.values():
        (encryption,) = each.inputs["encryptionConfigurations"]
        assert encryption["encryptionType"] == "KMS"
        assert each.inputs["imageTagMutability"] == "IMMUTABLE"
        assert each.inputs["imageScanningConfiguration"] == {"scanOnPush": True}
        assert each.options == {"protect": True, "retainOnDelete": True}


def test_what_an_account_has_once_is_the_landing_zones() -> None:
    theirs = used("the landing zone's")
    once = Singletons(defaults=theirs, autoscaling=theirs, trail=theirs, inventory=theirs, detection=theirs)
    plan = stood(singletons=once)
    for kind in ("Trail", "Recorder", "DeliveryChannel", "Detector", "ServiceLinkedRole", "DefaultKmsKey"):
        assert of_kind(plan, kind) == {}, kind
    assert set(of_kind(plan, "Bucket")) == {"llm-paris-audit", "llm-paris-weights"}
    assert "llm-paris-aws-guardduty-agent" not in of_kind(plan, "Addon")
