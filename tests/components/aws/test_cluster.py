"""The cluster and its nodes: closed, encrypted, and in what order they come."""

import base64
import json
import tomllib
from dataclasses import replace
from typing import Any

import pytest

from components.aws.ground import AwsGround
from components.aws.nodes import Machines, NodesError, Reservation
from components.aws.place import Place
from facts import eks
from facts.gpus import gpu
from policies.model import Resource
from tests.components.aws.grounds import AUDITOR, MODEL, SERVICES, parts, stood, usual, zone
from tests.components.aws.support import of_kind
from tests.support import aws

_GPUS = f"llm-paris-gpu-{MODEL}"


def one(kind: str, name: str = "llm-paris", plan: tuple[Resource, ...] | None = None) -> dict[str, Any]:
    """The inputs of a resource."""
    return dict(of_kind(plan or usual(), kind)[name].inputs)


def with_gpus(machines: Machines) -> tuple[Resource, ...]:
    return stood(gpus={MODEL: machines})


def test_the_cluster_answers_inside_only_and_writes_everything_down() -> None:
    cluster = one("Cluster")
    assert cluster["vpcConfig"]["endpointPrivateAccess"] is True
    assert cluster["vpcConfig"]["endpointPublicAccess"] is False
    assert cluster["vpcConfig"]["controlPlaneEgressMode"] == "CUSTOMER_ROUTED"
    assert cluster["kubernetesNetworkConfig"] == {"ipFamily": "ipv4", "serviceIpv4Cidr": SERVICES}
    assert cluster["encryptionConfig"]["resources"] == ["secrets"]
    assert len(cluster["enabledClusterLogTypes"]) == 5
    assert cluster["bootstrapSelfManagedAddons"] is False
    assert cluster["deletionProtection"] is True
    assert of_kind(usual(), "Cluster")["llm-paris"].options["protect"]


def test_only_named_roles_enter_it_and_only_deployers_as_administrators() -> None:
    entered = of_kind(usual(), "AccessEntry")
    assert {entry.inputs["principalArn"].rpartition("/")[2] for entry in entered.values()} == {
        "deployers",
        "observers",
    }
    assert entered["llm-paris-member-0"].inputs["kubernetesGroups"] == ["observers"]
    (administrators,) = of_kind(usual(), "AccessPolicyAssociation").values()
    assert administrators.inputs["principalArn"].endswith("/deployers")


def test_add_ons_are_in_the_versions_of_the_release() -> None:
    made = {
        each.inputs["addonName"]: each.inputs["addonVersion"] for each in of_kind(usual(), "Addon").values()
    }
    assert made == eks.release().addons
    older = stood(kubernetes="1.35")
    assert one("Cluster", plan=older)["version"] == "1.35"
    assert (
        one("Addon", "llm-paris-kube-proxy", older)["addonVersion"]
        == eks.release("1.35").addons["kube-proxy"]
    )


def test_network_policies_are_enforced_before_there_are_nodes() -> None:
    plugin = of_kind(usual(), "Addon")["llm-paris-vpc-cni"]
    assert json.loads(plugin.inputs["configurationValues"])["enableNetworkPolicy"] == "true"
    named = [(each.type.rpartition(":")[2], each.name) for each in usual()]
    groups = [named.index(("NodeGroup", name)) for name in of_kind(usual(), "NodeGroup")]
    assert min(groups) > named.index(("Addon", "llm-paris-vpc-cni"))


def test_each_driver_has_a_role_of_its_own_for_one_service_account() -> None:
    identities = {
        (each.inputs["namespace"], each.inputs["serviceAccount"]): each.inputs["roleArn"]
        for each in of_kind(usual(), "PodIdentityAssociation").values()
    }
    assert set(identities) == {
        AUDITOR,
        ("kube-system", "aws-node"),
        ("kube-system", "ebs-csi-controller-sa"),
        ("kube-system", "s3-csi-driver-sa"),
    }
    assert len(set(identities.values())) == len(identities)


@pytest.mark.parametrize("name", ["llm-paris-system", _GPUS])
def test_both_disks_are_encrypted_and_metadata_is_out_of_reach_of_pods(name: str) -> None:
    template = one("LaunchTemplate", name)
    assert [disk["deviceName"] for disk in template["blockDeviceMappings"]] == ["/dev/xvda", "/dev/xvdb"]
    assert len({disk["ebs"]["kmsKeyId"] for disk in template["blockDeviceMappings"]}) == 1
    assert {disk["ebs"]["encrypted"] for disk in template["blockDeviceMappings"]} == {"true"}
    assert template["metadataOptions"]["httpTokens"] == "required"
    assert template["metadataOptions"]["httpPutResponseHopLimit"] == 1
    assert [card["associatePublicIpAddress"] for card in template["networkInterfaces"]] == ["false"]
    assert "keyName" not in template


@pytest.mark.parametrize("name", ["llm-paris-system", _GPUS])
def test_nodes_report_to_nobody_and_let_nobody_in(name: str) -> None:
    settings = tomllib.loads(base64.b64decode(one("LaunchTemplate", name)["userData"]).decode())["settings"]
    assert settings["metrics"] == {"send-metrics": False}
    assert settings["ntp"] == {"time-servers": ["169.254.169.123"]}
    assert {each["enabled"] for each in settings["host-containers"].values()} == {False}
    assert settings["kernel"]["sysctl"]["kernel.core_pattern"] == "|/bin/false"


def test_nodes_with_gpus_are_for_those_who_ask_for_them() -> None:
    group = one("NodeGroup", _GPUS)
    assert group["taints"] == [{"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}]
    assert group["labels"] == {"llm.kit/pool": "gpu", "nvidia.com/gpu.product": gpu("L4").products[0]}
    assert group["amiType"] == "BOTTLEROCKET_x86_64_NVIDIA"
    system = one("NodeGroup", "llm-paris-system")
    assert "taints" not in system
    assert system["labels"] == {"llm.kit/pool": "system"}
    assert len(system["subnetIds"]) == 3


def test_a_reservation_is_used_in_its_zone_and_nothing_else() -> None:
    kept = one("LaunchTemplate", _GPUS)["capacityReservationSpecification"]
    assert kept["capacityReservationPreference"] == "capacity-reservations-only"
    assert kept["capacityReservationTarget"] == {"capacityReservationId": "cr-0f1e"}
    assert len(one("NodeGroup", _GPUS)["subnetIds"]) == 1
    assert of_kind(usual(), "CapacityReservation") == {}


def test_machines_in_a_zone_without_subnets_are_refused() -> None:
    with pytest.raises(NodesError, match=r"no subnet of nodes in eu-west-3d: use eu-west-3a, eu-west-3b"):
        with_gpus(Machines(type="g6.48xlarge", count=1, gpu=gpu("L4"), zones=("eu-west-3d",)))


def test_a_reservation_is_made_where_none_is_named() -> None:
    plan = with_gpus(
        Machines(type="g6.48xlarge", count=2, gpu=gpu("L4"), reservation=Reservation(zone="eu-west-3b"))
    )
    made = one("CapacityReservation", _GPUS, plan)
    assert (made["availabilityZone"], made["instanceCount"], made["instanceMatchCriteria"]) == (
        "eu-west-3b",
        2,
        "targeted",
    )
    group = one("NodeGroup", _GPUS, plan)
    assert (group["capacityType"], group["updateConfig"]["updateStrategy"]) == ("ON_DEMAND", "MINIMAL")


def test_a_capacity_block_is_one_that_somebody_has_bought() -> None:
    block = Reservation(zone="eu-west-3b", id="cr-0f1e", block=True)
    plan = with_gpus(Machines(type="p5.48xlarge", count=1, gpu=gpu("H100-80"), reservation=block))
    assert one("NodeGroup", _GPUS, plan)["capacityType"] == "CAPACITY_BLOCK"
    assert one("LaunchTemplate", _GPUS, plan)["instanceMarketOptions"] == {"marketType": "capacity-block"}
    with pytest.raises(NodesError, match="bought beforehand"):
        Reservation(zone="eu-west-3b", block=True)


def test_machines_may_be_in_some_zones_only() -> None:
    plan = with_gpus(Machines(type="g6.12xlarge", count=1, gpu=gpu("L4"), zones=("eu-west-3b", "eu-west-3c")))
    assert len(one("NodeGroup", _GPUS, plan)["subnetIds"]) == 2
    assert "capacityReservationSpecification" not in one("LaunchTemplate", _GPUS, plan)


def test_a_release_that_there_is_not() -> None:
    def build(place: Place) -> None:
        AwsGround(place.name, place, zone(), replace(parts(place), kubernetes="1.19"))

    with pytest.raises(Exception, match=r"version of Kubernetes on EKS '1\.19'"):
        aws.planned(build)
