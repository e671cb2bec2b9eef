"""Amazon Bedrock: in which region a model is called, and where prompts and answers are written down."""

import re
from collections.abc import Iterator, Mapping

from facts.zones import Zone
from policies import aws, buckets, iam, references
from policies.aws import Way
from policies.iam import Statement
from policies.model import Node
from policies.rule import Hit, Subject, rule
from policies.table import reach
from policies.walkers import places

_CONTROLS = ("HDS EXI 28", "HDS EXI 26", "GDPR 44-46", "SNC 19.2")

#: Geographies of inference profiles and the regions to which they send requests, all models taken together:
#: docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html. What is not here (us, apac,
#: global ...) has no region that a zone in Europe could name.
_GEOGRAPHIES: Mapping[str, tuple[str, ...]] = {
    "eu": ("eu-central-1", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-3"),
}
#: How the id of a profile begins. That of a model begins with its maker, as in `anthropic.claude`, and makers
#: have longer names than countries.
_PROFILE = re.compile(r"(us-gov|global|apac|[a-z]{2})\.")

_MODELS: Mapping[str, str] = {
    "aws:bedrock/agentAgent:AgentAgent": "foundationModel",
    "aws:bedrock/guardrail:Guardrail": "crossRegionConfig.guardrailProfileIdentifier",
    "aws:bedrock/inferenceProfile:InferenceProfile": "modelSource.copyFrom",
    "aws:bedrockmodel/invocationJob:InvocationJob": "modelId",
}


@rule(
    "aws-bedrock.model",
    title="A model is called in regions of the zone only",
    routes=["A43"],
    controls=_CONTROLS,
    fix="Name the model itself (foundation-model/...) in a region of the zone, not a profile across regions.",
    pack="residency",
    severity="critical",
    types=tuple(_MODELS),
)
def model(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """An inference profile or a guardrail profile sends each request to whichever region of its geography has
    room: `eu.` to six countries, `global.` anywhere. All of its regions must be the zone's."""
    assert subject.resource is not None
    for node in reach(subject.inputs, _MODELS[subject.resource.type]):
        text = node.text()
        if text is None:
            continue
        kind, _, name = text.rpartition("/")
        if kind:
            yield from references.judge(subject, node, zone, what="requests")
        geography = _geography(kind, name)
        if geography is not None and not _inside(geography, zone):
            yield subject.refuse(
                node, seen=f"a profile of {geography}", why=f"requests go to regions outside zone {zone.name}"
            )
        elif kind.endswith(":application-inference-profile") and not references.resolve(subject, node):
            yield subject.undecided(
                node, seen="a profile that is not in the plan", why="to which regions it leads can't be told"
            )


def _geography(kind: str, name: str) -> str | None:
    """The geography of a profile, by what kind of thing its ARN says it is and by its id; None for a
    model."""
    if kind.endswith((":inference-profile", ":guardrail-profile")):
        return name.partition(".")[0]
    found = _PROFILE.match(name)
    return found.group(1) if found else None


def _inside(geography: str, zone: Zone) -> bool:
    regions = _GEOGRAPHIES.get(geography, ())
    return bool(regions) and all(zone.allows_region("aws", region) for region in regions)


#: Where policies of identities stand.
_POLICIES: Mapping[str, str] = {
    "aws:iam/groupPolicy:GroupPolicy": "policy",
    "aws:iam/policy:Policy": "policy",
    "aws:iam/role:Role": "inlinePolicies[].policy",
    "aws:iam/rolePolicy:RolePolicy": "policy",
    "aws:iam/userPolicy:UserPolicy": "policy",
}
_INVOKE = ("bedrock:invokemodel", "bedrock:invokemodelwithresponsestream")


@rule(
    "aws-bedrock.permission",
    title="No policy allows a model of other regions",
    routes=["A43"],
    controls=_CONTROLS,
    fix="Allow bedrock:InvokeModel on foundation models of the zone's regions, by ARN.",
    pack="residency",
    severity="critical",
    types=tuple(_POLICIES),
)
def permission(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Which profile is called stands in the request, so a policy that allows any of them lets any program
    send prompts abroad. Who may do everything at all (`Action: *`) is the business of the guard of
    regions."""
    assert subject.resource is not None
    for node in reach(subject.inputs, _POLICIES[subject.resource.type]):
        for statement in iam.statements(node):
            if statement.allows and _invokes(statement):
                yield from _resources(subject, statement, zone)


def _invokes(statement: Statement) -> bool:
    if "Action" in statement.inverted:
        return any("bedrock" in resource for resource in statement.resources)
    return any(aws.matches(action, call) for action in statement.actions if action != "*" for call in _INVOKE)


def _resources(subject: Subject, statement: Statement, zone: Zone) -> Iterator[Hit]:
    if "Resource" in statement.inverted:
        yield subject.refuse(
            statement.node["NotResource"], seen="NotResource", why="all other profiles may be called"
        )
        return
    for resource in statement.resources:
        seen = _leads_out(resource, zone)
        if seen:
            yield subject.refuse(
                statement.node["Resource"], seen=seen, why="it allows requests to go to other regions"
            )


def _leads_out(resource: str, zone: Zone) -> str | None:
    """What of a resource of a policy lies outside the zone; None where nothing does."""
    parts = resource.split(":", 5)
    if len(parts) < 6:
        return "whatever there is"
    service, region, (kind, _, name) = parts[2], parts[3], parts[5].partition("/")
    if not aws.matches(service, "bedrock"):
        return None
    if aws.matches(kind, "foundation-model") and places.judge_region(
        region, places.providers_of("aws"), zone
    ):
        return f"models of {region}"
    geography = name.partition(".")[0]
    if aws.matches(kind, "inference-profile") and not _inside(geography, zone):
        return f"profiles of {geography or 'any kind'}"
    return None


@rule(
    "aws-bedrock.managed-policy",
    title="No managed policy that allows every model anywhere",
    routes=["A43"],
    controls=_CONTROLS,
    fix="Write a policy that names the foundation models of the zone's regions.",
    pack="residency",
    types=[
        "aws:iam/groupPolicyAttachment:GroupPolicyAttachment",
        "aws:iam/policyAttachment:PolicyAttachment",
        "aws:iam/role:Role",
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "aws:iam/userPolicyAttachment:UserPolicyAttachment",
    ],
)
def managed_policy(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """AWS's own policies for Bedrock (AmazonBedrockFullAccess, AmazonBedrockLimitedAccess ...) allow every
    profile of every geography."""
    for node in (subject["policyArn"], *subject["managedPolicyArns"].each()):
        name = (node.text() or "").rpartition("/")[2]
        if name.startswith("AmazonBedrock"):
            yield subject.refuse(node, seen=name, why="it allows profiles that lead to other regions")


_LOGGING = "loggingConfig"
_RECORDS: Mapping[str, tuple[Way, ...]] = {
    "aws:bedrock/customModel:CustomModel": (),
    "aws:bedrockmodel/invocationJob:InvocationJob": (),
    "aws:bedrockmodel/invocationLoggingConfiguration:InvocationLoggingConfiguration": (
        Way(f"{_LOGGING}.s3Config.bucketName", "bucket", "prompts and answers"),
        Way(f"{_LOGGING}.cloudwatchConfig.largeDataDeliveryS3Config.bucketName", "bucket", "long prompts"),
    ),
}
#: Where results are named as s3://BUCKET/PREFIX.
_RESULTS = ("outputDataConfig.s3Uri", "outputDataConfig.s3OutputDataConfig.s3Uri")


@rule(
    "aws-bedrock.records",
    title="Prompts and answers are written down in the zone only",
    routes=["A44"],
    controls=("HIPAA 164.312(b)", "HDS EXI 28", "GDPR 5(1)(c)", "GDPR 44-46", "SNC 19.2"),
    fix="Name a bucket that the plan makes in a region of the zone, or log no prompts.",
    pack="residency",
    severity="critical",
    types=tuple(_RECORDS),
)
def records(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """The logging of a model keeps whole prompts and answers, and a batch writes all its answers to a
    bucket."""
    assert subject.resource is not None
    yield from aws.sent(subject, zone, _RECORDS[subject.resource.type])
    for path in _RESULTS:
        for node in reach(subject.inputs, path):
            text = node.text()
            if text is not None:
                bucket = Node(text.removeprefix("s3://").partition("/")[0], node.path, node.touched)
                yield from buckets.judge(subject, bucket, zone, what="answers")
