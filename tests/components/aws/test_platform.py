"""What the ground hands to serving/: the cluster, encrypted volumes, and weights that nobody there writes."""

import json
from typing import Any

import pytest

from components.aws.ground import AwsGround
from components.aws.place import Place
from components.ground import Ground
from facts.gpus import gpu
from policies.model import Sealed
from tests.components.aws.grounds import MODEL, parts, platform, usual, zone
from tests.components.aws.support import of_kind
from tests.support import aws


def one(kind: str, name: str) -> dict[str, Any]:
    return dict(of_kind(usual(), kind)[name].inputs)


@pytest.fixture(scope="module")
def ground() -> Ground:
    found: list[Ground] = []

    def build(place: Place) -> None:
        found.append(platform(AwsGround(place.name, place, zone(), parts(place)), place))

    aws.planned(build)
    return found[0]


def test_what_serving_gets(ground: Ground) -> None:
    assert ground.cluster_uid == "uid"
    assert ground.storage.class_name == "llm-paris-disks"
    # another key may come, and disks keep the one that they were made with
    assert ground.storage.key is None
    assert ground.keeps
    assert ground.weights[MODEL].volume == "llm-paris-weights-llama"
    assert ground.gpus == {MODEL: gpu("L4")}
    assert ground.gpu_labels == {MODEL: gpu("L4").products[0]}
    assert ground.images.vllm.startswith(
        f"{aws.ACCOUNT}.dkr.ecr.eu-west-3.amazonaws.com/llm-paris/vllm@sha256:"
    )
    assert ground.made
    assert not ground.shared


def test_the_provider_is_of_this_cluster_and_its_token_is_secret() -> None:
    inputs = one("kubernetes", "llm-paris")
    assert isinstance(inputs["kubeconfig"], Sealed) or "k8s-aws-v1" in str(inputs["kubeconfig"])
    assert inputs["clusterIdentifier"] == "uid"
    assert inputs["context"] == "llm-paris"


def test_disks_are_encrypted_with_the_key_of_volumes_and_stay() -> None:
    disks = one("StorageClass", "llm-paris-disks")
    (key,) = (each for name, each in of_kind(usual(), "Alias").items() if name == "llm-paris-volumes")
    assert disks["provisioner"] == "ebs.csi.aws.com"
    assert disks["parameters"]["encrypted"] == "true"
    assert disks["parameters"]["kmsKeyId"] == key.inputs["targetKeyId"]
    assert disks["reclaimPolicy"] == "Retain"
    assert disks["volumeBindingMode"] == "WaitForFirstConsumer"


def test_weights_are_read_from_the_bucket_and_never_written() -> None:
    volume = one("PersistentVolume", "llm-paris-weights-llama")["spec"]
    assert volume["accessModes"] == ["ReadOnlyMany"]
    assert volume["csi"]["driver"] == "s3.csi.aws.com"
    assert volume["csi"]["readOnly"] is True
    assert volume["csi"]["volumeAttributes"]["bucketName"] == one("Bucket", "llm-paris-weights")["bucket"]
    assert {"read-only", "region eu-west-3"} <= set(volume["mountOptions"])


def test_the_driver_may_read_weights_and_the_audit_service_may_only_add() -> None:
    rights = {
        name: [each["Action"] for each in json.loads(policy.inputs["policy"])["Statement"]]
        for name, policy in of_kind(usual(), "RolePolicy").items()
    }
    assert rights["llm-paris-weights"] == ["s3:ListBucket", "s3:GetObject"]
    assert rights["llm-paris-audit"] == [["s3:PutObject", "s3:PutObjectRetention"]]
