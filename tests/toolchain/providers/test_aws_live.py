"""The stand-in for AWS as the engine uses it: programs of the published SDK, previewed and refused."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import yaml

from facts.sentinels import digest
from tests.support.cluster import ROOT
from toolchain import build
from toolchain.engine import Engine
from toolchain.providers import aws

STACK = "review"
STACK_TYPE = "pulumi:pulumi:Stack"
PREFIX = f"urn:pulumi:{STACK}::sovereign::"
ACCOUNT = "111122223333"

_HEAD = f'''"""A program of a test."""
import json
import pulumi
import pulumi_aws as aws

provider = aws.Provider("paris", region="eu-west-3", allowed_account_ids=["{ACCOUNT}"])
opts = pulumi.ResourceOptions(provider=provider)
'''

_GROUND = f"""{_HEAD}
zones = aws.get_availability_zones(state="available", opts=pulumi.InvokeOptions(provider=provider))
vpc = aws.ec2.Vpc("net", cidr_block="10.0.0.0/16", enable_dns_hostnames=True, opts=opts)
subnet = aws.ec2.Subnet(
    "nodes", vpc_id=vpc.id, cidr_block="10.0.0.0/24", availability_zone=zones.names[0], opts=opts
)
key = aws.kms.Key("secrets", enable_key_rotation=True, opts=opts)
bucket = aws.s3.Bucket("audit", bucket="hospital-audit", object_lock_enabled=True, opts=opts)
aws.s3.BucketPolicy(
    "audit",
    bucket=bucket.bucket,
    policy=bucket.arn.apply(lambda arn: json.dumps({{"Resource": arn + "/*"}})),
    opts=opts,
)
cluster = aws.eks.Cluster(
    "llm",
    name="llm",
    role_arn="arn:aws:iam::{ACCOUNT}:role/llm",
    vpc_config={{"subnet_ids": [subnet.id], "endpoint_private_access": True}},
    encryption_config={{"provider": {{"key_arn": key.arn}}, "resources": ["secrets"]}},
    opts=opts,
)
seen = {{
    "endpoint": cluster.endpoint,
    "issuer": cluster.identities[0].oidcs[0].issuer,
    "hosted": pulumi.Output.concat("zone ", bucket.hosted_zone_id),
}}
aws.cloudwatch.LogGroup("seen", name="seen", tags=seen, opts=opts)
"""

_MISSPELT = f"""{_HEAD}
aws.eks.Cluster(
    "llm",
    role_arn="arn:aws:iam::{ACCOUNT}:role/llm",
    vpc_config={{"subnet_ids": ["subnet-1"], "endpoint_public_acess": False}},
    opts=opts,
)
"""

_NET = f"""{_HEAD}
vpc = aws.ec2.Vpc("net", cidr_block="CIDR", opts=opts)
aws.ec2.Subnet("nodes", vpc_id=vpc.id, cidr_block="10.0.0.0/24", opts=opts)
"""
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


@dataclass
class Project:
    """A project in `folder` with one program, and a state of its own."""

    folder: Path
    program: str

    @cached_property
    def engine(self) -> Engine:
        return Engine(
            executable=build.ensure(["pulumi"])["pulumi"],
            root=self.folder,
            home=self.folder / "home",
            backend=f"file://{self.folder / 'state'}",
            config_file=self.folder / f"Pulumi.{STACK}.yaml",
            passphrase_file=self.folder / "passphrase",
        )

    def create(self) -> "Project":
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "__main__.py").write_text(self.program, encoding="utf-8")
        (self.folder / "passphrase").write_text("of this test alone", encoding="utf-8")
        runtime = {"name": "python", "options": {"virtualenv": sys.prefix}}
        self._yaml("Pulumi.yaml", {"name": "sovereign", "runtime": runtime})
        self._yaml(f"Pulumi.{STACK}.yaml", {"config": {"pulumi:disable-default-providers": ["*"]}})
        aws.install(self.engine.home, Path(sys.executable), ROOT)
        self.engine.create_stack(STACK, "passphrase")
        return self

    def run(self, verb: str, *arguments: str, preview: str = "") -> tuple[int, str]:
        """A command's exit code and what it said."""
        environment = self.engine.environment() | ({"SOVEREIGN_PREVIEW": preview} if preview else {})
        done = self.engine.run([verb, "--stack", STACK, *arguments], env=environment)
        return done.returncode, done.stdout + done.stderr

    def plan(self, preview: str) -> dict[str, tuple[str, dict[str, Any]]]:
        """What a preview shows: (operation, inputs) by type and name."""
        code, said = self.run("preview", "--json", "--show-sames", preview=preview)
        assert code == 0, said
        return {
            "::".join(step["urn"].split("::")[2:]): (step["op"], step["newState"].get("inputs", {}))
            for step in json.loads(said)["steps"]
        }

    def holds(self, token: str, name: str, **resource: Any) -> None:
        """Puts a resource into the state, made by the program's provider."""
        deployment = json.loads(self.run("stack", "export")[1])
        resources = deployment["deployment"].setdefault("resources", [])
        provider = f"{PREFIX}pulumi:providers:aws::paris"
        if not resources:
            settings = {"region": "eu-west-3", "allowedAccountIds": f'["{ACCOUNT}"]', "version": aws.VERSION}
            settings |= {"skipCredentialsValidation": "false", "skipRegionValidation": "true"}
            stack = {"urn": f"{PREFIX}{STACK_TYPE}::sovereign-{STACK}", "type": STACK_TYPE, "custom": False}
            made = {"urn": provider, "type": "pulumi:providers:aws", "custom": True, "id": "p1"}
            resources += [stack, {**made, "inputs": settings, "outputs": settings, "parent": stack["urn"]}]
        resources.append(
            {
                "urn": f"{PREFIX}{token}::{name}",
                "type": token,
                "custom": True,
                "parent": resources[0]["urn"],
                "provider": f"{provider}::p1",
                **resource,
            }
        )
        file = self.folder / "deployment.json"
        file.write_text(json.dumps(deployment), encoding="utf-8")
        code, said = self.run("stack", "import", "--file", str(file))
        assert code == 0, said

    def _yaml(self, name: str, data: Mapping[str, Any]) -> None:
        (self.folder / name).write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")


@pytest.mark.engine
def test_a_program_is_previewed_symbolically_and_as_the_official_plugin_does(tmp_path: Path) -> None:
    project = Project(tmp_path, _GROUND).create()
    symbolic, ordinary = (
        {name: inputs for name, (_, inputs) in project.plan(preview).items()}
        for preview in ("symbolic", "ordinary")
    )
    subnet, cluster = "aws:ec2/subnet:Subnet::nodes", "aws:eks/cluster:Cluster::llm"
    seen, policy = "aws:cloudwatch/logGroup:LogGroup::seen", "aws:s3/bucketPolicy:BucketPolicy::audit"
    assert symbolic.keys() == ordinary.keys()

    key = digest(f"{PREFIX}aws:kms/key:Key::secrets")
    arn = f"arn:aws:kms:eu-west-3:{ACCOUNT}:key/{key}"
    assert symbolic[cluster]["encryptionConfig"]["provider"]["keyArn"] == arn
    assert symbolic[subnet]["vpcId"] == f"vpc-{digest(f'{PREFIX}aws:ec2/vpc:Vpc::net')}"
    assert symbolic[subnet]["availabilityZone"] == "eu-west-3a"
    assert symbolic[policy]["policy"] == '{"Resource": "arn:aws:s3:::hospital-audit/*"}'
    mark = digest(f"{PREFIX}{cluster}")
    assert symbolic[seen]["tags"] == {
        "endpoint": f"https://{mark}.gr7.eu-west-3.eks.amazonaws.com",
        "issuer": f"https://oidc.eks.eu-west-3.amazonaws.com/id/{mark}",
        "hosted": UNKNOWN,  # of this the data says nothing
    }

    assert ordinary[cluster]["encryptionConfig"]["provider"]["keyArn"] == UNKNOWN
    assert ordinary[subnet]["vpcId"] == UNKNOWN
    assert ordinary[subnet]["availabilityZone"] == "eu-west-3a"
    assert ordinary[policy] == {"bucket": "hospital-audit", "policy": UNKNOWN}
    assert set(ordinary[seen]["tags"].values()) == {UNKNOWN}


@pytest.mark.engine
def test_a_misspelt_input_is_refused_with_its_path_and_an_up_with_advice(tmp_path: Path) -> None:
    project = Project(tmp_path / "misspelt", _MISSPELT).create()
    code, said = project.run("preview", preview="symbolic")
    assert code != 0
    assert "vpcConfig.endpoint_public_acess is no property there; nearest: endpointPublicAccess" in said

    project = Project(tmp_path / "up", _NET.replace("CIDR", "10.0.0.0/16")).create()
    code, said = project.run("up", "--yes", "--skip-preview")
    assert code != 0
    assert 'aws:ec2/vpc:Vpc "net" can\'t be made: the plugin aws here is a stand-in' in said


@pytest.mark.engine
def test_an_upgrade_is_planned_from_the_state_of_the_official_plugin(tmp_path: Path) -> None:
    project = Project(tmp_path, _NET.replace("CIDR", "10.0.0.0/16")).create()
    net: dict[str, Any] = {"cidrBlock": "10.0.0.0/16", "__defaults": ["assignGeneratedIpv6CidrBlock"]}
    net |= {"assignGeneratedIpv6CidrBlock": False}
    place = {"region": "eu-west-3", "tagsAll": {}}
    arn = f"arn:aws:ec2:eu-west-3:{ACCOUNT}:vpc/vpc-1"
    project.holds("aws:ec2/vpc:Vpc", "net", id="vpc-1", inputs=net, outputs={**net, **place, "arn": arn})
    nodes: dict[str, Any] = {"vpcId": "vpc-1", "cidrBlock": "10.0.0.0/24", "__defaults": []}
    project.holds("aws:ec2/subnet:Subnet", "nodes", id="subnet-1", inputs=nodes, outputs={**nodes, **place})

    vpc, subnet = "aws:ec2/vpc:Vpc::net", "aws:ec2/subnet:Subnet::nodes"
    for preview in ("symbolic", "ordinary"):
        planned = project.plan(preview)
        assert (planned[vpc][0], planned[subnet][0]) == ("same", "same")

    project.program = _NET.replace("CIDR", "10.1.0.0/16")
    (tmp_path / "__main__.py").write_text(project.program, encoding="utf-8")
    planned = project.plan("symbolic")
    assert planned[vpc][0] == "replace"
    assert planned[subnet][0] == "replace"
    assert planned[subnet][1]["vpcId"] == f"vpc-{digest(PREFIX + vpc)}"

    code, said = project.run("refresh", "--yes")
    assert code != 0
    assert "can't be read: the plugin aws here is a stand-in" in said
