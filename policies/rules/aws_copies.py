"""Copies of databases, disks and file systems: copies that are resources themselves, or that join others."""

import re
from collections.abc import Iterator, Mapping

from facts.zones import Zone
from policies import buckets, references
from policies.rule import Hit, Subject, rule
from policies.table import reach
from policies.walkers import places

_CONTROLS = ("HDS EXI 28", "HIPAA 164.308(a)(7)", "GDPR 44-46", "SNC 19.2")

#: Resources that are a copy of something of another region: the route, and the properties of which each makes
#: them one (none: they always are).
_COPIES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "aws:rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication": ("A28", ()),
    "aws:rds/instance:Instance": ("A29", ("replicateSourceDb",)),
    "aws:rds/cluster:Cluster": ("A29", ("globalClusterIdentifier", "replicationSourceIdentifier")),
    "aws:neptune/cluster:Cluster": ("A29", ("globalClusterIdentifier", "replicationSourceIdentifier")),
    "aws:docdb/cluster:Cluster": ("A29", ("globalClusterIdentifier",)),
    "aws:elasticache/replicationGroup:ReplicationGroup": ("A29", ("globalReplicationGroupId",)),
    "aws:memorydb/cluster:Cluster": ("A29", ("multiRegionClusterName",)),
    "aws:dynamodb/tableReplica:TableReplica": ("A30", ()),
    "aws:ebs/snapshotCopy:SnapshotCopy": ("A32", ()),
    "aws:ec2/amiCopy:AmiCopy": ("A32", ()),
}


@rule(
    "aws-copies.landing",
    title="A copy must lie in a region of the zone",
    routes=["A28", "A29", "A30", "A32"],
    controls=_CONTROLS,
    fix="Make the copy with a provider of a region of the zone.",
    pack="residency",
    severity="critical",
    types=tuple(_COPIES),
)
def landing(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Copies of this kind are asked for where they are to be, and name what they copy: the region of the
    provider is their destination."""
    assert subject.resource is not None
    route, properties = _COPIES[subject.resource.type]
    if properties and all(subject[name].absent for name in properties):
        return
    where = references.place(subject.resource, subject.plan)
    if where.region is None:
        yield subject.undecided(
            "region",
            seen="no known region",
            why="neither it nor a provider of the plan says where the copy is",
            route=route,
        )
        return
    outside = places.judge_region(where.region, (where.provider,), zone)
    if outside:
        yield subject.refuse(
            "region", seen=where.region, why=f"the copy is in a region that {outside}", route=route
        )


#: With whom a database shares its data. A plain identifier names one of the same region and account.
_PEERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "aws:rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication": (
        "A28",
        ("sourceDbInstanceArn",),
    ),
    "aws:rds/instance:Instance": ("A29", ("replicateSourceDb",)),
    "aws:rds/cluster:Cluster": ("A29", ("replicationSourceIdentifier",)),
    "aws:neptune/cluster:Cluster": ("A29", ("replicationSourceIdentifier",)),
    "aws:rds/globalCluster:GlobalCluster": ("A29", ("sourceDbClusterIdentifier",)),
    "aws:neptune/globalCluster:GlobalCluster": ("A29", ("sourceDbClusterIdentifier",)),
    "aws:docdb/globalCluster:GlobalCluster": ("A29", ("sourceDbClusterIdentifier",)),
    "aws:dsql/cluster:Cluster": ("A29", ("multiRegionProperties.clusters[]",)),
    "aws:dsql/clusterPeering:ClusterPeering": ("A29", ("clusters[]",)),
    "aws:dynamodb/tableReplica:TableReplica": ("A30", ("globalTableArn",)),
}


@rule(
    "aws-copies.peers",
    title="A database may share its data with databases of the zone only",
    routes=["A28", "A29", "A30"],
    controls=_CONTROLS,
    fix="Name a database of the zone's regions and accounts.",
    pack="residency",
    severity="critical",
    types=tuple(_PEERS),
)
def peers(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A replica follows its primary and is made it when that fails, and members of a global database are each
    other's copies: all of them must be in the zone."""
    assert subject.resource is not None
    route, paths = _PEERS[subject.resource.type]
    for path in paths:
        for where in reach(subject.inputs, path):
            if (where.text() or "").startswith("arn:"):
                yield from references.judge(subject, where, zone, what="the same data", route=route)


_GLOBAL = (
    "aws:rds/globalCluster:GlobalCluster",
    "aws:neptune/globalCluster:GlobalCluster",
    "aws:docdb/globalCluster:GlobalCluster",
    "aws:elasticache/globalReplicationGroup:GlobalReplicationGroup",
    "aws:memorydb/multiRegionCluster:MultiRegionCluster",
)


@rule(
    "aws-copies.global",
    title="A database of several regions needs a zone of several regions",
    routes=["A29"],
    controls=_CONTROLS,
    fix="Remove it; a cluster over several availability zones of one region needs none.",
    pack="residency",
    severity="critical",
    types=_GLOBAL,
)
def of_several_regions(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """It has no purpose but to be joined by clusters of other regions, which other stacks may make; where the
    zone has one region, every other is outside."""
    assert subject.resource is not None
    if all(len(zone.regions.get(provider, ())) < 2 for provider in places.providers_of("aws")):
        yield subject.refuse(
            "", seen=subject.resource.type, why=f"zone {zone.name} has no second region that could join it"
        )


@rule(
    "aws-copies.file-systems",
    title="A file system may be replicated to regions of the zone only",
    routes=["A33"],
    controls=_CONTROLS,
    fix="Name a region of the zone as the destination, or remove the replication.",
    pack="residency",
    severity="critical",
    types=["aws:efs/replicationConfiguration:ReplicationConfiguration"],
)
def file_systems(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """EFS copies every file to the destination: a region, an availability zone, or a file system that is
    there. One that is named by its plain id lies in the region that stands beside it."""
    destination = subject["destination"]
    region, part, target = (destination[key] for key in ("region", "availabilityZoneName", "fileSystemId"))
    if (target.text() or "").startswith("arn:") or (region.absent and part.absent):
        yield from references.judge(subject, target, zone, what="copies of all files")
    if region.absent and part.absent and target.absent:
        yield subject.undecided(
            destination, seen="no destination", why="where copies of all files go can't be told"
        )
    for where, ending in ((region, ""), (part, "[a-z]$")):
        code = where.text()
        if code is None:
            continue
        outside = places.judge_region(re.sub(ending, "", code), places.providers_of("aws"), zone)
        if outside:
            yield subject.refuse(where, seen=code, why=f"copies of all files go to a region that {outside}")


#: What is written into a bucket: the route, and the property that names the bucket.
_EXPORTS: Mapping[str, tuple[str, str]] = {
    "aws:rds/exportTask:ExportTask": ("A28", "s3BucketName"),
    "aws:dynamodb/tableExport:TableExport": ("A30", "s3Bucket"),
    "aws:backup/reportPlan:ReportPlan": ("A31", "reportDeliveryChannel.s3BucketName"),
    "aws:imagebuilder/distributionConfiguration:DistributionConfiguration": (
        "A51",
        "distributions[].s3ExportConfiguration.s3Bucket",
    ),
}


@rule(
    "aws-copies.exports",
    title="Exports may go to buckets of the zone only",
    routes=["A28", "A30", "A31", "A51"],
    controls=_CONTROLS,
    fix="Name a bucket that the plan makes in a region of the zone.",
    pack="residency",
    severity="critical",
    types=tuple(_EXPORTS),
)
def exports(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """An export is the whole database, table or disk as files in a bucket, and a bucket's name doesn't say
    where it is."""
    assert subject.resource is not None
    route, path = _EXPORTS[subject.resource.type]
    for where in reach(subject.inputs, path):
        yield from buckets.judge(subject, where, zone, what="exports", route=route)
