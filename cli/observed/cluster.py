"""A cluster of a landing zone, and its keys: read back as resources that the rules know."""

import json
from typing import TYPE_CHECKING

from cli.observed.reader import Reader

if TYPE_CHECKING:
    from stacks.aws_settings import UsedCluster

#: what enforces NetworkPolicies on nodes of EKS
_PLUGIN = "vpc-cni"


def cluster(reader: Reader, given: "UsedCluster") -> None:
    """Its way in, the encryption of its Secrets, what it writes down, its add-ons and its nodes' role."""
    name = given.cluster.id
    said = reader.ask("eks", "describe_cluster", name=name)
    if said is None:
        reader.missing(f"there is no cluster {name} in {reader.account.region}")
        return
    found = said["cluster"]
    reader.compare("the cluster's endpoint", found.get("endpoint"), given.endpoint)
    authority = found.get("certificateAuthority", {}).get("data")
    reader.compare("whether its certificates are those declared", authority == given.authority, True)
    config, access = found["resourcesVpcConfig"], found.get("accessConfig", {})
    logged = [
        kind
        for setup in found.get("logging", {}).get("clusterLogging", ())
        if setup["enabled"]
        for kind in setup["types"]
    ]
    encryption = next(iter(found.get("encryptionConfig", ())), None)
    reader.see(
        "aws:eks/cluster:Cluster",
        name,
        {
            "name": name,
            "version": found.get("version"),
            "deletionProtection": found.get("deletionProtection"),
            "upgradePolicy": {"supportType": found.get("upgradePolicy", {}).get("supportType")},
            "vpcConfig": {
                "endpointPrivateAccess": config.get("endpointPrivateAccess"),
                "endpointPublicAccess": config.get("endpointPublicAccess"),
                "controlPlaneEgressMode": config.get("controlPlaneEgressMode"),
            },
            "accessConfig": {
                "authenticationMode": access.get("authenticationMode"),
                # AWS tells it only while a cluster is made; who enters is in its access entries
                "bootstrapClusterCreatorAdminPermissions": access.get(
                    "bootstrapClusterCreatorAdminPermissions", False
                ),
            },
            "enabledClusterLogTypes": logged,
            "encryptionConfig": encryption
            and {
                "provider": {"keyArn": encryption["provider"]["keyArn"]},
                "resources": encryption["resources"],
            },
        },
    )
    _addons(reader, name)
    roles = set()
    for group in reader.each("eks", "list_nodegroups", "nodegroups", clusterName=name):
        said = reader.ask("eks", "describe_nodegroup", clusterName=name, nodegroupName=group)
        roles.add((said or {}).get("nodegroup", {}).get("nodeRole"))
    if roles and given.nodes not in roles:
        reader.differ(f"no group of nodes has the role {given.nodes}")


def _addons(reader: Reader, name: str) -> None:
    found = reader.each("eks", "list_addons", "addons", clusterName=name)
    if _PLUGIN not in found:
        reader.missing(f"{_PLUGIN} is no add-on of it, so what enforces NetworkPolicies is not told")
    for addon in found:
        said = reader.ask("eks", "describe_addon", clusterName=name, addonName=addon)
        if said is not None:
            inputs = {
                "clusterName": name,
                "addonName": addon,
                "addonVersion": said["addon"].get("addonVersion"),
                "configurationValues": said["addon"].get("configurationValues"),
            }
            reader.see("aws:eks/addon:Addon", addon, inputs)


def key(reader: Reader, arn: str) -> None:
    """Its state, its policy, its rotation."""
    said = reader.ask("kms", "describe_key", KeyId=arn)
    if said is None:
        reader.missing(f"there is no key {arn}")
        return
    found = said["KeyMetadata"]
    reader.compare("the key", found["KeyState"], "Enabled")
    reader.compare("whose the key is", found["KeyManager"], "CUSTOMER")
    policy = reader.ask("kms", "get_key_policy", KeyId=found["Arn"], PolicyName="default")
    rotation = reader.ask("kms", "get_key_rotation_status", KeyId=found["Arn"])
    inputs = {
        "keyUsage": found.get("KeyUsage"),
        "multiRegion": found.get("MultiRegion", False),
        "policy": policy and json.dumps(json.loads(policy["Policy"])),
    }
    if rotation is not None:
        inputs["enableKeyRotation"] = rotation["KeyRotationEnabled"]
        inputs["rotationPeriodInDays"] = rotation.get("RotationPeriodInDays")
    if policy is not None and rotation is not None:
        reader.see("aws:kms/key:Key", found["KeyId"], inputs)
