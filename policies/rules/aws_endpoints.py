"""VPC endpoints: private paths to services that every customer shares, so what they let through matters."""

from collections.abc import Iterator

from facts import aws_owned, regions
from facts.zones import Zone
from policies import aws_network, iam, references
from policies.aws_network import ENDPOINT
from policies.buckets import BUCKET
from policies.iam import Statement
from policies.model import Node
from policies.rule import Hit, Subject, rule
from policies.walkers import places

_POLICY = "aws:ec2/vpcEndpointPolicy:VpcEndpointPolicy"
_SERVICE = "aws:ec2/vpcEndpointService:VpcEndpointService"

#: Which account, organization or part of one a resource, or whoever asks, belongs to.
#: docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
_OF_RESOURCE = ("aws:ResourceAccount", "aws:ResourceOrgID", "aws:ResourceOrgPaths", "s3:ResourceAccount")
_OF_PRINCIPAL = ("aws:PrincipalAccount", "aws:PrincipalOrgID", "aws:PrincipalOrgPaths")
_SAME_AS_PRINCIPAL = ("${aws:principalaccount}", "${aws:principalorgid}")

#: Services whose resources can't be opened to another account by a policy of their own, so that one's own
#: people and machines reach nobody else's through them.
#: docs.aws.amazon.com/IAM/latest/UserGuide/reference_aws-services-that-work-with-iam.html
_OWN_ONLY = (
    *("autoscaling", "ec2", "ec2messages", "eks", "eks-auth"),
    *("elasticloadbalancing", "guardduty", "ssmmessages", "sts"),
)


@rule(
    "aws-endpoints.policies",
    title="A private path to a service may lead to one's own only",
    routes=["A16"],
    controls=["HDS EXI 05", "HIPAA 164.312(e)(1)", "GDPR 32", "SNC 12.14", "SNC 13.2"],
    fix="Give the endpoint a policy that holds aws:ResourceAccount to accounts of the zone (or "
    "aws:ResourceOrgID to an organization named among them), or that names resources of the plan.",
    pack="egress",
    severity="critical",
    types=[ENDPOINT, _POLICY],
)
def policies(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A service such as S3 is one for all customers: through an endpoint without a policy, or with one that
    lets everybody do everything, data goes to anybody's bucket, by a path that looks private. A policy must
    hold what is reached to the zone's accounts, to resources of the plan, or to what AWS itself owns; or hold
    who asks to the zone's accounts, where a service has nothing of anybody else's to reach."""
    node = subject["policy"]
    if node.absent or node.value == "":
        if not _is_judged_elsewhere(subject, zone):
            yield subject.refuse(
                node, seen="no policy", why="everybody may do everything with anybody's resources through it"
            )
        return
    found = list(iam.statements(node))
    if any(_keeps_others_out(statement, zone) for statement in found):
        return
    for statement in found:
        if statement.allows and not _is_held(subject, statement, zone):
            yield subject.refuse(
                statement.node,
                seen="Allow",
                why="it lets requests through to resources that need not be the zone's",
            )


@rule(
    "aws-endpoints.places",
    title="A private path may lead to a service of the zone only",
    routes=["A17"],
    controls=["HDS EXI 28", "HIPAA 164.312(e)(1)", "GDPR 44-46", "SNC 19.2"],
    fix="Use the service of the endpoint's own region, or an endpoint service of the plan.",
    pack="residency",
    types=[ENDPOINT],
)
def services(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """An endpoint may lead to a service in another region, or to one that another account offers: the path is
    private, what is at its end is not the zone's."""
    yield from aws_network.judge_region(subject, subject["serviceRegion"], zone, what="the service is")
    for key in ("resourceConfigurationArn", "serviceNetworkArn"):
        yield from references.judge(subject, subject[key], zone, what="requests")
    name = subject["serviceName"]
    text = name.text()
    if text is None:
        return
    offered = Node(text.rpartition(".")[2], name.path, name.touched)
    if aws_network.target(subject, offered, _SERVICE):
        return
    if "vpce-svc-" in text:
        if not zone.declares("A17", subject.plan.at):
            yield subject.undecided(
                name, seen="an endpoint service of another plan", why="whose it is can't be told"
            )
        return
    named = [part for part in text.split(".") if regions.named(part)]
    for code in named:
        outside = places.judge_region(code, places.providers_of("aws"), zone)
        if outside:
            yield subject.refuse(name, seen=code, why=f"requests go to a region that {outside}")
    if not named:
        yield subject.refuse(name, seen="no region", why="such a service answers in regions outside the zone")


def _is_judged_elsewhere(subject: Subject, zone: Zone) -> bool:
    """Whether an endpoint that bears no policy has one of its own resource, or leads to no shared service."""
    assert subject.resource is not None
    if subject["vpcEndpointType"].text() in ("Resource", "ServiceNetwork"):
        return True  # by where it leads
    if "vpce-svc-" in (subject["serviceName"].text() or "") or zone.declares("A16", subject.plan.at):
        return True
    return any(
        aws_network.target(look, look["vpcEndpointId"], ENDPOINT) == subject.resource
        for look in aws_network.looks(subject.plan, _POLICY)
    )


def _keeps_others_out(statement: Statement, zone: Zone) -> bool:
    """Whether a statement denies everybody everything but what is the zone's."""
    everybody = any(value == "*" for _, value in statement.principals)
    return (
        not statement.allows
        and not statement.inverted
        and everybody
        and "*" in statement.actions
        and "*" in statement.resources
        and statement.spares(_OF_RESOURCE, lambda value: _is_ours(value, zone))
    )


def _is_held(subject: Subject, statement: Statement, zone: Zone) -> bool:
    """Whether what a statement allows stays with the zone."""
    ours = _asked_by_us(statement, zone)

    def within(value: str) -> bool:
        return _is_ours(value, zone) or (ours and value.lower() in _SAME_AS_PRINCIPAL)

    if statement.is_true("aws:PrincipalIsAWSService"):
        return True
    if any(statement.held(key, within) for key in _OF_RESOURCE):
        return True
    if ours and "Action" not in statement.inverted and _of_own_services(statement):
        return True
    return (
        bool(statement.resources)
        and "Resource" not in statement.inverted
        and all(_is_own_resource(subject, statement, text, zone) for text in statement.resources)
    )


def _of_own_services(statement: Statement) -> bool:
    return all(action.partition(":")[0] in _OWN_ONLY for action in statement.actions)


def _asked_by_us(statement: Statement, zone: Zone) -> bool:
    """Whether a statement is for people and machines of the zone's accounts only."""
    if any(statement.held(key, lambda value: _is_ours(value, zone)) for key in _OF_PRINCIPAL):
        return True
    named = statement.principals if "Principal" not in statement.inverted else ()
    return bool(named) and all(_is_ours(value, zone) for _, value in named)


def _is_ours(value: str, zone: Zone) -> bool:
    """Whether an account, an organization, a path in one, or whoever an ARN names, is the zone's."""
    parts = references.arn(value)
    name = parts.account if parts else value.partition("/")[0]
    return any(zone.allows_account(provider, name) for provider in ("aws", "aws-eusc"))


def _is_own_resource(subject: Subject, statement: Statement, text: str, zone: Zone) -> bool:
    """Whether a resource is the zone's: by its account, as a bucket of the plan, or as one of AWS's own."""
    parts = references.arn(text)
    if parts is None:
        return False
    region = _region(subject)
    if parts.account:
        added = parts.service == "ecr" and aws_owned.is_registry(parts.account, parts.region)
        return added or _is_ours(text, zone)
    bucket = parts.resource.partition("/")[0]
    where = Node(bucket, statement.node.path, {})
    return aws_owned.is_bucket(bucket, region) or bool(aws_network.target(subject, where, BUCKET))


def _region(subject: Subject) -> str:
    """The region of an endpoint: its provider's, else the one that the name of its service says, where the
    provider isn't in the plan (the program sees one resource at a time)."""
    assert subject.resource is not None
    named = (part for part in (subject["serviceName"].text() or "").split(".") if regions.named(part))
    return references.place(subject.resource, subject.plan).region or next(named, "")
