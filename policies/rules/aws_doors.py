"""Doors at AWS that need more than one look: APIs, functions, and who may enter a cluster."""

from collections.abc import Iterator

from facts.zones import Zone
from policies import aws, buckets, grants, references
from policies.documents import Unparsable, of_yaml
from policies.kubernetes import namespace
from policies.model import Node
from policies.rule import Hit, Subject, rule

_CONTROLS = ("HDS EXI 29", "HIPAA 164.312(a)(1)", "GDPR 32", "SNC 13.2")


@rule(
    "aws-doors.rest-api",
    title="A REST API is private",
    routes=["A45", "A46"],
    controls=_CONTROLS,
    fix="Set endpointConfiguration.types to PRIVATE, and name the endpoints of the VPC that lead to it.",
    pack="egress",
    severity="critical",
    types=["aws:apigateway/domainName:DomainName", "aws:apigateway/restApi:RestApi"],
)
def rest_api(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """API Gateway takes requests in at edge locations all over the world unless it is told otherwise (EDGE,
    the default), or on the internet in its region (REGIONAL). Only PRIVATE is reached through the VPC
    alone."""
    where = subject["endpointConfiguration"]["types"]
    listed = where.each() if isinstance(where.value, list) else (where,)
    kinds = ["EDGE"] if where.absent else [one.text() for one in listed]
    for kind in filter(None, kinds):
        if kind == "EDGE":
            yield subject.refuse(
                where, seen="EDGE", why="requests are taken in at edge locations", route="A45"
            )
        if kind != "PRIVATE":
            yield subject.refuse(where, seen=kind[:16], why="it is reached from the internet", route="A46")


@rule(
    "aws-doors.policy",
    title="APIs and services are open to the zone's accounts and endpoints only",
    routes=["A46"],
    controls=_CONTROLS,
    fix="Let in accounts of the zone, or everybody who comes by endpoints of it (aws:SourceVpce).",
    pack="egress",
    severity="critical",
    types=[
        "aws:apigateway/restApi:RestApi",
        "aws:apigateway/restApiPolicy:RestApiPolicy",
        "aws:lambda/resourcePolicy:ResourcePolicy",
        "aws:vpclattice/authPolicy:AuthPolicy",
    ],
)
def policy(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """The policy of an API, a function or a service says who may call it; a star lets everybody in."""
    yield from grants.outsiders(subject, subject["policy"], zone)


@rule(
    "aws-doors.function",
    title="A function is called by the zone's accounts only",
    routes=["A46"],
    controls=_CONTROLS,
    fix="Name an account of the zone, or a service together with sourceAccount.",
    pack="egress",
    severity="critical",
    types=["aws:lambda/permission:Permission"],
)
def function(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A permission lets one principal call a function. A service calls for whichever account asks it, unless
    the permission names the account."""
    if subject["functionUrlAuthType"].text() == "NONE":
        yield subject.refuse(
            "functionUrlAuthType", seen="NONE", why="whoever knows the function's URL may call it"
        )
    who = subject["principal"]
    if not (who.text() or "").endswith((".amazonaws.com", ".amazonaws.eu")):
        yield from grants.principal(subject, who, zone)
        return
    source = subject["sourceArn"] if subject["sourceAccount"].absent else subject["sourceAccount"]
    if source.absent:
        yield subject.refuse(
            who, seen="a service without sourceAccount", why="it calls for whichever account asks it"
        )
    yield from references.judge_account(subject, source, zone, what="it may have the function called")


@rule(
    "aws-doors.session",
    title="Sessions on machines are opened by a way that the zone names, and are recorded",
    routes=["A57"],
    controls=(*_CONTROLS, "HIPAA 164.312(b)"),
    fix="Name session-manager under the zone's access, and record sessions into a bucket or log group.",
    pack="egress",
    types=["aws:ssm/document:Document"],
)
def session(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A document of the type Session sets up Session Manager, which opens a shell on any managed machine from
    any browser. It records what is typed only where it is told where to."""
    if subject["documentType"].text() != "Session":
        return
    if "session-manager" not in zone.access:
        yield subject.refuse(
            "documentType", seen="Session", why=f"zone {zone.name} does not name session-manager as a way in"
        )
    inputs = aws.document(subject["content"])["inputs"]
    bucket = inputs["s3BucketName"]
    if bucket.text():
        yield from buckets.judge(subject, bucket, zone, what="records of sessions")
    elif not inputs["cloudWatchLogGroupName"].text():
        yield subject.refuse(inputs, seen="no record", why="nobody can tell afterwards what was done")


@rule(
    "aws-doors.aws-auth",
    title="The map of a cluster's users names the zone's accounts only",
    routes=["A57"],
    controls=_CONTROLS,
    fix="Map roles of the zone's accounts, or use access entries instead of the ConfigMap.",
    pack="egress",
    severity="critical",
    kinds=["core/ConfigMap"],
)
def aws_auth(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """In EKS the ConfigMap kube-system/aws-auth maps roles and users of any account to rights within the
    cluster."""
    if subject["metadata"]["name"].text() != "aws-auth" or namespace(subject) != "kube-system":
        return
    data = subject["data"]
    for key, named in (("mapRoles", "rolearn"), ("mapUsers", "userarn"), ("mapAccounts", None)):
        for entry in _listed(data[key]).each():
            account = entry if named is None else entry[named]
            yield from references.judge_account(subject, account, zone, what="it enters the cluster")


def _listed(node: Node) -> Node:
    """The list that a text holds as YAML; the text itself, which reads as malformed, where it holds none."""
    try:
        [found] = of_yaml(node.text() or "")
    except (Unparsable, ValueError):
        return node
    return Node(found, node.path, node.touched)
