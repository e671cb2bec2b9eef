"""What the kit says of AWS's partitions, regions and names, held against the data that botocore publishes."""

from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
import yaml
from botocore.config import Config
from botocore.loaders import Loader

from facts import aws, regions
from facts.site import ROOT
from tests.aws.calls import service_model, table
from tests.support.aws_stacks import OWN_ACCOUNT, STACKS, rendered


@cache
def ours(file: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = yaml.safe_load((ROOT / "facts" / file).read_text(encoding="utf-8"))
    return found


@cache
def partitions() -> Mapping[str, Any]:
    return {one["id"]: one for one in Loader().load_data("partitions")["partitions"]}


@cache
def endpoints(partition: str) -> Mapping[str, Any]:
    """The services that have endpoints in a partition, by the name of the endpoint."""
    found = Loader().load_data("endpoints")["partitions"]
    services: Mapping[str, Any] = next(one for one in found if one["partition"] == partition)["services"]
    return services


#: code of a region -> its partition, for all that the kit knows
REGIONS = {
    code: entry.get("partition", provider)
    for provider in ("aws", "aws-eusc", "aws-other-partitions")
    for code, entry in ours("regions.yaml")["providers"][provider]["regions"].items()
}


@pytest.mark.parametrize("partition", list(ours("aws.yaml")["partitions"]))
def test_a_partition_has_the_names_that_are_published(partition: str) -> None:
    told, published = ours("aws.yaml")["partitions"][partition], partitions()[partition]["outputs"]
    assert told["dns_suffix"] == published["dnsSuffix"]
    assert told["dual_stack_dns_suffix"] == published["dualStackDnsSuffix"]


@pytest.mark.parametrize("code", list(REGIONS))
def test_a_region_is_published_in_the_partition_that_we_name(code: str) -> None:
    assert code in partitions()[REGIONS[code]]["regions"]


@pytest.mark.parametrize("code", list(REGIONS))
def test_a_region_is_called_as_published(code: str) -> None:
    told = next(
        provider["regions"][code]["name"]
        for provider in ours("regions.yaml")["providers"].values()
        if code in provider.get("regions", {}) and _partition(provider, code) == REGIONS[code]
    )
    assert told == partitions()[REGIONS[code]]["regions"][code]["description"]


def _partition(provider: Mapping[str, Any], code: str) -> str:
    entry = provider["regions"][code]
    return str(entry.get("partition", provider.get("partition", "aws")))


def test_no_region_is_missing() -> None:
    published = {
        code
        for partition in partitions().values()
        for code in partition["regions"]
        if not code.endswith("-global")
    }
    assert published - REGIONS.keys() == set()


@pytest.mark.parametrize("code", list(ours("aws.yaml")["regions"]))
def test_a_region_that_the_kit_builds_in_has_its_partition_and_country(code: str) -> None:
    region = aws.region(code)
    assert code in partitions()[region.partition.name]["regions"]
    assert regions.country(region.partition.provider, code) is not None


def test_the_sovereign_cloud_has_and_lacks_what_we_say() -> None:
    there, told = endpoints("aws-eusc"), ours("regions.yaml")["providers"]["aws-eusc"]
    assert set(told["services_present"]) <= there.keys()
    assert not set(told["services_absent"]) & there.keys()
    assert set(told["services_absent"]) == aws.region("eusc-de-east-1").partition.absent
    # by that name they are elsewhere
    assert set(told["services_absent"]) <= endpoints("aws").keys()


def test_services_without_a_region_are_all_spared_or_denied() -> None:
    told = ours("aws.yaml")["global_services"]["aws"]
    published = {name for name, one in endpoints("aws").items() if one.get("isRegionalized") is False}
    assert published <= {*told["spared"], *told["denied"]}
    assert not set(told["spared"]) & set(told["denied"])
    assert not [one for one in endpoints("aws-eusc").values() if one.get("isRegionalized") is False]


#: endpoint, as VPC endpoints are called -> the client that calls it, and with what
_CALLS: Mapping[str, tuple[str, str, Mapping[str, str]]] = {
    "autoscaling": ("autoscaling", "describe_auto_scaling_groups", {}),
    "backup": ("backup", "list_backup_vaults", {}),
    "ec2": ("ec2", "describe_vpcs", {}),
    "ecr.api": ("ecr", "describe_repositories", {}),
    "eks": ("eks", "list_clusters", {}),
    "eks-auth": ("eks-auth", "assume_role_for_pod_identity", {"clusterName": "c", "token": "t"}),
    "elasticloadbalancing": ("elbv2", "describe_load_balancers", {}),
    "kms": ("kms", "list_keys", {}),
    "logs": ("logs", "describe_log_groups", {}),
    "monitoring": ("cloudwatch", "list_metrics", {}),
    "s3": ("s3", "list_objects_v2", {"Bucket": "a-bucket"}),
    "secretsmanager": ("secretsmanager", "list_secrets", {}),
    "ssm": ("ssm", "list_documents", {}),
    "sts": ("sts", "get_caller_identity", {}),
}
#: called by no client of botocore: nodes pull layers, and GuardDuty's agent reports
_UNCALLED = {"ecr.dkr", "guardduty-data"}


class Sent(Exception):
    """What would have been sent, and wasn't."""


@cache
def session() -> boto3.Session:
    return boto3.Session("an id", "a secret")


def host_called(region: str, service: str, operation: str, given: Mapping[str, str]) -> str:
    """Whom botocore would call."""

    def stop(request: Any, **_: Any) -> None:
        raise Sent(urlsplit(request.url).hostname)

    client = session().client(service, region_name=region, config=Config(retries={"total_max_attempts": 1}))
    client.meta.events.register("before-send", stop)
    with pytest.raises(Sent) as sent:
        getattr(client, operation)(**given)
    return str(sent.value)


@pytest.mark.parametrize("stack", STACKS)
def test_the_firewall_of_names_answers_for_whom_botocore_calls(stack: str) -> None:
    whole = rendered(stack)
    assert whole.settings.aws is not None
    region = whole.settings.aws.region
    opened = {
        one.inputs["serviceName"].partition(f".{region}.")[2]
        for one in whole.cloud
        if one.type.endswith(":VpcEndpoint")
    }
    (allowed,) = (
        one.inputs["domains"]
        for one in whole.cloud
        if one.type.endswith(":ResolverFirewallDomainList") and one.name.endswith("-allow")
    )
    assert opened - _UNCALLED == _CALLS.keys()
    for endpoint, call in _CALLS.items():
        host = host_called(region, *call)
        below = {f"*.{host.partition('.')[2]}"}
        assert {host, *below} & set(allowed), f"{endpoint}: {host} is not answered"


@pytest.mark.parametrize("stack", STACKS)
def test_every_service_that_makes_something_is_in_the_partition(stack: str) -> None:
    """IAM and Organizations have no endpoint by region, and none in this data."""
    whole = rendered(stack, OWN_ACCOUNT)
    assert whole.settings.aws is not None
    partition = aws.region(whole.settings.aws.region).partition.name
    called = {
        row["call"].partition(".")[0] for one in whole.cloud for row in table()["types"][one.type]["calls"]
    }
    prefixes = {service_model(service).endpoint_prefix for service in called}
    assert prefixes - {"iam"} <= endpoints(partition).keys()
