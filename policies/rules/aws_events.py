"""Events, queues and topics at AWS: where messages go on, and who may read or divert them."""

from collections.abc import Iterator, Mapping

from facts.zones import Zone
from policies import aws, grants, references
from policies.aws import Way
from policies.rule import Hit, Subject, rule

_CONTROLS = ("HDS EXI 28", "HIPAA 164.312(e)(1)", "GDPR 32", "GDPR 44-46", "SNC 13.2")

_EVENTS: Mapping[str, tuple[Way, ...]] = {
    "aws:cloudwatch/eventApiDestination:EventApiDestination": (Way("invocationEndpoint", "host", "events"),),
    "aws:cloudwatch/eventBus:EventBus": (Way("deadLetterConfig.arn", "place", "events that failed"),),
    "aws:cloudwatch/eventConnection:EventConnection": (
        Way("authParameters.oauth.authorizationEndpoint", "host", "credentials"),
    ),
    "aws:cloudwatch/eventEndpoint:EventEndpoint": (
        Way("eventBuses[].eventBusArn", "place", "events, each of them to every bus of the endpoint,"),
        Way("routingConfig.failoverConfig.secondary.route", "region", "events in case of a failure"),
    ),
    "aws:cloudwatch/eventTarget:EventTarget": (
        Way("arn", "place", "events"),
        Way("deadLetterConfig.arn", "place", "events that failed"),
    ),
    "aws:scheduler/schedule:Schedule": (
        Way("target.arn", "place", "messages"),
        Way("target.deadLetterConfig.arn", "place", "messages that failed"),
    ),
}


@rule(
    "aws-events.target",
    title="Events go to places of the zone",
    routes=["A39"],
    controls=_CONTROLS,
    fix="Name a target that lies in a region and account of the zone, or a URL of a host of the zone.",
    pack="residency",
    types=tuple(_EVENTS),
)
def target(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A target of EventBridge may be a bus in another region or account, or any URL; a global endpoint writes
    every event twice, in two regions."""
    assert subject.resource is not None
    yield from aws.sent(subject, zone, _EVENTS[subject.resource.type])


_LOGGED = "logConfiguration"
_MESSAGES: Mapping[str, tuple[Way, ...]] = {
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": (
        Way("destinationConfig.onSuccess.destination", "place", "answers"),
        Way("destinationConfig.onFailure.destination", "place", "calls that failed"),
    ),
    "aws:pipes/pipe:Pipe": (
        Way("target", "place", "messages"),
        Way("enrichment", "place", "messages"),
        Way(f"{_LOGGED}.s3LogDestination.bucketName", "bucket", "messages, as logs,"),
        Way(f"{_LOGGED}.firehoseLogDestination.deliveryStreamArn", "place", "messages, as logs,"),
        Way(f"{_LOGGED}.cloudwatchLogsLogDestination.logGroupArn", "place", "messages, as logs,"),
    ),
}


@rule(
    "aws-events.pipe",
    title="Messages are passed on to places of the zone",
    routes=["A40"],
    controls=_CONTROLS,
    fix="Name a target that lies in a region and account of the zone.",
    pack="egress",
    types=tuple(_MESSAGES),
)
def pipe(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A pipe, and the destinations of a function, carry whole messages on, and may log them on the way."""
    assert subject.resource is not None
    yield from aws.sent(subject, zone, _MESSAGES[subject.resource.type])


@rule(
    "aws-events.subscription",
    title="Topics are subscribed to by places of the zone",
    routes=["A40"],
    controls=_CONTROLS,
    fix="Subscribe a queue or function of the zone, or a URL (https) of a host of the zone.",
    pack="egress",
    types=["aws:sns/topicSubscription:TopicSubscription"],
)
def subscription(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Each message of a topic goes to each subscriber: a URL anywhere, or a queue of another region. Mail,
    texts and notices to phones travel through networks that no zone can name, and http in clear."""
    protocol = subject["protocol"].text()
    if protocol in ("sqs", "lambda", "firehose"):
        yield from references.judge(subject, subject["endpoint"], zone, what="messages")
    elif protocol == "https":
        yield from aws.sent(subject, zone, (Way("endpoint", "host", "messages"),))
    elif protocol is not None:
        yield subject.refuse(
            "protocol", seen=protocol[:16], why="messages leave the zone on their way, or can be read on it"
        )


@rule(
    "aws-events.policy",
    title="Queues, topics, streams and buses are open to the zone's accounts only",
    routes=["A40", "A39"],
    controls=(*_CONTROLS, "HIPAA 164.312(a)(1)"),
    fix="Let in accounts of the zone, and services only with a condition on aws:SourceAccount.",
    pack="egress",
    severity="critical",
    types=[
        "aws:cloudwatch/eventBusPolicy:EventBusPolicy",
        "aws:kinesis/resourcePolicy:ResourcePolicy",
        "aws:sns/topic:Topic",
        "aws:sns/topicPolicy:TopicPolicy",
        "aws:sqs/queue:Queue",
        "aws:sqs/queuePolicy:QueuePolicy",
    ],
)
def policy(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Whom such a policy lets in may take messages out of the queue, subscribe to the topic, or make rules on
    the bus that divert its events."""
    assert subject.resource is not None
    route = "A39" if subject.resource.type.startswith("aws:cloudwatch/") else "A40"
    yield from grants.outsiders(subject, subject["policy"], zone, route=route)


@rule(
    "aws-events.permission",
    title="A bus is open to the zone's accounts only",
    routes=["A39"],
    controls=(*_CONTROLS, "HIPAA 164.312(a)(1)"),
    fix="Give the permission to an account of the zone.",
    pack="egress",
    types=["aws:cloudwatch/eventPermission:EventPermission"],
)
def permission(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """The older form of a bus's policy: one account, or `*` for everybody."""
    yield from grants.principal(subject, subject["principal"], zone)
