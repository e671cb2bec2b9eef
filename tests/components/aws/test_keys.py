"""Keys: who may use one, for what, and that nobody may end it. tests/aws/access.yaml asks an evaluator of
policies the same, for one whole stack."""

import json
from typing import Any

import pytest

from components.aws.keys import KeyUse
from components.aws.use import Use
from policies.model import Resource
from tests.components.aws.grounds import MACHINES, stood, used, usual
from tests.components.aws.support import of_kind
from tests.support import aws

_USES = {"audit", "backup", "cluster", "logs", "registry", "volumes", "weights"}
_ENDS = {"kms:DisableKey", "kms:ScheduleKeyDeletion", "kms:DeleteImportedKeyMaterial"}
_READS = {"kms:*", "*", "kms:Decrypt"}


def keys(region: str = "eu-west-3", plan: tuple[Resource, ...] | None = None) -> dict[str, Resource]:
    """By use."""
    found = of_kind(plan or usual(region), "Key")
    return {name.rpartition("-")[2]: key for name, key in found.items()}


def statements(key: Resource) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(key.inputs["policy"])["Statement"]
    return found


def readers(key: Resource) -> set[str]:
    """The statements that let somebody decrypt."""
    return {
        one["Sid"]
        for one in statements(key)
        if one["Effect"] == "Allow" and _READS & set(_listed(one["Action"]))
    }


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def test_one_for_each_use_kept_when_the_stack_goes() -> None:
    assert set(keys()) == _USES
    for use, key in keys().items():
        assert key.options == {"protect": True, "retainOnDelete": True}, use
        assert key.inputs["enableKeyRotation"] is True, use
        assert key.inputs["deletionWindowInDays"] == 30, use
        assert key.inputs["multiRegion"] is False, use


@pytest.mark.parametrize("use", sorted(_USES))
def test_nobody_ends_one(use: str) -> None:
    (denied,) = (one for one in statements(keys()[use]) if one["Effect"] == "Deny")
    assert set(denied["Action"]) >= _ENDS
    assert (denied["Principal"], denied["Resource"]) == ({"AWS": "*"}, "*")
    assert "Condition" not in denied


@pytest.mark.parametrize("use", sorted(_USES))
def test_who_administers_one_can_neither_use_it_nor_let_somebody(use: str) -> None:
    (administration,) = (one for one in statements(keys()[use]) if one["Sid"] == "Administration")
    uses = ("Decrypt", "Encrypt", "GenerateDataKey", "ReEncrypt", "CreateGrant", "ReplicateKey", "*")
    assert [one for one in administration["Action"] if one.removeprefix("kms:").startswith(uses)] == []


def test_who_reads_what() -> None:
    assert {use: readers(key) for use, key in keys().items()} == {
        "audit": {"Writer", "Auditors"},
        "backup": set(),
        "cluster": {"Cluster"},
        "logs": {"Logs", "Inventory", "Auditors"},
        "registry": set(),
        "volumes": {"Nodes", "Volumes"},
        "weights": {"Readers", "Publishers"},
    }


@pytest.mark.parametrize("region", list(MACHINES))
def test_roles_use_keys_by_the_service_of_the_region_only(region: str) -> None:
    """Whoever calls KMS itself gets nothing; the control plane does, as EKS asks for it."""
    found = set()
    for use, key in keys(region).items():
        for one in statements(key):
            via = one.get("Condition", {}).get("StringEquals", {}).get("kms:ViaService")
            if via is not None:
                found.add(via.partition(".")[0])
                assert via.split(".")[1] == region
            elif one["Effect"] == "Allow" and "AWS" in one["Principal"]:
                assert (use, one["Sid"]) in {
                    *((each, "Administration") for each in _USES),
                    ("cluster", "Cluster"),
                    ("cluster", "Deployers"),
                    ("volumes", "Nodes"),
                    ("volumes", "NodesGrants"),
                }
    assert found == {"backup", "ec2", "ecr", "s3"}


def test_objects_are_decrypted_for_their_own_bucket_only() -> None:
    for use in ("audit", "weights"):
        for one in statements(keys()[use]):
            if one["Sid"] not in ("Administration", "NeverEnded"):
                (context,) = one["Condition"]["ArnLike"].values()
                assert all(f"-{use}-{aws.ACCOUNT}-" in arn for arn in context)


def test_a_key_of_the_landing_zone_is_used_instead() -> None:
    arn = f"arn:aws:kms:eu-west-3:{aws.ACCOUNT}:key/{aws.KEY}"
    given: dict[KeyUse, Use] = {"volumes": used(arn)}
    plan = stood(keys=given)
    assert set(keys(plan=plan)) == _USES - {"volumes"}
    (disks,) = of_kind(plan, "StorageClass").values()
    assert disks.inputs["parameters"]["kmsKeyId"] == arn
