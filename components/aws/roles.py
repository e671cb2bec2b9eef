"""Roles: whom the cluster, its nodes and its drivers act as, each with what its work needs and no more.

They come first, because the policies of keys and buckets name them; what each may do with a bucket is said
where the bucket is made.
"""

from typing import Final

from pulumi import ComponentResource, Output, ResourceOptions
from pulumi_aws.iam import Role, RolePolicy, RolePolicyAttachment

from components.aws.place import Place
from components.aws.policy import document, taken_on, trusted

#: Policies that AWS keeps, by the role they are for
#: (docs.aws.amazon.com/eks/latest/userguide/security-iam-awsmanpol.html).
_CLUSTER: Final = "AmazonEKSClusterPolicy"
_NODES: Final = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly")
_CNI: Final = "AmazonEKS_CNI_Policy"
_VOLUMES: Final = "service-role/AmazonEBSCSIDriverPolicy"
_BACKUP: Final = "service-role/AWSBackupServiceRolePolicyForBackup"


class Roles(ComponentResource):
    """The roles of one cluster, by whoever takes them on. Pods get theirs by Pod Identity, for one service
    account of this cluster; nodes hold nothing of anybody's data."""

    cluster: Role  #: the control plane
    nodes: Role
    network: Role  #: the network plugin: kube-system/aws-node
    volumes: Role  #: the driver of volumes: kube-system/ebs-csi-controller-sa
    weights: Role  #: the driver of the bucket of weights: kube-system/s3-csi-driver-sa
    audit: Role  #: who writes audit records to their bucket
    backup: Role  #: AWS Backup

    def __init__(
        self,
        name: str,
        place: Place,
        cluster: str,
        auditor: tuple[str, str],
        opts: ResourceOptions | None = None,
    ) -> None:
        """`cluster`: the cluster's name. `auditor`: namespace and service account of the audit service."""
        super().__init__("sovereign:aws:Roles", name, None, opts)
        self._name, self._place, self._cluster = name, place, place.arn("eks", f"cluster/{cluster}")
        self.cluster = self._role("cluster", trusted(place, "eks", self._cluster), _CLUSTER)
        self.nodes = self._role("nodes", taken_on(place, "ec2"), *_NODES)
        self.network = self._pods("network", ("kube-system", "aws-node"), _CNI)
        self.volumes = self._pods("volumes", ("kube-system", "ebs-csi-controller-sa"), _VOLUMES)
        self.weights = self._pods("weights", ("kube-system", "s3-csi-driver-sa"))
        self.audit = self._pods("audit", auditor)
        self.backup = self._role("backup", trusted(place, "backup"), _BACKUP)
        self.register_outputs({})

    def _pods(self, part: str, account: tuple[str, str], *policies: str) -> Role:
        return self._role(part, for_pods(self._place, self._cluster, account), *policies)

    def _role(self, part: str, trust: Output[str], *policies: str) -> Role:
        place = self._place
        role = Role(f"{self._name}-{part}", assume_role_policy=trust, opts=place.within(self))
        for policy in policies:
            RolePolicyAttachment(
                f"{self._name}-{part}-{policy.rpartition('/')[2]}",
                role=role.name,
                policy_arn=place.arn("iam", f"policy/{policy}", owner="aws"),
                opts=place.within(self),
            )
        return role


def for_pods(place: Place, cluster: str, account: tuple[str, str]) -> Output[str]:
    """The trust of a role for the pods of one service account (namespace and name) of one cluster (its ARN)
    (docs.aws.amazon.com/eks/latest/userguide/pod-id-assign-target-role.html)."""
    namespace, name = account
    tags = {
        "eks-cluster-arn": cluster,
        "kubernetes-namespace": namespace,
        "kubernetes-service-account": name,
    }
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Service": place.principal("pods.eks")},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Condition": {"StringEquals": {f"aws:RequestTag/{key}": value for key, value in tags.items()}},
        }
    )


def allow(
    name: str, place: Place, parent: ComponentResource, role: Role, *statements: dict[str, object]
) -> RolePolicy:
    """What a role may do, as a policy of its own."""
    return RolePolicy(
        name,
        role=role.id,
        policy=document(*({"Effect": "Allow", **statement} for statement in statements)),
        opts=place.within(parent),
    )
