"""Endpoints: one for each service that a private cluster calls, and what their policies let through."""

import json
from datetime import date
from fnmatch import fnmatchcase
from typing import Any

import pytest

from components.aws.endpoints import Endpoints, UsedEndpoints
from components.aws.logs import LogKeeping
from components.aws.network import Network
from components.aws.place import Place
from components.aws.use import Use
from policies.model import Resource
from tests.components.aws.support import of_kind
from tests.support import aws

FOREIGN = "999988887777"


def endpoints(
    region: str = "eu-west-3", *, sessions: bool = False, use: UsedEndpoints | None = None
) -> tuple[Resource, ...]:
    def build(place: Place) -> None:
        network = Network("llm", place, aws.NETWORK, LogKeeping(place.arn("kms", "key/1"), 2192))
        Endpoints("llm", place, network, sessions=sessions, use=use)

    return aws.planned(build, region=region)


def made(asked: tuple[Resource, ...]) -> dict[str, Resource]:
    return {name.removeprefix("llm-"): one for name, one in of_kind(asked, "VpcEndpoint").items()}


@pytest.mark.parametrize("region", ["eu-west-3", "eusc-de-east-1", "us-west-2"])
def test_what_a_private_cluster_calls(region: str) -> None:
    found = made(endpoints(region))
    assert set(found) == {
        *("autoscaling", "backup", "ec2", "ecr.api", "ecr.dkr", "eks", "eks-auth", "elasticloadbalancing"),
        *("guardduty-data", "kms", "logs", "monitoring", "s3", "secretsmanager", "ssm", "sts"),
    }
    assert all(one.inputs["privateDnsEnabled"] for name, one in found.items() if name != "s3")
    assert all(f".{region}." in one.inputs["serviceName"] for one in found.values())
    assert all("serviceRegion" not in one.inputs for one in found.values())


def test_sessions_have_two_channels() -> None:
    more = set(made(endpoints(sessions=True))) - set(made(endpoints()))
    assert more == {"ec2messages", "ssmmessages"}


def test_they_answer_the_network_and_open_nothing() -> None:
    asked = endpoints()
    (own,) = (one for one in of_kind(asked, "SecurityGroup").values() if one.name == "llm")
    ingress = [
        one.inputs for one in of_kind(asked, "SecurityGroupIngressRule").values() if "cidrIpv4" in one.inputs
    ]
    assert [(one["cidrIpv4"], one["fromPort"], one["toPort"]) for one in ingress] == [(aws.NETWORK, 443, 443)]
    opened = {
        urn
        for one in of_kind(asked, "SecurityGroupEgressRule").values()
        for urn in one.dependencies["securityGroupId"]
    }
    assert own.urn not in opened


def allows(policy: str, principal: str, action: str, resource: str, owner: str) -> bool:
    """Whether an endpoint policy lets a request through, as AWS evaluates allows with StringEquals."""
    asked = {"aws:PrincipalAccount": principal, "aws:ResourceAccount": owner}
    return any(
        any(fnmatchcase(action, pattern) for pattern in _listed(statement["Action"]))
        and any(fnmatchcase(resource, pattern) for pattern in _listed(statement["Resource"]))
        and all(
            asked[key] in _listed(values)
            for key, values in statement.get("Condition", {}).get("StringEquals", {}).items()
        )
        for statement in json.loads(policy)["Statement"]
        if statement["Effect"] == "Allow"
    )


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


_OURS, _LAYERS = "arn:aws:s3:::models/a", "arn:aws:s3:::prod-eu-west-3-starport-layer-bucket/a"
_ADD_ON = "arn:aws:ecr:eu-west-3:602401143452:repository/eks/coredns"


@pytest.mark.parametrize(
    ("service", "principal", "action", "resource", "owner", "through"),
    [
        ("s3", aws.ACCOUNT, "s3:PutObject", _OURS, aws.ACCOUNT, True),
        ("s3", aws.ACCOUNT, "s3:PutObject", "arn:aws:s3:::evil/a", FOREIGN, False),
        ("s3", FOREIGN, "s3:PutObject", "arn:aws:s3:::evil/a", FOREIGN, False),
        ("s3", FOREIGN, "s3:GetObject", _OURS, aws.ACCOUNT, False),
        ("s3", "602401143452", "s3:GetObject", _LAYERS, "602401143452", True),
        ("s3", aws.ACCOUNT, "s3:PutObject", _LAYERS, "602401143452", False),
        ("ecr.api", aws.ACCOUNT, "ecr:BatchGetImage", _ADD_ON, "602401143452", True),
        ("ecr.dkr", aws.ACCOUNT, "ecr:PutImage", _ADD_ON, "602401143452", False),
        ("ecr.dkr", FOREIGN, "ecr:BatchGetImage", _ADD_ON, "602401143452", False),
        (
            "ecr.api",
            aws.ACCOUNT,
            "ecr:PutImage",
            f"arn:aws:ecr:eu-west-3:{FOREIGN}:repository/x",
            FOREIGN,
            False,
        ),
        ("kms", aws.ACCOUNT, "kms:Decrypt", f"arn:aws:kms:eu-west-3:{aws.ACCOUNT}:key/1", aws.ACCOUNT, True),
        ("kms", aws.ACCOUNT, "kms:Encrypt", f"arn:aws:kms:eu-west-3:{FOREIGN}:key/1", FOREIGN, False),
        (
            "logs",
            aws.ACCOUNT,
            "logs:PutLogEvents",
            f"arn:aws:logs:eu-west-3:{FOREIGN}:log-group:x",
            FOREIGN,
            False,
        ),
        ("secretsmanager", aws.ACCOUNT, "secretsmanager:PutSecretValue", "x", FOREIGN, False),
        ("sts", aws.ACCOUNT, "sts:AssumeRole", f"arn:aws:iam::{FOREIGN}:role/x", FOREIGN, False),
        ("ec2", FOREIGN, "ec2:DescribeInstances", "*", FOREIGN, False),
        ("ec2", aws.ACCOUNT, "ec2:DescribeImages", "*", "137112412989", True),
        ("eks-auth", aws.ACCOUNT, "eks-auth:AssumeRoleForPodIdentity", "x", aws.ACCOUNT, True),
    ],
)
def test_who_reaches_what(
    service: str, principal: str, action: str, resource: str, owner: str, through: bool
) -> None:
    policy = made(endpoints())[service].inputs["policy"]
    assert allows(policy, principal, action, resource, owner) is through


def test_where_nobody_knows_the_registry_of_add_ons_none_is_admitted() -> None:
    policy = json.loads(made(endpoints("eusc-de-east-1"))["ecr.api"].inputs["policy"])
    assert [statement["Sid"] for statement in policy["Statement"]] == ["OfThisAccount"]


def test_endpoints_that_are_there_are_left_alone() -> None:
    use = Use(
        id="vpce-071f407723d66afef",
        what="Each endpoint holds requests to the organization",
        owner="network@hospital.example",
        since=date(2026, 1, 1),
        until=date(2027, 1, 1),
    )
    asked = endpoints(use=UsedEndpoints(s3=use, prefix_list="pl-23ad484a", group="sg-0a52677293e4f03c8"))
    assert made(asked) == {}
    ways = {
        one.inputs.get("prefixListId") or one.inputs["referencedSecurityGroupId"]
        for name, one in of_kind(asked, "SecurityGroupEgressRule").items()
        if name in ("llm-nodes-s3", "llm-nodes-services")
    }
    assert ways == {"pl-23ad484a", "sg-0a52677293e4f03c8"}
