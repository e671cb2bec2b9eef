"""`sovereign observe`: what is read back of a landing zone, and each single thing that is no longer as its owner
says. AWS is moto here, in this process, with answers beside it where it has none (tests/support)."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from tests.cli.support import Sovereign
from tests.support.prepared_account import ACCOUNT, GROUP, STACK, Answers, client, prepare

PARTS = {
    "aws.network.vpc",
    "aws.endpoints.s3",
    "aws.keys.audit",
    "aws.keys.registry",
    "aws.cluster.cluster",
    "aws.singletons.autoscaling",
    "aws.singletons.defaults",
    "aws.singletons.detection",
    "aws.singletons.inventory",
    "aws.singletons.trail",
    "aws.organisation",
}


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    """An account that is as its owners say."""
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    with mock_aws():
        yield prepare(tmp_path / "site", monkeypatch)


@pytest.fixture
def look(sovereign: Sovereign, tmp_path: Path, answers: Answers) -> Callable[[], tuple[int, dict[str, Any]]]:
    """Exit code and what was seen."""

    def run() -> tuple[int, dict[str, Any]]:
        done = sovereign("--site", tmp_path / "site", "observe", STACK, "--json")
        assert done.stdout, done.stderr
        return done.exit_code, json.loads(done.stdout)

    return run


Look = Callable[[], tuple[int, dict[str, Any]]]


def told(said: dict[str, Any]) -> dict[str, list[str]]:
    """What differs, by part: sentences, and the routes of findings."""
    found = {
        one["part"]: [*one["differs"], *(each["route"] for each in one["findings"])] for one in said["parts"]
    }
    return {part: what for part, what in found.items() if what}


def test_a_landing_zone_that_is_as_declared(look: Look, tmp_path: Path) -> None:
    code, said = look()
    assert (code, said["verdict"], told(said)) == (0, "pass", {})
    assert {one["part"] for one in said["parts"]} == PARTS
    assert {one["part"]: one["unread"] for one in said["parts"] if one["unread"]} == {}
    for one in said["parts"]:
        assert one["calls"], one["part"]
        assert one["declared"] or one["part"] == "aws.singletons.autoscaling"
    kept = json.loads((tmp_path / "site" / ".sovereign" / "stacks" / STACK / "observed.json").read_text())
    assert kept == said
    assert (said["schema"], said["account"], said["as"].split(":")[4]) == ("observed/v1", ACCOUNT, ACCOUNT)


def test_what_was_seen_is_kept(look: Look) -> None:
    _, said = look()
    seen = {one["part"]: {each["type"] for each in one["seen"]} for one in said["parts"]}
    assert {"aws:ec2/vpc:Vpc", "aws:ec2/routeTable:RouteTable", "aws:ec2/flowLog:FlowLog"} <= seen[
        "aws.network.vpc"
    ]
    assert seen["aws.organisation"] == {
        "aws:organizations/policy:Policy",
        "aws:organizations/policyAttachment:PolicyAttachment",
    }
    assert seen["aws.cluster.cluster"] == {"aws:eks/cluster:Cluster", "aws:eks/addon:Addon"}


# Each single thing that somebody has changed since


def _attach_gateway(vpc: str) -> str:
    made = client("ec2").create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    client("ec2").attach_internet_gateway(InternetGatewayId=made, VpcId=vpc)
    return str(made)


def gateway(answers: Answers) -> None:
    _attach_gateway(answers.vpc)


def route(answers: Answers) -> None:
    made = _attach_gateway(answers.vpc)
    of_vpc = [{"Name": "vpc-id", "Values": [answers.vpc]}]
    table = client("ec2").describe_route_tables(Filters=of_vpc)["RouteTables"][0]["RouteTableId"]
    client("ec2").create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=made)


def nat(answers: Answers) -> None:
    of_vpc = [{"Name": "vpc-id", "Values": [answers.vpc]}]
    subnet = client("ec2").describe_subnets(Filters=of_vpc)["Subnets"][0]["SubnetId"]
    address = client("ec2").allocate_address(Domain="vpc")["AllocationId"]
    client("ec2").create_nat_gateway(SubnetId=subnet, AllocationId=address)


def addresses(answers: Answers) -> None:
    client("ec2").associate_vpc_cidr_block(VpcId=answers.vpc, CidrBlock="10.61.0.0/16")


def flows(answers: Answers) -> None:
    logs = client("ec2").describe_flow_logs()["FlowLogs"]
    client("ec2").delete_flow_logs(FlowLogIds=[one["FlowLogId"] for one in logs])


def names(answers: Answers) -> None:
    answers.told["route53resolver", "ListFirewallRuleGroupAssociations"] = {
        "FirewallRuleGroupAssociations": []
    }


def names_reported(answers: Answers) -> None:
    rules = answers.told["route53resolver", "ListFirewallRules"]["FirewallRules"]
    answers.told["route53resolver", "ListFirewallRules"] = {
        "FirewallRules": [{**one, "Action": "ALERT"} for one in rules]
    }


def names_fail_open(answers: Answers) -> None:
    answers.told["route53resolver", "GetFirewallConfig"] = {
        "FirewallConfig": {"ResourceId": answers.vpc, "FirewallFailOpen": "ENABLED"}
    }


def endpoint_policy(answers: Answers) -> None:
    found = client("ec2").describe_vpc_endpoints()["VpcEndpoints"]
    s3 = next(one for one in found if one["VpcEndpointType"] == "Gateway")["VpcEndpointId"]
    everything = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
    policy = json.dumps({"Statement": [everything]})
    client("ec2").modify_vpc_endpoint(VpcEndpointId=s3, PolicyDocument=policy)


def endpoint_gone(answers: Answers) -> None:
    found = client("ec2").describe_vpc_endpoints()["VpcEndpoints"]
    logs = next(one for one in found if one["ServiceName"].endswith(".logs"))["VpcEndpointId"]
    client("ec2").delete_vpc_endpoints(VpcEndpointIds=[logs])


def trail_stopped(answers: Answers) -> None:
    client("cloudtrail").stop_logging(Name="organisation-trail")


def trail_unchained(answers: Answers) -> None:
    client("cloudtrail").update_trail(Name="organisation-trail", EnableLogFileValidation=False)


def trail_of_calls_only(answers: Answers) -> None:
    calls = {"Name": "calls", "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}
    client("cloudtrail").put_event_selectors(TrailName="organisation-trail", AdvancedEventSelectors=[calls])


def trail_gone(answers: Answers) -> None:
    client("cloudtrail").delete_trail(Name="organisation-trail")


def cluster_public(answers: Answers) -> None:
    cluster = client("eks").describe_cluster(name="shared")["cluster"]
    config = {**cluster["resourcesVpcConfig"], "endpointPublicAccess": True}
    answers.told["eks", "DescribeCluster"] = {"cluster": {**cluster, "resourcesVpcConfig": config}}


def cluster_plain(answers: Answers) -> None:
    cluster = client("eks").describe_cluster(name="shared")["cluster"]
    answers.told["eks", "DescribeCluster"] = {"cluster": {**cluster, "encryptionConfig": []}}


def cluster_another(answers: Answers) -> None:
    cluster = client("eks").describe_cluster(name="shared")["cluster"]
    endpoint = "https://another.gr7.eu-west-3.eks.amazonaws.com"
    answers.told["eks", "DescribeCluster"] = {"cluster": {**cluster, "endpoint": endpoint}}


def cluster_policies(answers: Answers) -> None:
    answers.told["eks", "DescribeAddon"] = {"addon": {"addonName": "vpc-cni"}}


def cluster_plugin(answers: Answers) -> None:
    answers.told["eks", "ListAddons"] = {"addons": []}


def cluster_nodes(answers: Answers) -> None:
    answers.told["eks", "DescribeNodegroup"] = {"nodegroup": {"nodeRole": "arn:aws:iam::1:role/other"}}


def _audit_key() -> str:
    kms = client("kms")
    listed = [kms.describe_key(KeyId=one["KeyId"])["KeyMetadata"] for one in kms.list_keys()["Keys"]]
    return str(next(one for one in listed if one["Description"] == "audit")["Arn"])


def key_open(answers: Answers) -> None:
    everybody = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"}
    policy = json.dumps({"Statement": [everybody]})
    client("kms").put_key_policy(KeyId=_audit_key(), PolicyName="default", Policy=policy)


def key_still(answers: Answers) -> None:
    client("kms").disable_key_rotation(KeyId=_audit_key())


def key_off(answers: Answers) -> None:
    client("kms").disable_key(
        KeyId=_audit_key().rpartition("/")[2]
    )  # of moto's calls the one that takes no ARN


def guard_detached(answers: Answers) -> None:
    organizations = client("organizations")
    root = organizations.list_roots()["Roots"][0]["Id"]
    listed = organizations.list_policies(Filter="SERVICE_CONTROL_POLICY")["Policies"]
    guard = next(one["Id"] for one in listed if one["Name"] == "deny-regions")
    organizations.detach_policy(PolicyId=guard, TargetId=root)


def disks(answers: Answers) -> None:
    client("ec2").disable_ebs_encryption_by_default()


def public_buckets(answers: Answers) -> None:
    client("s3control").delete_public_access_block(AccountId=ACCOUNT)


def gateways_work(answers: Answers) -> None:
    answers.told["ec2", "DescribeVpcBlockPublicAccessOptions"] = {
        "VpcBlockPublicAccessOptions": {"InternetGatewayBlockMode": "off"}
    }


def inventory_stopped(answers: Answers) -> None:
    client("config").stop_configuration_recorder(ConfigurationRecorderName="all")


def detection_off(answers: Answers) -> None:
    detector = client("guardduty").list_detectors()["DetectorIds"][0]
    client("guardduty").update_detector(DetectorId=detector, Enable=False)


def role_gone(answers: Answers) -> None:
    client("iam").delete_service_linked_role(RoleName="AWSServiceRoleForAutoScaling")


VPC, ENDPOINTS, CLUSTER, AUDIT = (
    "aws.network.vpc",
    "aws.endpoints.s3",
    "aws.cluster.cluster",
    "aws.keys.audit",
)
ONCE = "aws.singletons"


@pytest.mark.parametrize(
    ("change", "part", "what"),
    [
        (gateway, VPC, "A08"),
        (route, VPC, "A11"),
        (nat, VPC, "A09"),
        (addresses, VPC, "the VPC's addresses is 10.60.0.0/16, 10.61.0.0/16, and is to be 10.60.0.0/16"),
        (flows, VPC, "no flow log of the VPC is active for all traffic"),
        (names, VPC, "A18"),
        (names_reported, VPC, "A18"),
        (names_fail_open, VPC, "A18"),
        (endpoint_policy, ENDPOINTS, "A16"),
        (endpoint_gone, ENDPOINTS, "no endpoint leads to logs, which nodes call"),
        (trail_stopped, f"{ONCE}.trail", "whether it writes is False, and is to be True"),
        (trail_unchained, f"{ONCE}.trail", "A37"),
        (
            trail_of_calls_only,
            f"{ONCE}.trail",
            "it doesn't record who looks at objects of arn:aws:s3:::radio",
        ),
        (trail_gone, f"{ONCE}.trail", "there is no trail organisation-trail"),
        (cluster_public, CLUSTER, "A47"),
        (cluster_plain, CLUSTER, "K46"),
        (cluster_another, CLUSTER, "the cluster's endpoint is https://another"),
        (cluster_policies, CLUSTER, "K45"),
        (cluster_plugin, CLUSTER, "vpc-cni is no add-on of it"),
        (cluster_nodes, CLUSTER, "no group of nodes has the role"),
        (key_open, AUDIT, "A27"),
        (key_still, AUDIT, "A26"),
        (key_off, AUDIT, "the key is Disabled, and is to be Enabled"),
        (guard_detached, "aws.organisation", "A53"),
        (disks, f"{ONCE}.defaults", "EbsEncryptionByDefault is False, and is to be True"),
        (public_buckets, f"{ONCE}.defaults", "BlockPublicAcls of the account is absent, and is to be True"),
        (
            gateways_work,
            f"{ONCE}.defaults",
            "InternetGatewayBlockMode is off, and is to be block-bidirectional",
        ),
        (inventory_stopped, f"{ONCE}.inventory", "whether it records is False, and is to be True"),
        (detection_off, f"{ONCE}.detection", "the detector is DISABLED, and is to be ENABLED"),
        (role_gone, f"{ONCE}.autoscaling", "there is no role AWSServiceRoleForAutoScaling"),
    ],
    ids=lambda given: getattr(given, "__name__", None),
)
def test_what_differs_is_told(
    look: Look, answers: Answers, change: Callable[[Answers], None], part: str, what: str
) -> None:
    change(answers)
    code, said = look()
    assert (code, said["verdict"]) == (1, "refuse")
    assert list(told(said)) == [part]
    assert any(what in sentence for sentence in told(said)[part]), told(said)


def test_what_nobody_lets_us_see_stays_the_owners_word(look: Look, answers: Answers) -> None:
    """An account of an organisation may not look at the organisation's policies."""
    denied = ClientError(
        {"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "ListPoliciesForTarget"
    )
    answers.told["organizations", "ListPoliciesForTarget"] = denied
    code, said = look()
    organisation = next(one for one in said["parts"] if one["part"] == "aws.organisation")
    assert (code, told(said)) == (0, {})
    assert organisation["unread"] == ["organizations:list_policies_for_target (AccessDeniedException)"]


def test_rules_of_names_that_nobody_may_read_are_unclear(look: Look, answers: Answers) -> None:
    answers.told["route53resolver", "ListFirewallRules"] = ClientError(
        {"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "ListFirewallRules"
    )
    code, said = look()
    assert (code, told(said)) == (0, {})
    network = next(one for one in said["parts"] if one["part"] == VPC)
    assert network["unread"] == ["route53resolver:list_firewall_rules (AccessDeniedException)"]
    assert any(one["name"] == GROUP for one in network["seen"])


def test_for_people(sovereign: Sovereign, tmp_path: Path, answers: Answers) -> None:
    endpoint_policy(answers)
    done = sovereign("--site", tmp_path / "site", "observe", STACK)
    assert done.exit_code == 1
    assert "aws.singletons.trail" in done.stdout
    assert "A16 VpcEndpoint" in done.stdout
    assert "observed.json" in done.stdout


def test_a_stack_that_uses_nothing(sovereign: Sovereign) -> None:
    done = sovereign("observe", "local")
    assert (done.exit_code, "stands on no account of AWS" in done.stderr) == (2, True)
