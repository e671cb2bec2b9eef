"""Components of AWS planned symbolically without an engine: every output has the true shape, and the mark of
the resource that it is of (facts/sentinels.py). What the rules then see is what a review plan shows them."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from google.protobuf import json_format
from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks, rpc
from pulumi.runtime import test as until_done
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.proto import resource_pb2

from components.aws.place import Place
from facts import aws
from facts.sentinels import digest
from facts.zones import Zone
from policies import rules
from policies.judge import judge
from policies.model import Finding, Plan, Resource, StackFacts, Verdict
from policies.read.values import plain
from tests.support import runtime

ACCOUNT = "111122223333"
NETWORK = "10.20.0.0/16"
#: on which plans are judged
DAY = date(2026, 11, 25)
KEY = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"

_STACK = "pulumi:pulumi:Stack"
#: How ids of these begin; those of others are their mark alone.
IDS = {
    "aws:ec2/flowLog:FlowLog": "fl-",
    "aws:ec2/instance:Instance": "i-",
    "aws:ec2/routeTable:RouteTable": "rtb-",
    "aws:ec2/securityGroup:SecurityGroup": "sg-",
    "aws:ec2/subnet:Subnet": "subnet-",
    "aws:ec2/vpc:Vpc": "vpc-",
    "aws:ec2/vpcEndpoint:VpcEndpoint": "vpce-",
    "aws:ec2clientvpn/endpoint:Endpoint": "cvpn-endpoint-",
    "aws:route53/resolverFirewallDomainList:ResolverFirewallDomainList": "rslvr-fdl-",
    "aws:route53/resolverFirewallRuleGroup:ResolverFirewallRuleGroup": "rslvr-frg-",
}
#: Outputs beside id, ARN and name, or in their place.
_OUTPUTS: Mapping[str, Mapping[str, Any]] = {
    "aws:ec2/launchTemplate:LaunchTemplate": {"latestVersion": 1},
    "aws:ec2/vpc:Vpc": {"defaultRouteTableId": "rtb-{mark}"},
    "aws:ec2/vpcEndpoint:VpcEndpoint": {"prefixListId": "pl-{mark}"},
    "aws:ecr/repository:Repository": {"repositoryUrl": "{account}.dkr.ecr.{region}.{suffix}/{mark}"},
    "aws:eks/cluster:Cluster": {
        "endpoint": "https://{mark}.gr7.{region}.eks.{suffix}",
        "certificateAuthority": {"data": "Y2E="},
    },
    "aws:kms/key:Key": {"arn": "arn:{partition}:kms:{region}:{account}:key/{mark}"},
}


@dataclass
class Monitor(MockMonitor):
    """Answers registrations with sentinels, and keeps each as a resource of a plan."""

    stack: str
    region: str
    account: str
    asked: list[Resource] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(_Nobody())

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        above = parent.split("::")[2] if parent else _STACK
        chain = type_ if above == _STACK else f"{above}${type_}"
        return f"urn:pulumi:{self.stack}::sovereign::{chain}::{name}"

    def RegisterResource(self, request: Any) -> Any:
        urn = self.make_urn(request.parent, request.type, request.name)
        if request.type == _STACK:
            return resource_pb2.RegisterResourceResponse(urn=urn)
        given = _whole(plain(json_format.MessageToDict(request.object), blinded=False))
        inputs = self.checked(urn, request.type, given)
        self.asked.append(
            Resource(
                urn,
                request.type,
                request.name,
                inputs,
                request.provider,
                request.parent,
                request.custom,
                dependencies={
                    key: tuple(value.urns)
                    for key, value in request.propertyDependencies.items()
                    if value.urns
                },
                options={
                    "protect": request.protect,
                    "retainOnDelete": request.retainOnDelete,
                    **_trigger(request),
                },
            )
        )
        id, outputs = self.outputs(urn, request.type, inputs) if request.custom else ("", inputs)
        state = asyncio.run(rpc.serialize_properties(outputs, {}))
        return resource_pb2.RegisterResourceResponse(urn=urn, id=id, object=state)

    def checked(self, urn: str, token: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """The inputs as a plan has them; raises AssertionError where a provider would refuse them."""
        return inputs

    def outputs(self, urn: str, token: str, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The id and the outputs that answer for it."""
        mark = digest(urn)
        service = token.split(":")[1].partition("/")[0]
        partition = aws.region(self.region).partition
        arn = partition.arn(service, mark, self.region, self.account)
        told = {
            "mark": mark,
            "partition": partition.name,
            "suffix": partition.dns_suffix,
            "region": self.region,
            "account": self.account,
        }
        others = {key: _filled(value, told) for key, value in _OUTPUTS.get(token, {}).items()}
        return f"{IDS.get(token, '')}{mark}", {"arn": arn, "name": mark, **others, **inputs}


def _trigger(request: Any) -> dict[str, Any]:
    """The option by which a program asks for a replacement, where one is given."""
    if not request.HasField("replacement_trigger"):
        return {}
    return {"replacementTrigger": json_format.MessageToDict(request.replacement_trigger)}


class _Nobody(Mocks):
    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        raise AssertionError(f"{args.typ} {args.name} is read from outside")

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        if args.token == "aws:eks/getClusterAuth:getClusterAuth":
            return {"name": args.args["name"], "token": "k8s-aws-v1.simulated"}, []
        raise AssertionError(f"the program called {args.token}")


def _filled(value: Any, told: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _filled(inner, told) for key, inner in value.items()}
    return value.format_map(told) if isinstance(value, str) else value


def planned(
    build: Callable[[Place], None],
    *,
    region: str = "eu-west-3",
    account: str = ACCOUNT,
    name: str = "llm-paris",
) -> tuple[Resource, ...]:
    """What a program asks for at a place of its own."""
    monitor = Monitor(name, region, account)
    runtime.begin(_Nobody(), name, monitor)
    until_done(lambda: build(Place.at(name, region=region, account=account)))()  # type: ignore[no-untyped-call]
    return tuple(monitor.asked)


def zone(**changes: Any) -> Zone:
    """A hospital's zone in Paris; single keys may be replaced."""
    given: dict[str, Any] = {
        "name": "hds-fr",
        "countries": ["FR"],
        "eea": "required",
        "regions": {"aws": ["eu-west-3"]},
        "accounts": {"aws": [ACCOUNT]},
        "networks": [NETWORK],
        "hosts": ["*.hospital.example"],
        "retention": {"minimum": 2192, "basis": "45 CFR 164.316(b)(2)(i)"},
        "declared": [answered("A37"), answered("A53")],
    }
    return Zone.model_validate({**given, **changes})


def answered(route: str) -> dict[str, str]:
    """Somebody's word for what a plan doesn't show."""
    return {
        "route": route,
        "what": "The organization keeps it for every account",
        "owner": "security@hospital.example",
        "since": "2026-01-01",
        "until": "2099-12-31",
    }


def findings(asked: tuple[Resource, ...], judged_by: Zone) -> tuple[Finding, ...]:
    """What all rules say of it, as a whole plan of a stack whose state is in the zone."""
    (region,) = (code for codes in judged_by.regions.values() for code in codes)
    state = StackFacts("aws", f"s3://states?region={region}&awssdk=v2", "passphrase")
    return judge(Plan.of(asked, state, at=DAY), judged_by, rules.load()).findings


def refusals(asked: tuple[Resource, ...], judged_by: Zone) -> tuple[Finding, ...]:
    """What the program itself would refuse at `up`, where it sees each resource alone
    (policies/program.py)."""
    local = tuple(rule for rule in rules.load() if rule.scope == "resource")
    return tuple(
        finding
        for one in asked
        for finding in judge(
            Plan.of(
                [Resource(f"::::{one.type}::{one.name}", one.type, one.name, one.inputs)], whole=False, at=DAY
            ),
            judged_by,
            local,
        ).findings
        if finding.verdict is Verdict.REFUSE
    )


def _whole(value: Any) -> Any:
    """Whole numbers as such: the wire knows floats only."""
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
