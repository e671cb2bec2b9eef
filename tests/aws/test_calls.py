"""What the stacks on AWS ask for, mapped to the services' API by calls.yaml and held against their own models."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from policies.model import Resource
from tests.aws.calls import Call, Unmapped, calls, problems, service_model, table
from tests.aws.changes import find, over
from tests.support.aws_stacks import EVERYTHING, OWN_ACCOUNT, PARIS, STACKS, WITH_ACCESS, Rendered, rendered

#: every stack with all that an account has once, and one with all that the kit can make
_PLANS: list[tuple[str, Mapping[str, Any], Mapping[str, Any]]] = [
    *((stack, OWN_ACCOUNT, {}) for stack in STACKS),
    (PARIS, EVERYTHING, WITH_ACCESS),
]


def said(stack: Rendered, resource: Resource) -> list[str]:
    """What the models say of the calls that make a resource."""
    assert stack.settings.aws is not None
    answers = {"region": stack.settings.aws.region, **stack.answers[resource.urn]}
    return [
        f"{resource.type} {resource.name} {call.operation} {problem}"
        for call in calls(resource, answers)
        for problem in problems(call)
    ]


@pytest.mark.parametrize("plan", _PLANS, ids=lambda plan: f"{plan[0]}, {len(plan[1])} changes")
def test_the_api_takes_what_the_stack_asks_for(
    plan: tuple[str, Mapping[str, Any], Mapping[str, Any]],
) -> None:
    stack = rendered(*plan)
    assert [problem for one in stack.cloud for problem in said(stack, one)] == []


def test_every_type_is_mapped_and_none_is_mapped_for_nothing() -> None:
    asked = Counter(one.type for plan in _PLANS for one in rendered(*plan).cloud)
    assert asked.keys() == table()["types"].keys()


@pytest.mark.parametrize("member", list(table()["beyond"]))
def test_what_the_models_leave_out_is_said_of_members_that_are_there(member: str) -> None:
    call, _, path = member.partition(" ")
    service, _, operation = call.partition(".")
    shape = service_model(service).operation_model(operation).input_shape
    for step in path.split("."):
        while shape.type_name == "list":
            shape = shape.member
        shape = shape.members[step]


#: (resource, change laid over its inputs, the member that is named, what is said of it)
MISTAKES: list[tuple[str, Mapping[str, Any], str, str]] = [
    # members that must be there
    ("Vpc", {"cidrBlock": 7}, "CidrBlock", "Invalid type"),
    ("Subnet nodes-a", {"vpcId": None}, "VpcId", "Missing required"),
    ("SecurityGroup nodes", {"description": None}, "Description", "Missing required"),
    ("Role nodes", {"assumeRolePolicy": None}, "AssumeRolePolicyDocument", "Missing required"),
    ("RolePolicy flows", {"name": None}, "PolicyName", "Missing required"),
    ("Cluster", {"roleArn": None}, "roleArn", "Missing required"),
    ("NodeGroup system", {"subnetIds": None}, "subnets", "Missing required"),
    ("BucketPolicy audit", {"policy": None}, "Policy", "Missing required"),
    ("ResolverFirewallRule allow", {"priority": None}, "Priority", "Missing required"),
    ("Trail trail", {"s3BucketName": None}, "S3BucketName", "Missing required"),
    # enums
    ("Key audit", {"keyUsage": "ENCRYPT"}, "KeyUsage", "none of its"),
    ("Bucket audit", {"bucketNamespace": "regional"}, "BucketNamespace", "none of its"),
    ("BucketVersioning audit", {"versioningConfiguration": {"status": "On"}}, "Status", "none of its"),
    (
        "BucketObjectLockConfiguration audit",
        {"rule": {"defaultRetention": {"mode": "STRICT"}}},
        "ObjectLockConfiguration.Rule.DefaultRetention.Mode",
        "none of its",
    ),
    (
        "BucketServerSideEncryptionConfiguration audit",
        {"rules": {0: {"applyServerSideEncryptionByDefault": {"sseAlgorithm": "kms"}}}},
        "SSEAlgorithm",
        "none of its",
    ),
    (
        "BucketServerSideEncryptionConfiguration audit",
        {"rules": {0: {"blockedEncryptionTypes": ["SSEC"]}}},
        "EncryptionType[0]",
        "none of its",
    ),
    (
        "BucketOwnershipControls audit",
        {"rule": {"objectOwnership": "Owner"}},
        "ObjectOwnership",
        "none of its",
    ),
    ("LaunchTemplate system", {"instanceType": "m7i.xxlarge"}, "InstanceType", "none of its"),
    ("LaunchTemplate system", {"metadataOptions": {"httpTokens": "yes"}}, "HttpTokens", "none of its"),
    ("FlowLog", {"trafficType": "EVERYTHING"}, "TrafficType", "none of its"),
    ("VpcEndpoint s3", {"vpcEndpointType": "gateway"}, "VpcEndpointType", "none of its"),
    ("NodeGroup system", {"amiType": "BOTTLEROCKET"}, "amiType", "none of its"),
    (
        "NodeGroup gpu-llama-3-3-70b",
        {"taints": {0: {"effect": "NoSchedule"}}},
        "taints[0].effect",
        "none of its",
    ),
    (
        "Cluster",
        {"accessConfig": {"authenticationMode": "IAM"}},
        "accessConfig.authenticationMode",
        "none of its",
    ),
    ("Cluster", {"enabledClusterLogTypes": ["audits"]}, "types[0]", "none of its"),
    ("Repository audit", {"imageTagMutability": "FIXED"}, "imageTagMutability", "none of its"),
    ("ResolverFirewallRule block", {"blockResponse": "NOTHING"}, "BlockResponse", "none of its"),
    ("ResolverFirewallConfig", {"firewallFailOpen": "NEVER"}, "FirewallFailOpen", "none of its"),
    ("Selection", {"selectionTags": {0: {"type": "EQUALS"}}}, "ConditionType", "none of its"),
    ("Analyzer", {"type": "EVERYBODY"}, "type", "none of its"),
    # patterns
    ("Role nodes", {"name": "llm nodes"}, "RoleName", "doesn't match"),
    ("Alias audit", {"name": "alias/llm audit"}, "AliasName", "doesn't match"),
    ("Repository audit", {"name": "LLM/audit"}, "repositoryName", "doesn't match"),
    ("Cluster", {"name": "-llm"}, "name", "doesn't match"),
    ("LogGroup flows", {"name": "/llm flows?"}, "logGroupName", "doesn't match"),
    ("Vault 2192-days", {"name": "backups of llm"}, "BackupVaultName", "doesn't match"),
    ("ResolverFirewallRuleGroup", {"name": "llm/paris"}, "Name", "doesn't match"),
    (
        "RolePolicyAttachment nodes-AmazonEKSWorkerNodePolicy",
        {"role": "llm:nodes"},
        "RoleName",
        "doesn't match",
    ),
    ("Bucket audit", {"bucket": "LLM_audit"}, "Bucket", "doesn't match"),
    ("SecurityGroup nodes", {"description": "Nodes’ group"}, "Description", "doesn't match"),
    # lengths, sizes and ranges
    ("Role nodes", {"name": "n" * 65}, "RoleName", "is of size 65"),
    ("Bucket audit", {"bucket": "b" * 64}, "Bucket", "is of size 64"),
    ("Key audit", {"rotationPeriodInDays": 30}, "RotationPeriodInDays", "valid min value: 90"),
    ("Key audit", {"rotationPeriodInDays": 2561}, "RotationPeriodInDays", "is of size 2561"),
    ("Key audit", {"description": "k" * 8193}, "Description", "is of size 8193"),
    ("Repository audit", {"name": "r"}, "repositoryName", "Invalid length"),
    ("LogGroup flows", {"retentionInDays": 2190}, "retentionInDays", "none of [1, 3"),
    ("FlowLog", {"maxAggregationInterval": 300}, "MaxAggregationInterval", "none of [60, 600]"),
    ("LaunchTemplate system", {"name": "t" * 129}, "LaunchTemplateName", "doesn't match"),
    # types
    ("Bucket audit", {"objectLockEnabled": "yes"}, "ObjectLockEnabledForBucket", "Invalid type"),
    ("NodeGroup system", {"scalingConfig": {"minSize": "2"}}, "minSize", "Invalid type"),
]


@pytest.mark.parametrize(
    ("named", "change", "member", "told"), MISTAKES, ids=[f"{row[0]}: {row[2]}" for row in MISTAKES]
)
def test_a_mistake_is_noticed(named: str, change: Mapping[str, Any], member: str, told: str) -> None:
    stack = rendered(PARIS, OWN_ACCOUNT)
    one = find(stack.resources, named)
    assert said(stack, one) == []
    found = said(stack, replace(one, inputs=over(one.inputs, change)))
    assert any(member in line and told in line for line in found), found


def test_a_property_that_no_call_takes_is_noticed() -> None:
    stack = rendered(PARIS)
    one = find(stack.resources, "Cluster")
    with pytest.raises(Unmapped, match=r"no call takes vpcConfig\.publicAccessRanges: say in calls\.yaml"):
        said(
            stack,
            replace(one, inputs=over(one.inputs, {"vpcConfig": {"publicAccessRanges": ["10.0.0.0/8"]}})),
        )


def test_a_member_that_the_call_does_not_know_is_noticed() -> None:
    assert problems(Call("kms", "CreateKey", {"Rotation": True})) == [
        'Unknown parameter in input: "Rotation", must be one of: '
        + ", ".join(service_model("kms").operation_model("CreateKey").input_shape.members)
    ]
