"""What is written down at AWS: logs, the trail of calls, inventories; and where copies of it go."""

from collections.abc import Iterator, Mapping

from facts.zones import Zone
from policies import aws, references
from policies.aws import Way
from policies.rule import Hit, Subject, rule

_CONTROLS = ("HIPAA 164.312(b)", "HDS EXI 28", "GDPR 44-46", "SNC 19.2")

_CENTRAL = "rule.destination"
_COPIES = f"{_CENTRAL}.destinationLogsConfiguration.backupConfiguration.region"
_METRICS = f"{_CENTRAL}.destinationMetricsConfiguration.backupConfiguration.region"
_LOGS: Mapping[str, tuple[Way, ...]] = {
    "aws:apigateway/stage:Stage": (Way("accessLogSettings.destinationArn", "place", "records of calls"),),
    "aws:cloudwatch/logDelivery:LogDelivery": (Way("deliveryDestinationArn", "place", "logs of a service"),),
    "aws:cloudwatch/logDeliveryDestination:LogDeliveryDestination": (
        Way("deliveryDestinationConfiguration.destinationResourceArn", "place", "logs of a service"),
    ),
    "aws:cloudwatch/logDestination:LogDestination": (Way("targetArn", "place", "log lines"),),
    "aws:cloudwatch/logSubscriptionFilter:LogSubscriptionFilter": (
        Way("destinationArn", "place", "log lines"),
    ),
    "aws:cloudwatch/metricStream:MetricStream": (Way("firehoseArn", "place", "metrics"),),
    "aws:ec2/flowLog:FlowLog": (Way("logDestination", "place", "records of who talked to whom"),),
    "aws:guardduty/publishingDestination:PublishingDestination": (
        Way("destinationArn", "place", "findings of attacks"),
    ),
    "aws:lb/loadBalancer:LoadBalancer": (
        Way("accessLogs.bucket", "bucket", "records of requests"),
        Way("connectionLogs.bucket", "bucket", "records of connections"),
    ),
    "aws:networkfirewall/loggingConfiguration:LoggingConfiguration": (
        Way("loggingConfiguration.logDestinationConfigs[].logDestination.bucketName", "bucket", "flows"),
    ),
    "aws:oam/link:Link": (Way("sinkIdentifier", "place", "logs, metrics and traces"),),
    "aws:observabilityadmin/centralizationRuleForOrganization:CentralizationRuleForOrganization": (
        Way(f"{_CENTRAL}.region", "region", "the logs of all accounts"),
        Way(f"{_CENTRAL}.account", "account", "the logs of all accounts"),
        Way(_COPIES, "region", "second copies of the logs of all accounts"),
        Way(_METRICS, "region", "second copies of the metrics of all accounts"),
    ),
    "aws:route53/resolverQueryLogConfig:ResolverQueryLogConfig": (
        Way("destinationArn", "place", "the names that are asked for"),
    ),
    "aws:vpclattice/accessLogSubscription:AccessLogSubscription": (
        Way("destinationArn", "place", "records of requests"),
    ),
    "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration": (
        Way("logDestinationConfigs[]", "place", "records of requests"),
    ),
}


@rule(
    "aws-logs.destination",
    title="Logs, metrics and records of flows go to places of the zone",
    routes=["A36"],
    controls=(*_CONTROLS, "GDPR 5(1)(c)"),
    fix="Name a log group, a stream or a bucket that lies in a region and account of the zone.",
    pack="residency",
    severity="critical",
    types=tuple(_LOGS),
)
def destination(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A subscription, a delivery or a link hands every line on as it is written, prompts and names included,
    to the stream, bucket or account that it names. Region and account of it must be the zone's; a bucket must
    be in the plan, because its ARN tells neither."""
    assert subject.resource is not None
    yield from aws.sent(subject, zone, _LOGS[subject.resource.type])


@rule(
    "aws-logs.of-account",
    title="A subscription of a whole account goes to a place of the zone",
    routes=["A36"],
    controls=(*_CONTROLS, "GDPR 5(1)(c)"),
    fix="Name a stream in a region and account of the zone in the policy document.",
    pack="residency",
    severity="critical",
    types=["aws:cloudwatch/logAccountPolicy:LogAccountPolicy"],
)
def of_account(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """An account policy of the type SUBSCRIPTION_FILTER_POLICY hands on every log group of the account, those
    of tomorrow too; its destination stands in a document within a string."""
    yield from references.judge(
        subject, aws.document(subject["policyDocument"])["DestinationArn"], zone, what="all log lines"
    )


_TRAIL = "aws:cloudtrail/trail:Trail"
_COPIES_OF_TRAIL = (
    Way("s3BucketName", "bucket", "records of every call"),
    Way("cloudWatchLogsGroupArn", "place", "records of every call"),
    Way("snsTopicName", "place", "notices of each record"),
)


@rule(
    "aws-logs.trail",
    title="The trail of calls is kept in the zone",
    routes=["A37"],
    controls=(*_CONTROLS, "HDS EXI 15"),
    fix="Send the trail to a bucket that the plan makes in a region of the zone, and leave it switched on.",
    pack="residency",
    severity="critical",
    types=[_TRAIL],
)
def trail(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A trail records who called what on which resource, by name. Its bucket may lie anywhere, and so may the
    log group and the topic that get a copy; one that is switched off records nothing."""
    yield from aws.sent(subject, zone, _COPIES_OF_TRAIL)
    if subject["enableLogging"].flag() is False:
        yield subject.refuse("enableLogging", seen="enableLogging false", why="nothing is recorded")


@rule(
    "aws-logs.no-trail",
    title="Calls to AWS are recorded by a trail",
    routes=["A37"],
    controls=("HIPAA 164.312(b)", "HIPAA 164.308(a)(1)(ii)(D)", "HDS EXI 15", "SNC 12.14"),
    fix="Add an aws.cloudtrail.Trail, or declare in the zone who keeps the organization's trail.",
    pack="protection",
    scope="plan",
    needs_whole=True,
)
def no_trail(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Without a trail nobody can tell afterwards who copied what, or where to. The trail of an organization
    is made elsewhere, so the zone may declare it."""
    plan = subject.plan
    if aws.used(plan) and not plan.by_type.get(_TRAIL) and not zone.declares("A37", plan.at):
        yield subject.refuse("", seen="no aws:cloudtrail/trail:Trail", why="calls to AWS leave no record")


_INVENTORIES: Mapping[str, tuple[Way, ...]] = {
    "aws:cfg/aggregateAuthorization:AggregateAuthorization": (
        Way("accountId", "account", "inventories of this account"),
        Way("authorizedAwsRegion", "region", "inventories of this account"),
    ),
    "aws:cfg/configurationAggregator:ConfigurationAggregator": (
        Way("accountAggregationSource.accountIds[]", "account", "requests for inventories"),
    ),
    "aws:cfg/deliveryChannel:DeliveryChannel": (
        Way("s3BucketName", "bucket", "snapshots of every resource"),
        Way("snsTopicArn", "place", "changes of every resource"),
    ),
    "aws:ssm/association:Association": (
        Way("outputLocation.s3BucketName", "bucket", "outputs of commands"),
        Way("outputLocation.s3Region", "region", "outputs of commands"),
    ),
    "aws:ssm/resourceDataSync:ResourceDataSync": (
        Way("s3Destination.bucketName", "bucket", "inventories of machines"),
        Way("s3Destination.region", "region", "inventories of machines"),
    ),
}


@rule(
    "aws-logs.inventory",
    title="Inventories and snapshots of the estate stay in the zone",
    routes=["A38"],
    controls=("HDS EXI 05", "HDS EXI 28", "GDPR 44-46", "SNC 19.2"),
    fix="Deliver to a bucket or topic of the zone, and authorize only the zone's accounts and regions.",
    pack="residency",
    types=tuple(_INVENTORIES),
)
def inventory(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """AWS Config and Systems Manager write down every resource, its settings, and what runs on each machine.
    Where they deliver it, and whom they authorize to gather it, must be of the zone. An aggregator that
    gathers from other regions brings in, so it is no leak."""
    assert subject.resource is not None
    yield from aws.sent(subject, zone, _INVENTORIES[subject.resource.type])
