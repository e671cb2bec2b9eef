"""A landing zone at moto, as honest as the settings of tests/sites/landing-zone say; and what moto can't tell.

moto is an AWS in this process. What it has no answer for is told here, in the shape of AWS's own models.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.client import BaseClient
from botocore.validate import ParamValidator

from components.aws import endpoints, keys, organisation
from components.aws.place import Place
from facts import aws, zones
from facts.site import ROOT
from stacks.settings import KEY
from tests.stacks.test_settings import put

SITE = ROOT / "tests" / "sites" / "landing-zone"
STACK, REGION, ACCOUNT = "radiology", "eu-west-3", "111122223333"
ZONES = ("eu-west-3a", "eu-west-3b", "eu-west-3c")
NODES = f"arn:aws:iam::{ACCOUNT}:role/shared-nodes"
_USED = ("audit", "registry")

GROUP, ALLOWED, ALL = "rslvr-frg-0123456789abcdef", "rslvr-fdl-aaaaaaaaaaaaaaaa", "rslvr-fdl-bbbbbbbbbbbbbbbb"


@dataclass
class Answers:
    """What moto has no answer for: by service and call, as AWS would tell it. A test may change it."""

    vpc: str
    told: dict[tuple[str, str], Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [f"{name}." for name in ("*.eu-west-3.amazonaws.com", "*.svc.cluster.local")]
        rule = {"FirewallRuleGroupId": GROUP}
        self.told |= {
            ("route53resolver", "ListFirewallRuleGroupAssociations"): {
                "FirewallRuleGroupAssociations": [
                    {"Id": "rslvr-frgassoc-1", "VpcId": self.vpc, "Priority": 101, **rule}
                ]
            },
            ("route53resolver", "ListFirewallRules"): {
                "FirewallRules": [
                    {**rule, "FirewallDomainListId": ALLOWED, "Priority": 100, "Action": "ALLOW"},
                    {**rule, "FirewallDomainListId": ALL, "Priority": 9000, "Action": "BLOCK"},
                ]
            },
            ("route53resolver", "ListFirewallDomains"): lambda asked: {
                "Domains": ["*."] if asked["FirewallDomainListId"] == ALL else names
            },
            ("route53resolver", "GetFirewallConfig"): {
                "FirewallConfig": {"ResourceId": self.vpc, "FirewallFailOpen": "DISABLED"}
            },
            ("ec2", "GetSnapshotBlockPublicAccessState"): {"State": "block-all-sharing"},
            ("ec2", "GetImageBlockPublicAccessState"): {"ImageBlockPublicAccessState": "block-new-sharing"},
            ("ec2", "GetSerialConsoleAccessStatus"): {"SerialConsoleAccessEnabled": False},
            ("ec2", "GetInstanceMetadataDefaults"): {
                "AccountLevel": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}
            },
            ("ec2", "DescribeVpcBlockPublicAccessOptions"): {
                "VpcBlockPublicAccessOptions": {"InternetGatewayBlockMode": "block-bidirectional"}
            },
            ("eks", "ListAddons"): {"addons": ["vpc-cni"]},
            ("eks", "DescribeAddon"): {
                "addon": {
                    "addonName": "vpc-cni",
                    "addonVersion": "v1.20.4-eksbuild.1",
                    "configurationValues": '{"enableNetworkPolicy":"true"}',
                }
            },
        }

    def asked(self, call: Any) -> Any:
        """BaseClient's way to AWS, with these answers before moto's; each has the shape of AWS's model."""

        def ask(client: Any, operation: str, parameters: Mapping[str, Any]) -> Any:
            service = client.meta.service_model.service_name
            if (service, operation) not in self.told:
                answer = call(client, operation, parameters)
                if (service, operation) == ("eks", "DescribeCluster"):  # moto keeps it to itself
                    answer["cluster"] |= {
                        "accessConfig": {"authenticationMode": "API"},
                        "deletionProtection": True,
                        "upgradePolicy": {"supportType": "STANDARD"},
                    }
                return answer
            told = self.told[service, operation]
            if isinstance(told, Exception):
                raise told
            answer = told(parameters) if callable(told) else told
            shape = client.meta.service_model.operation_model(operation).output_shape
            assert shape is not None
            faults = ParamValidator().validate(answer, shape)
            # an answer need not have all that a request of the same shape would
            assert not faults.has_errors() or "Missing" in faults.generate_report(), faults.generate_report()
            return answer

        return ask


@cache
def client(service: str) -> Any:
    """A client of moto's, one for all tests: each has to read a whole model of the service."""
    return boto3.client(service, region_name=REGION)


def prepare(folder: Path, monkeypatch: Any) -> Answers:
    """Makes the landing zone, and in `folder` a site whose stack uses it."""
    found = {
        **_network(),
        **{f"aws.keys.{use}.id": _key(use) for use in _USED},
        **_cluster(),
    }
    _watched()
    (folder / "zones").mkdir(parents=True)
    zone = "zones/landing-zone.yaml"
    (folder / zone).write_text((SITE / zone).read_text(encoding="utf-8"), encoding="utf-8")
    stack = yaml.safe_load((SITE / f"Pulumi.{STACK}.yaml").read_text(encoding="utf-8"))
    for key, value in found.items():
        put(stack["config"][KEY], key, value)
    (folder / f"Pulumi.{STACK}.yaml").write_text(yaml.safe_dump(stack), encoding="utf-8")
    answers = Answers(found["aws.network.vpc.id"])
    monkeypatch.setattr(BaseClient, "_make_api_call", answers.asked(BaseClient._make_api_call))
    return answers


def _network() -> dict[str, Any]:
    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.60.0.0/16")["Vpc"]["VpcId"]
    parts = ("nodes", "endpoints", "controlPlane")
    blocks = iter(range(len(parts) * len(ZONES)))
    subnets = {
        part: {
            zone: ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.60.{next(blocks)}.0/24", AvailabilityZone=zone)[
                "Subnet"
            ]["SubnetId"]
            for zone in ZONES
        }
        for part in parts
    }
    of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    table = ec2.describe_route_tables(Filters=of_vpc)["RouteTables"][0]["RouteTableId"]
    default = ec2.describe_security_groups(Filters=of_vpc)["SecurityGroups"][0]
    ec2.revoke_security_group_egress(GroupId=default["GroupId"], IpPermissions=default["IpPermissionsEgress"])
    for permission in default["IpPermissions"]:
        ec2.revoke_security_group_ingress(GroupId=default["GroupId"], IpPermissions=[permission])
    group = ec2.create_security_group(GroupName="endpoints", Description="Endpoints", VpcId=vpc)["GroupId"]
    made = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=made["IpPermissionsEgress"])
    ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.60.0.0/16"}]}
        ],
    )
    prefix_list = next(
        one["PrefixListId"]
        for one in ec2.describe_managed_prefix_lists()["PrefixLists"]
        if one["PrefixListName"] == f"com.amazonaws.{REGION}.s3"
    )
    s3 = _endpoints(vpc, table, group, list(subnets["endpoints"].values()))
    logs = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:flows"
    client("logs").create_log_group(logGroupName="flows")
    ec2.create_flow_logs(
        ResourceIds=[vpc],
        ResourceType="VPC",
        TrafficType="ALL",
        LogDestinationType="cloud-watch-logs",
        LogDestination=logs,
        DeliverLogsPermissionArn=_role("flows"),
    )
    return {
        "aws.network.vpc.id": vpc,
        **{f"aws.network.{part}": zone for part, zone in subnets.items()},
        "aws.network.routeTables": [table],
        "aws.endpoints.s3.id": s3,
        "aws.endpoints.prefixList": prefix_list,
        "aws.endpoints.group": group,
    }


def _endpoints(vpc: str, table: str, group: str, subnets: list[str]) -> str:
    """The endpoints that the kit itself would make, by its own policies."""
    ec2, region = client("ec2"), aws.region(REGION)
    place = Place(name=STACK, provider=None, region=REGION, account=ACCOUNT, zones=ZONES)
    made = ec2.create_vpc_endpoint(
        VpcId=vpc,
        VpcEndpointType="Gateway",
        ServiceName=region.endpoint_service("s3"),
        RouteTableIds=[table],
        PolicyDocument=_document(endpoints.bucket_statements(place)),
    )
    for service, prefix in endpoints.services(region).items():
        ec2.create_vpc_endpoint(
            VpcId=vpc,
            VpcEndpointType="Interface",
            ServiceName=region.endpoint_service(service),
            SubnetIds=subnets,
            SecurityGroupIds=[group],
            PrivateDnsEnabled=True,
            PolicyDocument=_document(endpoints.service_statements(place, prefix)),
        )
    return str(made["VpcEndpoint"]["VpcEndpointId"])


def _document(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _key(use: str) -> str:
    kms = client("kms")
    policy = keys.state_policy(aws.region(REGION), ACCOUNT, [f"arn:aws:iam::{ACCOUNT}:role/{STACK}-{use}"])
    asked = {"Policy": json.dumps(policy), "Description": use, "KeyUsage": "ENCRYPT_DECRYPT"}
    arn = str(kms.create_key(**asked)["KeyMetadata"]["Arn"])
    kms.enable_key_rotation(KeyId=arn)
    return arn


def _cluster() -> dict[str, Any]:
    eks = client("eks")
    made = eks.create_cluster(
        name="shared",
        version="1.33",
        roleArn=_role("shared"),
        resourcesVpcConfig={
            "endpointPublicAccess": False,
            "endpointPrivateAccess": True,
            "controlPlaneEgressMode": "CUSTOMER_ROUTED",
        },
        logging={"clusterLogging": [{"types": ["api", "audit", "authenticator"], "enabled": True}]},
        encryptionConfig=[{"provider": {"keyArn": _key("cluster")}, "resources": ["secrets"]}],
        accessConfig={"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False},
    )["cluster"]
    eks.create_nodegroup(
        clusterName="shared", nodegroupName="gpu", nodeRole=_role("shared-nodes"), subnets=["subnet-1"]
    )
    return {
        "aws.cluster.cluster.id": "shared",
        "aws.cluster.endpoint": made["endpoint"],
        "aws.cluster.authority": made["certificateAuthority"]["data"],
        "aws.cluster.nodes": NODES,
    }


def _role(name: str) -> str:
    trust = _document([{"Effect": "Allow", "Principal": {"Service": "eks.amazonaws.com"}, "Action": "sts:*"}])
    made = client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust)
    return str(made["Role"]["Arn"])


def _watched() -> None:
    """Trail, inventory, detection, account defaults and the guard of regions."""
    s3, trail = client("s3"), client("cloudtrail")
    s3.create_bucket(Bucket="trail", CreateBucketConfiguration={"LocationConstraint": REGION})
    trail.create_trail(
        Name="organisation-trail",
        S3BucketName="trail",
        IsMultiRegionTrail=True,
        EnableLogFileValidation=True,
        KmsKeyId=_key("trail"),
    )
    trail.start_logging(Name="organisation-trail")
    trail.put_event_selectors(
        TrailName="organisation-trail",
        AdvancedEventSelectors=[
            {
                "Name": "objects",
                "FieldSelectors": [
                    {"Field": "eventCategory", "Equals": ["Data"]},
                    {"Field": "resources.type", "Equals": ["AWS::S3::Object"]},
                ],
            }
        ],
    )
    config = client("config")
    recorder = {"name": "all", "roleARN": _role("config"), "recordingGroup": {"allSupported": True}}
    config.put_configuration_recorder(ConfigurationRecorder=recorder)
    config.put_delivery_channel(DeliveryChannel={"name": "all", "s3BucketName": "trail"})
    config.start_configuration_recorder(ConfigurationRecorderName="all")
    client("guardduty").create_detector(Enable=True)
    client("iam").create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com")
    client("ec2").enable_ebs_encryption_by_default()
    every = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    client("s3control").put_public_access_block(
        AccountId=ACCOUNT, PublicAccessBlockConfiguration=dict.fromkeys(every, True)
    )
    organizations = client("organizations")
    organizations.create_organization(FeatureSet="ALL")
    root = organizations.list_roots()["Roots"][0]["Id"]
    organizations.enable_policy_type(RootId=root, PolicyType="SERVICE_CONTROL_POLICY")
    zone = zones.load(SITE / "zones" / "landing-zone.yaml")
    made = organizations.create_policy(
        Name="deny-regions",
        Description="Regions",
        Type="SERVICE_CONTROL_POLICY",
        Content=organisation.text(zone, aws.region(REGION).partition),
    )
    organizations.attach_policy(PolicyId=made["Policy"]["PolicySummary"]["Id"], TargetId=root)
