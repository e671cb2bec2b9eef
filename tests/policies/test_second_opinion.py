"""What checkov is shown of a plan, and what is made of its answer."""

import json
from typing import Any

import pytest
import yaml

from policies import closed_world
from policies.model import MASKED, UNKNOWN, Plan, Resource, Sealed
from policies.model.resource import kubernetes_type
from policies.second_opinion import checks, merge, render
from policies.second_opinion.render import SKIPS, UNTOLD

BUCKET = "urn:pulumi:a::sovereign::aws:s3/bucket:Bucket::models"


def made(type: str, name: str = "x", **fields: Any) -> Resource:
    inputs = fields.pop("inputs", {})
    return Resource(f"urn:pulumi:a::sovereign::{type}::{name}", type, name, inputs, **fields)


def k8s(**item: Any) -> Resource:
    return made(kubernetes_type(item["apiVersion"], item["kind"]), inputs=item)


def terraform(*resources: Resource) -> dict[str, Any]:
    text = render(Plan.of(resources)).files["terraform_plan"]["plan.json"]
    plan: dict[str, Any] = json.loads(text)
    return plan


def values(*resources: Resource) -> list[dict[str, Any]]:
    return [one["values"] for one in terraform(*resources)["planned_values"]["root_module"]["resources"]]


def template(resource: Resource) -> dict[str, Any]:
    [text] = render(Plan.of([resource])).files["arm"].values()
    [shown] = json.loads(text)["resources"]
    assert isinstance(shown, dict)
    return shown


def test_each_object_is_a_file_and_a_list_is_taken_apart() -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}
    both = k8s(apiVersion="v1", kind="ServiceList", items=[service, service])
    rendered = render(Plan.of([both, k8s(apiVersion="apps/v1", kind="Deployment", spec={})]))
    shown = [yaml.safe_load(text) for text in rendered.files["kubernetes"].values()]
    assert shown == [service, service, {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {}}]
    assert len(rendered.resources) == 3


def test_a_patch_is_shown_as_what_it_patches() -> None:
    patch = made("kubernetes:apps/v1:DeploymentPatch", inputs={"spec": {"replicas": 2}})
    [text] = render(Plan.of([patch])).files["kubernetes"].values()
    assert yaml.safe_load(text) == {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 2}}


def test_what_is_not_known_is_replaced_and_counted() -> None:
    rendered = render(
        Plan.of([k8s(apiVersion="v1", kind="Pod", spec={"a": UNKNOWN, "b": [MASKED, 1, None]})])
    )
    [text] = rendered.files["kubernetes"].values()
    assert yaml.safe_load(text)["spec"] == {"a": UNTOLD, "b": [UNTOLD, 1, None]}
    assert rendered.replaced == 2


def test_a_secret_is_shown_to_nobody() -> None:
    secret = made("kubernetes:core/v1:Secret", inputs={"stringData": {"token": Sealed("hunter2")}})
    role = made("aws:iam/role:Role", inputs={"description": Sealed("hunter2")})
    rendered = render(Plan.of([secret, role]))
    assert rendered.replaced == 2
    assert "hunter2" not in json.dumps(rendered.files)


@pytest.mark.parametrize("key", ["checkov.io/skip1", "bridgecrew.io/skip2", "cortex.io/skip3"])
def test_an_annotation_that_asks_to_look_away_is_left_out_and_counted(key: str) -> None:
    annotated = {"annotations": {key: "CKV_K8S_19=because", "owner": "me"}}
    pod = k8s(apiVersion="v1", kind="Pod", metadata=annotated, spec={"template": {"metadata": annotated}})
    rendered = render(Plan.of([pod]))
    [text] = rendered.files["kubernetes"].values()
    assert not SKIPS.search(text)
    assert yaml.safe_load(text)["metadata"] == {"annotations": {"owner": "me"}}
    assert rendered.skips == 2


def test_aws_is_called_as_terraform_calls_it() -> None:
    group = made(
        "aws:ec2/securityGroup:SecurityGroup",
        inputs={
            "namePrefix": "a",
            "egress": [{"fromPort": 0, "cidrBlocks": ["0.0.0.0/0"], "ipv6CidrBlocks": ["::/0"]}],
            "tags": {"costCentre": "b"},
        },
    )
    table = made(
        "aws:dynamodb/table:Table",
        inputs={
            "globalSecondaryIndexes": [{"hashKey": "a"}],
            "replicas": [{"regionName": "us-east-1"}],
            "serverSideEncryption": {"kmsKeyArn": UNKNOWN},
            "nonKeyAttributes": ["a"],
        },
    )
    launch = made("aws:ec2/launchTemplate:LaunchTemplate", inputs={"networkInterfaces": [{"deviceIndex": 0}]})
    assert values(group, table, launch) == [
        {
            "name_prefix": "a",
            "egress": [{"from_port": 0, "cidr_blocks": ["0.0.0.0/0"], "ipv6_cidr_blocks": ["::/0"]}],
            "tags": {"costCentre": "b"},
        },
        {
            "global_secondary_index": [{"hash_key": "a"}],
            "replica": [{"region_name": "us-east-1"}],
            "server_side_encryption": {"kms_key_arn": UNTOLD},
            "non_key_attributes": ["a"],
        },
        {"network_interfaces": [{"device_index": 0}]},
    ]


@pytest.mark.parametrize(
    ("bucket", "dependencies"),
    [("models", {}), (UNKNOWN, {"bucket": (BUCKET,)}), (UNKNOWN, {"bucket": (BUCKET, "urn:of:none")})],
    ids=["by name", "by what it is computed from", "beside what is not shown"],
)
def test_what_refers_to_what_is_told(bucket: Any, dependencies: dict[str, Any]) -> None:
    named = made("aws:s3/bucket:Bucket", "models", inputs={"bucket": "models"})
    versioning = made(
        "aws:s3/bucketVersioning:BucketVersioning", inputs={"bucket": bucket}, dependencies=dependencies
    )
    first, second = terraform(named, versioning)["configuration"]["root_module"]["resources"]
    assert first["expressions"] == {}
    assert second["expressions"] == {"bucket": {"references": ["aws_s3_bucket.r0.id", "aws_s3_bucket.r0"]}}


def test_azure_is_shown_as_a_template() -> None:
    account = made(
        "azure-native:storage/v20230101:StorageAccount",
        inputs={
            "accountName": "models",
            "sku": {"name": "Standard_ZRS"},
            "networkRuleSet": {"defaultAction": "Deny"},
            "enableHttpsTrafficOnly": True,
        },
    )
    assert template(account) == {
        "type": "Microsoft.Storage/storageAccounts",
        "apiVersion": "2024-01-01",
        "name": "models",
        "sku": {"name": "Standard_ZRS"},
        "properties": {"networkAcls": {"defaultAction": "Deny"}, "supportsHttpsTrafficOnly": True},
    }


def test_azure_keeps_what_lies_under_properties_there_and_nests_the_rules_of_a_group() -> None:
    vault = made("azure-native:keyvault:Vault", inputs={"properties": {"enableSoftDelete": True}})
    assert template(vault)["properties"] == {"enableSoftDelete": True}
    cache = made("azure-native_redis_v20240301:redis:Redis", inputs={"sku": {"name": "Premium"}})
    assert template(cache)["properties"] == {"sku": {"name": "Premium"}}
    group = made(
        "azure-native:network:NetworkSecurityGroup",
        inputs={"securityRules": [{"name": "out", "access": "Allow"}, UNKNOWN]},
    )
    assert template(group)["properties"] == {
        "securityRules": [{"name": "out", "properties": {"access": "Allow"}}, UNTOLD]
    }


def test_what_has_no_form_is_counted_by_type() -> None:
    rendered = render(
        Plan.of(
            [
                made("pulumi:pulumi:Stack", "sovereign-a"),
                made("pulumi:providers:aws"),
                made("aws:bedrock/inferenceProfile:InferenceProfile", "a"),
                made("aws:bedrock/inferenceProfile:InferenceProfile", "b"),
                made("kubernetes:core/v1:Pod", recorded=False),
            ]
        )
    )
    assert rendered.files == {}
    assert rendered.not_mapped == {
        "pulumi:providers:aws": 1,
        "aws:bedrock/inferenceProfile:InferenceProfile": 2,
        "kubernetes:core/v1:Pod": 1,
    }


def answer(*results: tuple[str, str, str, str]) -> dict[str, Any]:
    """A report of checkov's: (outcome, id, file, resource)."""
    report: dict[str, list[dict[str, Any]]] = {"passed_checks": [], "failed_checks": []}
    for outcome, id, file, resource in results:
        one = {"check_id": id, "check_name": "A title.", "file_path": file, "resource": resource}
        report[outcome].append({**one, "severity": None})
    return {"results": report}


def test_failed_checks_are_put_to_the_resource_that_they_are_about() -> None:
    plan = Plan.of(
        [
            k8s(apiVersion="v1", kind="Pod", spec={}),
            made("aws:s3/bucket:Bucket", "models"),
            made("azure-native:keyvault:Vault", "keys"),
            k8s(apiVersion="example.org/v1", kind="Widget"),
        ]
    )
    reports = [
        ("kubernetes", answer(("failed_checks", "CKV_K8S_8", "/0.yaml", "Pod.default"))),
        ("terraform_plan", answer(("failed_checks", "CKV_AWS_18", "/plan.json", "aws_s3_bucket.r1"))),
        ("arm", answer(("passed_checks", "CKV_AZURE_42", "/2.json", "Microsoft.KeyVault/vaults.k"))),
    ]
    opinion = merge([(render(plan), reports)])
    assert [remark.to_json() for remark in opinion.remarks] == [
        {"tool": "checkov", "id": "CKV_AWS_18", "urn": plan.objects[1].urn, "title": "A title"},
        {"tool": "checkov", "id": "CKV_K8S_8", "urn": plan.objects[0].urn, "title": "A title"},
    ]
    assert not opinion.refuses
    told = opinion.coverage.to_json()
    assert (told["resources"], told["judged"]) == (4, 3)
    assert told["no_check"] == {"kubernetes:example.org/v1:Widget": 1}


def test_a_file_in_which_checkov_found_nothing_counts_as_not_judged() -> None:
    plan = Plan.of([k8s(apiVersion="v1", kind="Pod", spec=UNKNOWN)])
    opinion = merge([(render(plan), [("kubernetes", {"passed": 0, "failed": 0, "resource_count": 0})])])
    assert opinion.coverage.judged == 0
    assert opinion.coverage.no_check == {"kubernetes:core/v1:Pod": 1}


def test_a_check_that_the_kit_takes_as_its_own_refuses() -> None:
    plan = Plan.of([k8s(apiVersion="v1", kind="Pod", spec={})])
    reports = [("kubernetes", answer(("failed_checks", "CKV_K8S_27", "/0.yaml", "Pod.default")))]
    opinion = merge([(render(plan), reports)])
    assert opinion.refuses
    assert opinion.remarks[0].to_json()["refuses"] is True


def test_the_lists_of_checks_give_reasons_and_do_not_meet() -> None:
    left_out, own = checks()["left_out"], checks()["own"]
    assert not left_out.keys() & own.keys()
    assert all(id.startswith("CKV_") and len(why) > 20 for id, why in {**left_out, **own}.items())


def test_no_type_of_aws_or_azure_in_the_closed_world_is_passed_over_in_silence() -> None:
    clouds = [token for token in closed_world.allowed() if token.startswith(("aws:", "azure-native:"))]
    rendered = render(Plan.of(made(token, str(number)) for number, token in enumerate(clouds)))
    assert len(rendered.resources) + rendered.not_mapped.total() == len(clouds)
