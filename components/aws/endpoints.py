"""Endpoints: the private paths to the AWS services that a cluster without internet needs, and to one's own
there only.

Without a policy an endpoint leads to everybody's buckets and keys. Each policy here holds who asks and what
is reached to the one account, and admits by name what AWS hands out to everybody: image layers, packages,
add-ons (facts/aws_owned.yaml). After aws-samples/data-perimeter-policy-examples.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pulumi import ComponentResource, Input, Output, ResourceOptions
from pulumi_aws.ec2 import SecurityGroup, VpcEndpoint
from pulumi_aws.vpc import SecurityGroupEgressRule, SecurityGroupIngressRule

from components.aws.network import Network
from components.aws.place import Place
from components.aws.policy import document
from components.aws.use import Use
from facts import aws, aws_owned

#: The endpoints of a private EKS cluster with the kit's add-ons, and the prefix of the actions of each
#: (docs.aws.amazon.com/eks/latest/userguide/private-clusters.html).
_SERVICES: Final[Mapping[str, str]] = {
    "autoscaling": "autoscaling",
    "backup": "backup",
    "ec2": "ec2",
    "ecr.api": "ecr",
    "ecr.dkr": "ecr",
    "eks": "eks",
    "eks-auth": "eks-auth",
    "elasticloadbalancing": "elasticloadbalancing",
    "guardduty-data": "guardduty",
    "kms": "kms",
    "logs": "logs",
    "monitoring": "cloudwatch",
    "secretsmanager": "secretsmanager",
    "ssm": "ssm",
    "sts": "sts",
}
#: With Session Manager, its two channels too
#: (docs.aws.amazon.com/systems-manager/latest/userguide/setup-create-vpc.html).
_SESSIONS: Final[Mapping[str, str]] = {"ec2messages": "ec2messages", "ssmmessages": "ssmmessages"}

#: Services that have nothing of anybody else's to reach; several of their calls name no resource, so that a
#: condition on whose it is would stop them.
_OWN_ONLY: Final = frozenset(
    {
        "autoscaling",
        "ec2",
        "ec2messages",
        "eks",
        "eks-auth",
        "elasticloadbalancing",
        "guardduty",
        "ssmmessages",
    }
)
_PULL: Final = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")


@dataclass(frozen=True, kw_only=True)
class UsedEndpoints:
    """Endpoints of the landing zone: `s3.id` is the id of the gateway endpoint of S3, `prefix_list` AWS's
    list of its addresses, `group` the security group of the others. Their policies are the owner's word."""

    s3: Use
    prefix_list: str
    group: str


class Endpoints(ComponentResource):
    """Every endpoint that the nodes need, by services that the partition has; nodes may call them and nothing
    else of AWS."""

    s3: Output[str]  #: id of the gateway endpoint, for `aws:SourceVpce` in policies of buckets
    group: Output[str]  #: security group of the interface endpoints
    names: tuple[str, ...]  #: DNS names that they answer for

    def __init__(
        self,
        name: str,
        place: Place,
        network: Network,
        *,
        sessions: bool = False,
        use: UsedEndpoints | None = None,
        opts: ResourceOptions | None = None,
    ) -> None:
        """`sessions`: with those of Session Manager."""
        super().__init__("sovereign:aws:Endpoints", name, None, opts)
        wanted = services(place.facts, sessions=sessions)
        self.names = tuple(dict.fromkeys(one for key in ("s3", *wanted) for one in place.facts.names(key)))
        if use is None:
            prefix_list = self._create(name, place, network, wanted)
        else:
            self.s3, self.group = Output.from_input(use.s3.id), Output.from_input(use.group)
            prefix_list = Output.from_input(use.prefix_list)
        self.serve(f"{name}-nodes", place, network.nodes_group)
        SecurityGroupEgressRule(
            f"{name}-nodes-s3",
            security_group_id=network.nodes_group,
            prefix_list_id=prefix_list,
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            description="S3, by its gateway endpoint",
            opts=place.within(self),
        )
        self.register_outputs({"s3": self.s3})

    def serve(self, name: str, place: Place, group: Input[str]) -> None:
        """Lets a security group open connections to the interface endpoints."""
        SecurityGroupEgressRule(
            f"{name}-services",
            security_group_id=group,
            referenced_security_group_id=self.group,
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            description="AWS services, by their endpoints",
            opts=place.within(self),
        )

    def _create(self, name: str, place: Place, network: Network, wanted: Mapping[str, str]) -> Output[str]:
        group = SecurityGroup(
            name,
            description="Endpoints of AWS services: they answer, and open no connection",
            vpc_id=network.vpc_id,
            revoke_rules_on_delete=True,
            tags={"Name": name},
            opts=place.within(self),
        )
        self.group = group.id
        SecurityGroupIngressRule(
            name,
            security_group_id=group.id,
            cidr_ipv4=network.cidr,
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            description="From the network only",
            opts=place.within(self),
        )
        gateway = VpcEndpoint(
            f"{name}-s3",
            vpc_id=network.vpc_id,
            service_name=place.facts.endpoint_service("s3"),
            vpc_endpoint_type="Gateway",
            route_table_ids=list(network.route_tables),
            policy=document(*bucket_statements(place)),
            tags={"Name": f"{name}-s3"},
            opts=place.within(self),
        )
        self.s3 = gateway.id
        for service, prefix in wanted.items():
            VpcEndpoint(
                f"{name}-{service}",
                vpc_id=network.vpc_id,
                service_name=place.facts.endpoint_service(service),
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=list(network.endpoints.values()),
                security_group_ids=[group.id],
                policy=document(*service_statements(place, prefix)),
                tags={"Name": f"{name}-{service}"},
                opts=place.within(self),
            )
        return gateway.prefix_list_id


def bucket_statements(place: Place) -> list[dict[str, Any]]:
    """What the endpoint of S3 lets through: the account's own buckets, and reading of AWS's own."""
    return [
        _own(place, "s3:*"),
        {
            # layers and packages come by URLs that AWS signs, or unsigned
            "Sid": "OfAws",
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": [place.arn("s3", f"{bucket}/*") for bucket in aws_owned.buckets(place.region)],
        },
    ]


def service_statements(place: Place, prefix: str) -> list[dict[str, Any]]:
    """What the endpoint of a service lets through, by the prefix of its actions."""
    if prefix in _OWN_ONLY:
        return [_own(place, f"{prefix}:*", resource=False)]
    registries = aws_owned.registries(place.region) if prefix == "ecr" else ()
    pulled = {
        "Sid": "OfAws",
        "Effect": "Allow",
        "Principal": "*",
        "Action": list(_PULL),
        "Resource": [place.arn("ecr", "repository/*", owner=account) for account in registries],
        "Condition": {"StringEquals": {"aws:PrincipalAccount": place.account}},
    }
    return [_own(place, f"{prefix}:*"), *([pulled] if registries else [])]


def _own(place: Place, actions: str, *, resource: bool = True) -> dict[str, Any]:
    held = {"aws:PrincipalAccount": place.account}
    if resource:
        held["aws:ResourceAccount"] = place.account
    return {
        "Sid": "OfThisAccount",
        "Effect": "Allow",
        "Principal": "*",
        "Action": actions,
        "Resource": "*",
        "Condition": {"StringEquals": held},
    }


def services(region: aws.Region, *, sessions: bool = False) -> dict[str, str]:
    """The services that nodes call by interface endpoints, and the prefix of the actions of each; `sessions`:
    with those of Session Manager."""
    wanted = {**_SERVICES, **(_SESSIONS if sessions else {})}
    return {service: prefix for service, prefix in sorted(wanted.items()) if region.partition.has(prefix)}
