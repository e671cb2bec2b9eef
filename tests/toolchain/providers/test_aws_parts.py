"""The parts of the stand-in for AWS: types of the SDK, templates, data, and what a provider instance
answers."""

import os
import stat
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pulumi_aws
import pytest
import yaml

from facts import sentinels
from tests.support.cluster import ROOT
from toolchain.providers import aws
from toolchain.providers.aws.functions import FUNCTIONS
from toolchain.providers.core import UNKNOWN, Autonaming, Naming, Output, Refused, Secret, Urn, paths
from toolchain.providers.core.preview import Preview
from toolchain.providers.core.values import Path as PropertyPath
from toolchain.providers.core.values import has_unknown, plain
from toolchain.providers.standin import data
from toolchain.providers.standin.kinds import Choice, Entries, Items, Kind, Object, Scalar, problems
from toolchain.providers.standin.provider import StandIn
from toolchain.providers.standin.sdk import Sdk
from toolchain.providers.standin.templates import Missing, Scope, mark, render

ACCOUNT = "111122223333"
PARIS = {"region": "eu-west-3", "allowedAccountIds": f'["{ACCOUNT}"]'}
BRANDENBURG = {"region": "eusc-de-east-1", "allowedAccountIds": f'["{ACCOUNT}"]'}
VPC, SUBNET, KEY = "aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet", "aws:kms/key:Key"
CLUSTER, BUCKET = "aws:eks/cluster:Cluster", "aws:s3/bucket:Bucket"
LAUNCH_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"


@cache
def known() -> data.PackageData:
    return data.load(Path(aws.__file__).with_name("aws.yaml"))


@cache
def sdk() -> Sdk:
    return Sdk("pulumi_aws", known().open)


def provider(
    preview: Preview = Preview.SYMBOLIC, settings: dict[str, Any] | None = None, package: Any = None
) -> StandIn:
    facts = yaml.safe_load((ROOT / "facts" / "aws.yaml").read_text(encoding="utf-8"))
    made = StandIn(aws.PACKAGE, aws.VERSION, sdk(), package or known(), facts, preview, FUNCTIONS)
    made.configure(settings or PARIS)
    return made


def urn(token: str, name: str = "it") -> Urn:
    return Urn(f"urn:pulumi:review::sovereign::{token}::{name}")


def said(token: str, inputs: dict[str, Any]) -> list[str]:
    """What Check says of inputs, with paths as the engine shows them."""
    checked = provider().check(urn(token), {}, inputs, Naming())
    return [f"{paths.written(problem.path)} {problem.reason}" for problem in checked.problems]


def state(token: str, inputs: dict[str, Any], preview: Preview = Preview.SYMBOLIC) -> dict[str, Any]:
    made = provider(preview)
    checked = made.check(urn(token), {}, inputs, Naming())
    assert not checked.problems
    return made.create(urn(token), checked.inputs, 0, True)[1]


# Types, read from the SDK


@pytest.mark.parametrize(
    ("token", "inputs", "told"),
    [
        (
            VPC,
            {"cidrBlok": "10.0.0.0/16"},
            "cidrBlok is no property there; nearest: cidrBlock; allowed: assign",
        ),
        (SUBNET, {"cidrBlock": "10.0.0.0/24"}, "vpcId is missing: it must be a string"),
        (KEY, {"enableKeyRotation": "yes"}, "enableKeyRotation is a string, where a boolean belongs"),
        (KEY, {"deletionWindowInDays": 7.5}, "deletionWindowInDays is a number, where an integer belongs"),
        (KEY, {"tags": {"owner": 3}}, "tags.owner is a number, where a string belongs"),
        (
            CLUSTER,
            {"roleArn": "r", "vpcConfig": {"subnetIds": ["a", True]}},
            "vpcConfig.subnetIds[1] is a boolean, where a string belongs",
        ),
        (
            CLUSTER,
            {"roleArn": "r", "vpcConfig": {"subnetIds": ["a"], "endpointPublicAcces": False}},
            "vpcConfig.endpointPublicAcces is no property there; nearest: endpointPublicAccess; allowed: ",
        ),
        (
            CLUSTER,
            {
                "roleArn": "r",
                "vpcConfig": {"subnetIds": ["a"]},
                "accessConfig": {"authenticationMode": "Api"},
            },
            "accessConfig.authenticationMode has a value that isn't allowed there; nearest: API; "
            "allowed: API, API_AND_CONFIG_MAP, CONFIG_MAP",
        ),
        (
            "aws:ec2/capacityReservation:CapacityReservation",
            {
                "availabilityZone": "eu-west-3a",
                "instanceCount": 1,
                "instancePlatform": "Linux/Unix",
                "instanceType": "g6.48xlarge",
            },
            "instancePlatform has a value that isn't allowed there; nearest: Linux/UNIX; allowed: Linux/",
        ),
        (
            VPC,
            {"region": "eu-west-33"},
            "region is none that is known here; nearest: eu-west-3; allowed: eu-",
        ),
    ],
)
def test_inputs_are_held_against_the_types_of_the_sdk(token: str, inputs: dict[str, Any], told: str) -> None:
    found = said(token, inputs)
    assert len(found) == 1
    assert found[0].startswith(told)


def test_right_inputs_pass_and_unknown_ones_may_turn_out_so() -> None:
    assert not said(SUBNET, {"vpcId": UNKNOWN, "cidrBlock": "10.0.0.0/24", "tags": UNKNOWN})
    assert not said(CLUSTER, {"roleArn": Output("r", dependencies=frozenset({"u"})), "vpcConfig": UNKNOWN})
    assert not said("aws:ssm/parameter:Parameter", {"name": "/a", "type": "String", "value": Secret("x")})
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
    for document in ("{}", policy):
        assert not said("aws:iam/role:Role", {"name": "r", "assumeRolePolicy": document})


def test_what_is_secret_is_judged_and_never_said() -> None:
    [found] = said(CLUSTER, {"roleArn": "r", "vpcConfig": Secret({"subnetIds": ["a"], "vpcID": "s3cret"})})
    assert found.startswith("vpcConfig.vpcID is no property there; nearest: vpcId")
    [found] = said(VPC, {"instanceTenancy": Secret("s3cret")})
    assert "s3cret" not in found


def test_a_policy_may_be_an_object_and_is_kept_as_text() -> None:
    made, role = provider(), urn("aws:iam/role:Role")
    for policy, text in (
        ({"Version": "2012-10-17", "Statement": []}, '{"Version":"2012-10-17","Statement":[]}'),
        ({"Version": Secret("v")}, Secret('{"Version":"v"}')),
        ({"Version": UNKNOWN}, UNKNOWN),
        ("{ }", "{ }"),
    ):
        inputs = {"name": "r", "assumeRolePolicy": policy}
        assert made.check(role, {}, inputs, Naming()).inputs["assumeRolePolicy"] == text


def test_an_enum_that_lists_not_all_takes_others() -> None:
    reservation = {"availabilityZone": "a", "instanceCount": 1, "instancePlatform": "Linux/UNIX"}
    token = "aws:ec2/capacityReservation:CapacityReservation"
    assert not said(token, {**reservation, "instanceType": "g99.48xlarge"})
    assert said(token, {**reservation, "instanceType": 5})


@pytest.mark.parametrize(
    ("module", "token", "inputs", "path"),
    [
        (
            "pulumi_kubernetes",
            "kubernetes:apps/v1:Deployment",
            {"spec": {"selector": {}, "template": {"spec": {"containers": [{"name": "a", "imag": "b"}]}}}},
            "spec.template.spec.containers[0].imag",
        ),
        ("pulumi_aws", "aws:lambda/permission:Permission", {"action": 3}, "action"),
    ],
)
def test_other_packages_are_read_by_the_same_rules(
    module: str, token: str, inputs: dict[str, Any], path: str
) -> None:
    resource = Sdk(module).resource(token)
    assert resource is not None
    assert path in {paths.written(problem.path) for problem in problems(inputs, resource.inputs)}


def test_another_package_costs_data_alone(tmp_path: Path) -> None:
    file = tmp_path / "kubernetes.yaml"
    file.write_text(
        """
settings: {context: {why: another cluster could be meant}}
any: {id: "{kind}-{mark}"}
types:
  kubernetes:core/v1:Service:
    outputs: {status: {loadBalancer: {ingress: [{hostname: "{metadata.name}.{settings.context}"}]}}}
"""
    )
    token = "kubernetes:core/v1:Service"
    made = StandIn("kubernetes", "4", Sdk("pulumi_kubernetes"), data.load(file), {}, Preview.SYMBOLIC)
    assert [one.path for one in made.check_config(urn("pulumi:providers:kubernetes"), {}).problems] == [
        ("context",)
    ]
    made.configure({"context": "paris"})
    checked = made.check(urn(token), {}, {"metadata": {"name": "a"}, "spek": {}}, Naming())
    assert [one.path for one in checked.problems] == [("spek",)]
    id, found = made.create(urn(token), {"metadata": {"name": "a"}}, 0, True)
    assert id == f"service-{mark(urn(token).text)}"
    assert found["status"] == {"loadBalancer": {"ingress": [{"hostname": "a.paris"}]}}


def test_a_type_that_the_package_lacks_is_refused() -> None:
    with pytest.raises(Refused, match=r"aws:ec2/vpd:Vpd isn't there: aws 7\.51\.1 has no such"):
        provider().check(urn("aws:ec2/vpd:Vpd"), {}, {}, Naming())


def test_this_stand_in_is_of_the_installed_sdk() -> None:
    assert (
        yaml.safe_load((Path(pulumi_aws.__file__).with_name("pulumi-plugin.json")).read_text())["version"]
        == aws.VERSION
    )


# Templates


def scope(**names: Any) -> Scope:
    return Scope([names.get])


def test_templates_are_filled() -> None:
    names = scope(a="x", b={"c": ["d"], "x": 5}, n=UNKNOWN, s=Secret("y"), o=Output({"p": "q"}, secret=True))
    assert render("{a}-{b.c[0]}-{b[a]}", names) == "x-d-5"
    assert render("{b.c}", names) == ["d"]
    assert render("{missing|b.nothing|a}", names) == "x"
    assert render("{b+missing}", names) == {"c": ["d"], "x": 5}
    assert render("{missing+other}", names) == {}
    assert render(["{a}", "{missing}", {"k": "{missing}", "l": 1}], names) == ["x", {"l": 1}]
    assert render("a {n} b", names) is UNKNOWN
    assert render("{n.deeper}", names) is UNKNOWN
    assert render("a {s}", names) == Secret("a y")
    assert render("{o.p}", names) == Secret("q")
    assert render(7, names) == 7


@pytest.mark.parametrize("template", ["{missing}", "a {missing}", "{a.b}", "{a[0].c}", "{b[missing]}"])
def test_a_template_that_misses_something_gives_nothing(template: str) -> None:
    with pytest.raises(Missing):
        render(template, scope(a={"x": 1}, b={"y": 2}))


def test_a_template_that_needs_itself_is_missing() -> None:
    loop = scope().rendered({"a": "{b}", "b": "{a}", "c": "{a|d}", "d": "end"})
    with pytest.raises(Missing):
        render("{a}", loop)
    assert render("{c}", loop) == "end"


@pytest.mark.parametrize("text", ["", "urn:pulumi:a::b::aws:kms/key:Key::it", "é"])
def test_marks_are_those_that_the_rules_look_for(text: str) -> None:
    assert mark(text) == sentinels.digest(text)


# The data, against the SDK


@pytest.mark.parametrize("token", known().types)
def test_data_speaks_of_what_the_sdk_has(token: str) -> None:
    resource, entry = sdk().resource(token), known().types[token]
    assert resource is not None
    assert not entry.outputs.keys() - resource.outputs.keys()
    assert not (entry.name or {}).keys() - resource.inputs.fields.keys()
    for path in (*entry.replace, *entry.choices):
        leaf = _leaf(resource.inputs, path)
        assert leaf is not None, paths.written(path)
        assert path not in entry.choices or isinstance(leaf, Scalar), paths.written(path)
    for path, allowed in entry.choices.items():
        leaf = _leaf(resource.inputs, path)
        assert leaf is not None
        assert not [one for one in allowed if list(problems(one, leaf))]


@pytest.mark.parametrize("token", known().types)
@pytest.mark.parametrize("settings", [PARIS, BRANDENBURG], ids=["paris", "brandenburg"])
def test_every_type_has_whole_sentinels(token: str, settings: dict[str, str]) -> None:
    """With all inputs given, every output of the data is whole, in its place, and leads back to the
    resource."""
    resource, entry = sdk().resource(token), known().types[token]
    assert resource is not None
    inputs = {name: _example(field.kind) for name, field in resource.inputs.fields.items()}
    inputs = {name: value for name, value in inputs.items() if value is not None and name != "region"}
    made = provider(settings=settings)
    id, found = made.create(urn(token), inputs, 0, True)
    assert id
    assert not entry.outputs.keys() - found.keys()
    assert not has_unknown(found)
    assert "{" not in yaml.safe_dump(plain({name: found[name] for name in ("id", *entry.outputs)}))
    if "arn" in resource.outputs and "arn" not in inputs:
        partition = "aws-eusc" if settings is BRANDENBURG else "aws"
        assert found["arn"].startswith(f"arn:{partition}:")
        # there is one of the last kind in a region
        assert any(part in found["arn"] for part in (mark(urn(token).text), "example", "/default"))


@pytest.mark.parametrize("token", known().functions)
def test_answers_have_every_result_of_the_sdk(token: str) -> None:
    function, entry = sdk().function(token), known().functions[token]
    assert function is not None
    assert not entry.takes - function.arguments.fields.keys()
    assert not entry.answer.keys() - function.results.keys()
    assert not {name for name, one in function.results.items() if one.always} - entry.answer.keys()


def test_data_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "aws.yaml"
    file.write_text("types: {a: {replaces: [b]}}")
    with pytest.raises(TypeError, match="replaces"):
        data.load(file)


# Outputs


def test_a_symbolic_preview_gives_every_output_its_place() -> None:
    token = mark(urn(KEY).text)
    key = state(KEY, {})
    assert key["arn"] == f"arn:aws:kms:eu-west-3:{ACCOUNT}:key/{token}"
    assert key["id"] == key["keyId"] == token
    assert state(VPC, {"cidrBlock": "10.0.0.0/16"})["id"] == f"vpc-{mark(urn(VPC).text)}"
    cluster = state(CLUSTER, {"name": "llm", "roleArn": "r", "vpcConfig": {"subnetIds": ["a"]}})
    token = mark(urn(CLUSTER).text)
    assert cluster["arn"] == f"arn:aws:eks:eu-west-3:{ACCOUNT}:cluster/llm"
    assert cluster["endpoint"] == f"https://{token}.gr7.eu-west-3.eks.amazonaws.com"
    assert cluster["identities"][0]["oidcs"][0]["issuer"].endswith(f"eks.eu-west-3.amazonaws.com/id/{token}")
    assert cluster["vpcConfig"] == {"subnetIds": ["a"], "clusterSecurityGroupId": f"sg-{token}"}


def test_the_sovereign_cloud_has_names_of_its_own() -> None:
    made = provider(settings=BRANDENBURG)
    inputs = {"bucket": "audit"}
    found = made.create(urn(BUCKET), inputs, 0, True)[1]
    assert found["arn"] == "arn:aws-eusc:s3:::audit"
    assert found["bucketRegionalDomainName"] == "audit.s3.eusc-de-east-1.amazonaws.eu"


def test_a_resource_lies_in_its_own_region_where_it_says_one() -> None:
    key = state(KEY, {"region": "eu-north-1"})
    assert key["arn"].startswith(f"arn:aws:kms:eu-north-1:{ACCOUNT}:")
    assert state(KEY, {})["region"] == "eu-west-3"


def test_tags_of_the_provider_are_on_every_resource() -> None:
    made = provider(settings={**PARIS, "defaultTags": '{"tags": {"stack": "a", "owner": "b"}}'})
    found = made.create(urn(KEY), {"tags": {"owner": "c"}}, 0, True)[1]
    assert found["tagsAll"] == {"stack": "a", "owner": "c"}


def test_a_type_without_data_gets_an_id_and_an_arn_by_rule() -> None:
    token = "aws:quicksight/folder:Folder"
    assert token not in known().types
    found = state(token, {"folderId": "f", "name": "n"})
    assert found["id"] == f"folder-{mark(urn(token).text)}"
    assert found["arn"] == f"arn:aws:quicksight:eu-west-3:{ACCOUNT}:folder/{mark(urn(token).text)}"
    without = "aws:quicksight/folderMembership:FolderMembership"
    assert "arn" not in state(without, {"folderId": "f", "memberId": "m", "memberType": "DASHBOARD"})


def test_what_is_computed_from_something_unknown_is_unknown() -> None:
    found = provider().create(urn(BUCKET), {"bucket": UNKNOWN}, 0, True)
    assert found[0] == ""
    assert found[1]["arn"] is UNKNOWN


def test_what_is_computed_from_a_secret_is_one() -> None:
    made = provider()
    assert made.create(urn(BUCKET), {"bucket": Secret("b")}, 0, True)[1]["arn"] == Secret("arn:aws:s3:::b")


def test_an_ordinary_preview_knows_what_the_official_plugin_knows() -> None:
    inputs = {"name": "llm", "roleArn": "r", "vpcConfig": {"subnetIds": ["a"]}, "tags": {"a": "b"}}
    cluster = state(CLUSTER, inputs, Preview.ORDINARY)
    for name in ("id", "arn", "endpoint", "identities", "certificateAuthority", "version"):
        assert cluster[name] is UNKNOWN
    assert cluster["vpcConfig"] == {"subnetIds": ["a"], "clusterSecurityGroupId": UNKNOWN}
    assert cluster["name"] == "llm"
    assert cluster["region"] == "eu-west-3"
    assert cluster["tagsAll"] == {"a": "b"}
    assert "outpostConfig" not in cluster
    assert provider(Preview.ORDINARY).create(urn(KEY), {}, 0, True)[0] == ""


# Names


def test_a_missing_name_is_made_up_and_kept() -> None:
    made = provider()
    first = made.check(urn(BUCKET, "audit"), {}, {}, Naming()).inputs
    assert first["bucket"].startswith("audit-")
    assert len(first["bucket"]) == len("audit-") + 7
    assert made.check(urn(BUCKET, "audit"), {}, {}, Naming()).inputs == first
    kept = made.check(urn(BUCKET, "audit"), {"bucket": "audit-older"}, {}, Naming()).inputs
    assert kept["bucket"] == "audit-older"
    assert (
        made.check(urn("aws:kms/alias:Alias"), {}, {"targetKeyId": "k"}, Naming())
        .inputs["name"]
        .startswith("alias/it-")
    )
    prefixed = made.check(urn("aws:iam/role:Role"), {}, {"namePrefix": "a"}, Naming()).inputs
    assert "name" not in prefixed


def test_the_stack_may_say_names_or_forbid_made_up_ones() -> None:
    made = provider()
    proposed = Naming(mode=Autonaming.ENFORCE, proposed="theirs")
    assert made.check(urn(BUCKET), {}, {}, proposed).inputs["bucket"] == "theirs"
    [problem] = made.check(urn(BUCKET), {}, {}, Naming(mode=Autonaming.DISABLE)).problems
    assert problem.path == ("bucket",)


def test_a_name_that_means_something_is_not_made_up() -> None:
    feature = {"detectorId": "d", "status": "ENABLED"}
    made = provider().check(urn("aws:guardduty/detectorFeature:DetectorFeature"), {}, feature, Naming())
    assert "name" not in made.inputs


# Settings of the provider


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"region": "eu-west-3"}, "allowedAccountIds must be said: "),
        ({**PARIS, "region": None}, "region must be said: an ambient one could pick another place"),
        ({**PARIS, "region": UNKNOWN}, "region isn't known yet, and must be: "),
        ({**PARIS, "region": "eu-west-33"}, "region is none that is known here; nearest: eu-west-3;"),
        ({**PARIS, "allowedAccountIds": '["1", "2"]'}, "allowedAccountIds must name 1, not 2: "),
        ({**PARIS, "allowedAccountIds": "[1]"}, "allowedAccountIds[0] is a number, where a string belongs"),
        ({**PARIS, "regoin": "x"}, "regoin is no property there; nearest: region;"),
        ({**PARIS, "insecure": "maybe"}, "insecure is a string, where a boolean belongs"),
    ],
)
def test_settings_that_leave_the_place_open_are_refused(settings: dict[str, Any], told: str) -> None:
    found = provider().check_config(urn("pulumi:providers:aws"), settings).problems
    assert [f"{paths.written(one.path)} {one.reason}".startswith(told) for one in found] == [True]


def test_settings_come_as_the_sdk_sends_them() -> None:
    settings = {**PARIS, "__internal": {}, "version": "7.51.1", "skipRegionValidation": "true"}
    checked = provider().check_config(urn("pulumi:providers:aws"), settings)
    assert not checked.problems
    assert checked.inputs == settings
    with pytest.raises(Refused, match="The provider aws can't be used: region must be said"):
        provider(settings={"allowedAccountIds": "[]"})


def test_a_service_that_the_partition_lacks_is_refused() -> None:
    made = provider(settings=BRANDENBURG)
    token = "aws:inspector2/enabler:Enabler"
    checked = made.check(urn(token), {}, {"accountIds": ["a"], "resourceTypes": ["EC2"]}, Naming())
    assert [problem.reason for problem in checked.problems] == [
        "aws:inspector2/enabler:Enabler can't be made: partition aws-eusc has no inspector2"
    ]
    assert not said(token, {"accountIds": ["a"], "resourceTypes": ["EC2"]})


# Differences


def compared(
    token: str, old: dict[str, Any], new: dict[str, Any], ignored: tuple[str, ...] = (), **was: Any
) -> dict[str, bool]:
    """Property path -> whether it asks for a replacement."""
    made = provider()
    before = made.create(urn(token), old, 0, True)[1] | was
    found = made.diff(urn(token), str(before["id"]), before, old, new, ignored)
    return {paths.written(one.path): one.replace for one in found.differences}


def test_nothing_changed_is_no_difference() -> None:
    inputs = {"name": "llm", "roleArn": "r", "vpcConfig": {"subnetIds": ["a"]}, "tags": {"a": "b"}}
    assert compared(CLUSTER, inputs, {**inputs}) == {}


@pytest.mark.parametrize(
    ("token", "old", "new", "found"),
    [
        (VPC, {"cidrBlock": "10.0.0.0/16"}, {"cidrBlock": "10.1.0.0/16"}, {"cidrBlock": True}),
        (VPC, {"cidrBlock": "a"}, {"cidrBlock": "a", "enableDnsSupport": True}, {"enableDnsSupport": False}),
        (
            SUBNET,
            {"vpcId": "v", "availabilityZone": "eu-west-3a"},
            {"vpcId": "v", "availabilityZone": "eu-west-3b"},
            {"availabilityZone": True},
        ),
        (KEY, {"deletionWindowInDays": 30}, {"deletionWindowInDays": 7}, {"deletionWindowInDays": False}),
        (BUCKET, {"bucket": "a"}, {"bucket": "b"}, {"bucket": True}),
        (
            BUCKET,
            {"bucket": "a"},
            {"bucket": "a", "objectLockEnabled": True},
            {"objectLockEnabled": True},
        ),
        (CLUSTER, {"name": "a", "version": "1.33"}, {"name": "a", "version": "1.34"}, {"version": False}),
        (
            CLUSTER,
            {"name": "a", "vpcConfig": {"subnetIds": ["a"]}},
            {"name": "a", "vpcConfig": {"subnetIds": ["b"]}},
            {"vpcConfig.subnetIds[0]": False},
        ),
        (
            CLUSTER,
            {"name": "a", "encryptionConfig": {"provider": {"keyArn": "k"}}},
            {"name": "a", "encryptionConfig": {"provider": {"keyArn": "l"}}},
            {"encryptionConfig.provider.keyArn": True},
        ),
        (
            "aws:eks/nodeGroup:NodeGroup",
            {"nodeGroupName": "g", "clusterName": "c", "launchTemplate": {"id": "a", "version": "1"}},
            {"nodeGroupName": "g", "clusterName": "c", "launchTemplate": {"id": "a", "version": "2"}},
            {"launchTemplate.version": False},
        ),
        ("aws:rds/instance:Instance", {"dbName": "a"}, {"dbName": "b"}, {"dbName": True}),
    ],
)
def test_differences_say_what_is_replaced(
    token: str, old: dict[str, Any], new: dict[str, Any], found: dict[str, bool]
) -> None:
    assert compared(token, old, new) == found


def test_a_state_of_another_region_is_replaced() -> None:
    found = compared(KEY, {}, {}, region="eu-north-1")
    assert found == {"region": True}
    assert compared(KEY, {}, {}, ("region",), region="eu-north-1") == {}


def test_what_the_official_plugin_notes_in_a_state_is_no_difference() -> None:
    real = {
        "__defaults": ["forceDestroy", "name"],
        "forceDestroy": False,
        "bucket": "a",
        "loggings": [{"__defaults": ["x"], "x": 1, "targetBucket": "l"}],
    }
    made = provider()
    before = {
        **real,
        "id": "a",
        "arn": "arn:aws:s3:::a",
        "region": "eu-west-3",
        "tagsAll": {},
        "__meta": "{}",
    }
    new = {"bucket": "a", "loggings": [{"targetBucket": "l"}]}
    assert not made.diff(urn("aws:s3/bucketV2:BucketV2"), "a", before, real, new, ()).differences
    changed = {**new, "forceDestroy": True}
    found = made.diff(urn("aws:s3/bucketV2:BucketV2"), "a", before, real, changed, ()).differences
    assert [paths.written(one.path) for one in found] == ["forceDestroy"]


def test_a_name_that_stays_is_freed_before_it_is_taken_again() -> None:
    made = provider()
    old = {"name": "g", "description": "a"}
    group = urn("aws:ec2/securityGroup:SecurityGroup")
    assert made.diff(group, "sg", {}, old, {"name": "g", "description": "b"}, ()).delete_first
    assert not made.diff(group, "sg", {}, old, {"name": "h", "description": "a"}, ()).delete_first
    assert not made.diff(group, "sg", {}, old, {"name": "g", "description": "a", "tags": {}}, ()).delete_first


def test_a_change_in_place_keeps_what_is_known_from_before() -> None:
    real = {"id": "abc-def", "arn": "arn:aws:kms:eu-west-3:111122223333:key/abc-def", "keyId": "abc-def"}
    for preview in Preview:
        found = provider(preview).update(urn(KEY), "abc-def", real, {"tags": {"a": "b"}}, 0, (), preview=True)
        assert found["arn"] == real["arn"]
        assert found["id"] == "abc-def"
        assert found["tagsAll"] == {"a": "b"}


@pytest.mark.parametrize(
    ("preview", "next"), [(Preview.SYMBOLIC, 6), (Preview.ORDINARY, UNKNOWN)], ids=["symbolic", "ordinary"]
)
def test_a_change_moves_what_counts_changes_so_that_what_follows_it_shows(
    preview: Preview, next: object
) -> None:
    """A node group rolls with the version of its launch template."""
    template = urn("aws:ec2/launchTemplate:LaunchTemplate")
    state = {"id": "lt-1", "latestVersion": 5, "defaultVersion": 5, "instanceType": "g6.12xlarge"}
    made = provider(preview)
    found = made.update(template, "lt-1", state, {"instanceType": "g6.48xlarge"}, 0, (), preview=True)
    assert found["latestVersion"] == next
    assert found["id"] == "lt-1"


# Functions


def asked(token: str, arguments: dict[str, Any], settings: dict[str, str] = PARIS) -> dict[str, Any]:
    return provider(settings=settings).invoke(token, arguments)


def test_questions_about_the_place_are_answered_from_facts() -> None:
    assert asked("aws:index/getPartition:getPartition", {}, BRANDENBURG) == {
        "id": "aws-eusc",
        "partition": "aws-eusc",
        "dnsSuffix": "amazonaws.eu",
        "reverseDnsPrefix": "eu.amazonaws",
    }
    assert asked("aws:index/getRegion:getRegion", {})["region"] == "eu-west-3"
    assert asked("aws:index/getRegion:getRegion", {"region": "us-west-2"})["region"] == "us-west-2"
    assert asked("aws:index/getCallerIdentity:getCallerIdentity", {})["accountId"] == ACCOUNT
    zones = asked("aws:index/getAvailabilityZones:getAvailabilityZones", {"state": "available"})
    assert zones["names"] == ["eu-west-3a", "eu-west-3b", "eu-west-3c"]
    assert zones["zoneIds"][0] == "euw3-az1"
    principal = asked(
        "aws:index/getServicePrincipal:getServicePrincipal", {"serviceName": "logs"}, BRANDENBURG
    )
    assert principal["name"] == "logs.amazonaws.com"


@pytest.mark.parametrize(
    ("service", "settings", "name"),
    [
        ("kms", PARIS, "com.amazonaws.eu-west-3.kms"),
        ("ecr.api", PARIS, "com.amazonaws.eu-west-3.ecr.api"),
        ("kms", BRANDENBURG, "com.amazonaws.eusc-de-east-1.kms"),
        ("ecr.api", BRANDENBURG, "eu.amazonaws.eusc-de-east-1.ecr.api"),
    ],
)
def test_endpoint_services_have_their_names(service: str, settings: dict[str, str], name: str) -> None:
    found = asked("aws:ec2/getVpcEndpointService:getVpcEndpointService", {"service": service}, settings)
    assert found["serviceName"] == name
    function = sdk().function("aws:ec2/getVpcEndpointService:getVpcEndpointService")
    assert function is not None
    assert (
        not {result for result, one in function.results.items() if one.always}
        - found.keys()
        - {
            "baseEndpointDnsNames",
            "privateDnsNames",
        }
    )


def test_images_and_tokens_are_sentinels() -> None:
    token = "aws:ssm/getParameter:getParameter"
    image = asked(token, {"name": "/aws/service/bottlerocket/aws-k8s-1.33-nvidia/x86_64/latest/image_id"})[
        "value"
    ]
    assert isinstance(image, Secret)
    assert image.value.startswith("ami-0")
    assert isinstance(asked("aws:eks/getClusterAuth:getClusterAuth", {"name": "llm"})["token"], Secret)


@pytest.mark.parametrize(
    ("token", "arguments", "told"),
    [
        ("aws:ec2/getAmi:getAmi", {}, r"aws:ec2/getAmi:getAmi can't be answered by the stand-in for aws"),
        ("aws:ec2/getNothing:getNothing", {}, "can't be answered"),
        (
            "aws:ssm/getParameter:getParameter",
            {"name": "/ours"},
            "can't be answered by a stand-in for this name",
        ),
        ("aws:index/getRegion:getRegion", {"regoin": "x"}, "regoin is no property there; nearest: region"),
        ("aws:index/getRegion:getRegion", {"region": "mars-1"}, "region is none that is known here"),
        (
            "aws:index/getAvailabilityZones:getAvailabilityZones",
            {"excludeNames": ["eu-west-3a"]},
            r"can't be answered with excludeNames by a stand-in.* \(allowed: region, state\)",
        ),
        (
            "aws:ec2/getVpcEndpointService:getVpcEndpointService",
            {"serviceName": "com.theirs"},
            "for a `service` of AWS alone",
        ),
    ],
)
def test_a_question_for_the_cloud_is_refused(token: str, arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(Refused, match=told):
        asked(token, arguments)


def test_a_policy_document_is_rendered() -> None:
    found = asked(
        "aws:iam/getPolicyDocument:getPolicyDocument",
        {
            "statements": [
                {
                    "sid": "Read",
                    "actions": ["s3:GetObject", "s3:ListBucket"],
                    "resources": ["arn:aws:s3:::a/&{aws:username}"],
                    "principals": [{"type": "AWS", "identifiers": ["b", "c"]}],
                    "conditions": [
                        {"test": "StringEquals", "variable": "aws:PrincipalOrgID", "values": ["o-1"]},
                        {"test": "StringEquals", "variable": "aws:PrincipalOrgID", "values": ["o-2"]},
                        {"test": "Bool", "variable": "aws:SecureTransport", "values": ["true"]},
                    ],
                },
                {
                    "effect": "Deny",
                    "notActions": ["s3:*"],
                    "resources": ["*"],
                    "principals": [{"type": "*", "identifiers": ["*"]}],
                },
            ],
            "overridePolicyDocuments": ['{"Statement": {"Sid": "More", "Effect": "Deny"}}'],
        },
    )
    assert yaml.safe_load(found["json"]) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Read",
                "Effect": "Allow",
                "Action": ["s3:ListBucket", "s3:GetObject"],
                "Resource": "arn:aws:s3:::a/${aws:username}",
                "Principal": {"AWS": ["c", "b"]},
                "Condition": {
                    "Bool": {"aws:SecureTransport": "true"},
                    "StringEquals": {"aws:PrincipalOrgID": ["o-1", "o-2"]},
                },
            },
            {"Effect": "Deny", "NotAction": "s3:*", "Resource": "*", "Principal": "*"},
            {"Sid": "More", "Effect": "Deny"},
        ],
    }
    assert found["minifiedJson"].startswith('{"Version":"2012-10-17","Statement":[{"Sid":"Read","Effect":')


def test_policy_documents_override_and_do_not_contradict() -> None:
    token = "aws:iam/getPolicyDocument:getPolicyDocument"
    base = '{"Version": "2012-10-17", "Statement": [{"Sid": "A", "Effect": "Allow"}]}'
    own = [{"sid": "A", "effect": "Deny", "actions": ["*"]}]
    found = asked(token, {"sourcePolicyDocuments": [base], "statements": own})
    assert yaml.safe_load(found["json"])["Statement"] == [{"Sid": "A", "Effect": "Deny", "Action": "*"}]
    with pytest.raises(Refused, match="two statements say the Sid A"):
        asked(token, {"sourcePolicyDocuments": [base, base]})
    with pytest.raises(Refused, match="two statements say the Sid A"):
        asked(token, {"statements": own * 2})
    with pytest.raises(Refused, match="no JSON"):
        asked(token, {"overridePolicyDocuments": ["{"]})


# Outside a preview


def test_outside_a_preview_everything_is_refused() -> None:
    made, key = provider(), urn(KEY, "weights")
    told = (
        r'aws:kms/key:Key "weights" can\'t be {}: the plugin aws here is a stand-in, which only previews and '
        r"never reaches a cloud\. Install the official one \(`pulumi plugin install resource aws 7\.51\.1`"
    )
    with pytest.raises(Refused, match=told.format("made")):
        made.create(key, {}, 0, False)
    with pytest.raises(Refused, match=told.format("changed")):
        made.update(key, "id", {}, {}, 0, (), False)
    with pytest.raises(Refused, match=told.format("deleted")):
        made.delete(key, "id", {}, {}, 0)
    with pytest.raises(Refused, match=told.format("read")):
        made.read(key, "id", {}, {})


# The plugin


def test_the_plugin_is_installed_and_answers(tmp_path: Path) -> None:
    launcher = aws.install(tmp_path / "home", Path(sys.executable), ROOT)
    assert launcher == tmp_path / "home" / "plugins" / "resource-aws-v7.51.1" / "pulumi-resource-aws"
    assert launcher.stat().st_mode & stat.S_IXUSR
    before = launcher.stat()
    assert aws.install(tmp_path / "home", Path(sys.executable), ROOT) == launcher
    assert launcher.stat().st_mtime_ns == before.st_mtime_ns
    with subprocess.Popen(
        [launcher, "127.0.0.1:1"], stdout=subprocess.PIPE, text=True, cwd=tmp_path, env={"PATH": os.defpath}
    ) as plugin:
        assert plugin.stdout is not None
        assert 0 < int(plugin.stdout.readline()) < 65536
        plugin.send_signal(2)
        assert plugin.wait(5) == 0


def test_a_preview_of_no_kind_is_refused(tmp_path: Path) -> None:
    launcher = aws.install(tmp_path, Path(sys.executable), ROOT)
    environment = {"PATH": os.defpath, "SOVEREIGN_PREVIEW": "symbolical"}
    done = subprocess.run([launcher], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert done.stderr == "SOVEREIGN_PREVIEW is symbolic or ordinary, not 'symbolical': correct it.\n"


def _leaf(kind: Kind, path: PropertyPath) -> Kind | None:
    """The kind of what a property path leads to."""
    for step in path:
        if isinstance(kind, Object) and step in kind.fields:
            kind = kind.fields[str(step)].kind
        elif isinstance(kind, Items) and step == paths.ANY:
            kind = kind.of
        else:
            return None
    return kind


def _example(kind: Kind) -> Any:
    """A value of a kind, as far as templates use one."""
    match kind:
        case Scalar("string"):
            return "example"
        case Choice(values):
            return values[0]
        case Entries(Scalar("string")):
            return {"example": "example"}
    return None
