"""Policies of the AWS resources that hold data: whom they let in."""

from collections.abc import Iterator, Mapping

from facts.zones import Zone
from policies import grants
from policies.rule import Hit, Subject, rule
from policies.table import reach

#: Where the policy of a resource stands, and by which route it would let data out.
_POLICIES: Mapping[str, tuple[str, str]] = {
    "aws:s3/accessPoint:AccessPoint": ("policy", "A24"),
    "aws:s3/bucket:Bucket": ("policy", "A24"),
    "aws:s3/bucketPolicy:BucketPolicy": ("policy", "A24"),
    "aws:s3/filesFileSystemPolicy:FilesFileSystemPolicy": ("policy", "A24"),
    "aws:s3/vectorsVectorBucketPolicy:VectorsVectorBucketPolicy": ("policy", "A24"),
    "aws:s3control/accessPointPolicy:AccessPointPolicy": ("policy", "A24"),
    "aws:s3control/multiRegionAccessPointPolicy:MultiRegionAccessPointPolicy": ("details.policy", "A24"),
    "aws:s3tables/tableBucketPolicy:TableBucketPolicy": ("resourcePolicy", "A24"),
    "aws:s3tables/tablePolicy:TablePolicy": ("resourcePolicy", "A24"),
    "aws:dsql/clusterPolicy:ClusterPolicy": ("policy", "A29"),
    "aws:dynamodb/resourcePolicy:ResourcePolicy": ("policy", "A30"),
    "aws:backup/vaultPolicy:VaultPolicy": ("policy", "A31"),
    "aws:efs/fileSystemPolicy:FileSystemPolicy": ("policy", "A33"),
    "aws:ecr/registryPolicy:RegistryPolicy": ("policy", "A34"),
    "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate": ("repositoryPolicy", "A34"),
    "aws:ecr/repositoryPolicy:RepositoryPolicy": ("policy", "A34"),
    "aws:secretsmanager/secret:Secret": ("policy", "A35"),
    "aws:secretsmanager/secretPolicy:SecretPolicy": ("policy", "A35"),
}


@rule(
    "aws-policies.outsiders",
    title="A resource policy may let in the zone's accounts only",
    routes=["A24", "A29", "A30", "A31", "A33", "A34", "A35"],
    controls=["HDS EXI 05", "HDS EXI 29", "HIPAA 164.312(a)(1)", "GDPR 32", "SNC 13.2"],
    fix="Name principals of the zone's accounts, or hold the statement to them: aws:PrincipalAccount, "
    "aws:SourceAccount (for a service), aws:PrincipalOrgID (of an organization among the zone's accounts), "
    "aws:SourceVpce (an endpoint).",
    pack="egress",
    severity="critical",
    types=tuple(_POLICIES),
)
def outsiders(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A policy on a bucket, table, vault, file system, repository or secret lets in whom it names, from
    anywhere and past every network. A service acts for whoever uses it, unless a condition says for whom."""
    assert subject.resource is not None
    path, route = _POLICIES[subject.resource.type]
    for where in reach(subject.inputs, path):
        yield from grants.outsiders(subject, where, zone, route=route)
