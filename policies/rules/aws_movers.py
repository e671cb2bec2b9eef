"""What moves data in bulk at AWS: delivery streams, copies of files and databases, file transfer."""

from collections.abc import Iterator, Mapping

from facts.zones import Zone
from policies import aws
from policies.aws import Way
from policies.rule import Hit, Subject, rule

_CONTROLS = ("HDS EXI 28", "GDPR 44-46", "SNC 19.2")

#: Destinations of a delivery stream, by their configuration, and what each leads to.
_STREAMS: Mapping[str, tuple[Way, ...]] = {
    "elasticsearch": (Way("domainArn", "place", "records"), Way("clusterEndpoint", "host", "records")),
    "extendedS3": (Way("bucketArn", "bucket", "records"),),
    "httpEndpoint": (Way("url", "host", "records"),),
    "iceberg": (Way("catalogArn", "place", "records"),),
    "opensearch": (Way("domainArn", "place", "records"), Way("clusterEndpoint", "host", "records")),
    "opensearchserverless": (Way("collectionEndpoint", "host", "records"),),
    "redshift": (Way("clusterJdbcurl", "host", "records"),),
    "snowflake": (Way("accountUrl", "host", "records"),),
    "splunk": (Way("hecEndpoint", "host", "records"),),
}
#: Where each of them keeps what it could not deliver, or a copy of all.
_KEPT = ("s3Configuration", "s3BackupConfiguration")


@rule(
    "aws-movers.stream",
    title="A delivery stream delivers to places of the zone",
    routes=["A41"],
    controls=(*_CONTROLS, "HIPAA 164.312(e)(1)"),
    fix="Deliver to a bucket of the plan, or to a host of the zone.",
    pack="egress",
    severity="critical",
    types=["aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream"],
)
def stream(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A delivery stream pours all that is written to it into a URL, the service of a vendor, or a bucket;
    what it can't deliver, and often a copy of all, goes to a second bucket."""
    for name, ways in _STREAMS.items():
        at = f"{name}Configuration"
        copies = (Way(f"{kept}.bucketArn", "bucket", "copies of records") for kept in _KEPT)
        yield from aws.sent(subject, zone, [way._replace(at=f"{at}.{way.at}") for way in (*ways, *copies)])
    named = subject["destination"].text()
    if named is not None and named.replace("_", "").lower() not in {name.lower() for name in _STREAMS}:
        yield subject.undecided(
            "destination", seen="another destination", why="where such a stream delivers can't be told"
        )


_MOVES: Mapping[str, tuple[Way, ...]] = {
    "aws:datasync/locationAzureBlob:LocationAzureBlob": (Way("containerUrl", "host", "files"),),
    "aws:datasync/locationObjectStorage:LocationObjectStorage": (Way("serverHostname", "host", "files"),),
    "aws:datasync/nfsLocation:NfsLocation": (Way("serverHostname", "host", "files"),),
    "aws:datasync/s3Location:S3Location": (Way("s3BucketArn", "bucket", "files"),),
    "aws:datasync/task:Task": (
        Way("destinationLocationArn", "place", "files"),
        Way("taskReportConfig.s3Destination.s3BucketArn", "bucket", "lists of files"),
    ),
    "aws:dms/endpoint:Endpoint": (
        Way("serverName", "host", "tables"),
        Way("elasticsearchSettings.endpointUri", "host", "tables"),
        Way("kafkaSettings.broker", "host", "tables"),
        Way("kinesisSettings.streamArn", "place", "tables"),
        Way("redisSettings.serverName", "host", "tables"),
        Way("redshiftSettings.bucketName", "bucket", "tables"),
    ),
    "aws:dms/s3Endpoint:S3Endpoint": (Way("bucketName", "bucket", "tables"),),
    "aws:dms/replicationTask:ReplicationTask": (Way("targetEndpointArn", "place", "tables"),),
    "aws:msk/replicator:Replicator": (
        Way("kafkaClusters[].amazonMskCluster.mskClusterArn", "place", "topics"),
        Way("kafkaClusters[].apacheKafkaCluster.bootstrapBrokerString", "host", "topics"),
    ),
    "aws:transfer/connector:Connector": (Way("url", "host", "files"),),
}


@rule(
    "aws-movers.copy",
    title="Files, tables and topics are copied within the zone",
    routes=["A42"],
    controls=_CONTROLS,
    fix="Copy to a bucket of the plan, to a place in a region and account of the zone, or to a host of it.",
    pack="residency",
    severity="critical",
    types=tuple(_MOVES),
)
def copy(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """DataSync, DMS, MSK Replicator and Transfer Family copy whole file systems, databases and logs of
    messages to another cloud, another region, or a partner's server."""
    assert subject.resource is not None
    yield from aws.sent(subject, zone, _MOVES[subject.resource.type])
