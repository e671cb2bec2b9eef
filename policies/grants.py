"""Whom a resource policy lets in: everybody in it must be of the zone's accounts, or be held to them.

A condition narrows only where all of its values are the zone's own. Networks (an endpoint, a VPC) narrow what
is open to everybody, but not what is given to somebody outside by name.
"""

import re
from collections.abc import Iterator

from facts import regions
from facts.zones import Zone
from policies import iam, references
from policies.iam import Statement
from policies.model import Node
from policies.rule import Hit, Subject
from policies.walkers import places

# docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html; those of KMS and EFS in the
# Service Authorization Reference.
_ACCOUNTS = ("aws:PrincipalAccount", "aws:SourceAccount", "aws:VpceAccount", "kms:CallerAccount")
_ORGANIZATIONS = (
    *("aws:PrincipalOrgID", "aws:SourceOrgID", "aws:VpceOrgID"),
    *("aws:PrincipalOrgPaths", "aws:SourceOrgPaths", "aws:VpceOrgPaths"),
)
_ARNS = ("aws:PrincipalArn", "aws:SourceArn")
_NETWORKS = ("aws:SourceVpce", "aws:SourceVpc")
_NETWORK = re.compile(r"vpce?-[0-9a-f]{8,17}")
_MOUNTED = "elasticfilesystem:AccessedViaMountTarget"

_SERVICE = re.compile(r"([a-z0-9-]+(?:\.[a-z0-9-]+)*)\.amazonaws\.(?:com|eu)")
#: Services that deliver logs and findings, and read nothing: docs.aws.amazon.com, S3 (server access logs),
#: CloudWatch Logs (vended logs, encryption), CloudTrail, Config, Elastic Load Balancing, GuardDuty.
_DELIVERIES = frozenset(
    {
        "cloudtrail",
        "config",
        "delivery.logs",
        "guardduty",
        "logdelivery.elasticloadbalancing",
        "logging.s3",
        "logs",
    }
)


def outsiders(subject: Subject, policy: Node, zone: Zone, *, route: str | None = None) -> Iterator[Hit]:
    """Findings for everybody outside the zone whom the policy at a place lets in."""
    for statement in iam.statements(policy):
        where = statement.node["Principal"]
        if not statement.allows or held_to_zone(statement, zone):
            continue
        if "Principal" in statement.inverted:
            yield subject.refuse(
                statement.node["NotPrincipal"],
                seen="NotPrincipal",
                why="it lets in everybody but those that it lists",
                route=route,
            )
            continue
        if where.absent:
            yield subject.undecided(
                where, seen="no principal", why="whom it lets in is not told", route=route
            )
        for kind, value in statement.principals:
            yield from _principal(subject, statement, where, kind, value, zone, route)


def principal(subject: Subject, where: Node, zone: Zone, *, route: str | None = None) -> Iterator[Hit]:
    """Findings where a principal, by ARN or account, is none of the zone's accounts."""
    return references.judge_account(subject, where, zone, what="whoever it is is let in", route=route)


def _principal(
    subject: Subject, statement: Statement, where: Node, kind: str, value: str, zone: Zone, route: str | None
) -> Iterator[Hit]:
    if value == "*":
        if not _held_to_network(statement):
            yield subject.refuse(
                where,
                seen="*",
                why="it lets in everybody, and no condition holds them to the zone's accounts or endpoints",
                route=route,
            )
    elif kind == "Service":
        outside = _service(value, zone)
        if outside:
            yield subject.refuse(where, seen=value[:80], why=outside, route=route)
    else:
        yield from principal(subject, Node(value, where.path, where.touched), zone, route=route)


def _service(name: str, zone: Zone) -> str | None:
    """Why a service may not be let in without a condition on whom it acts for."""
    found = _SERVICE.fullmatch(name)
    if found is None:
        return "it is no service of AWS"
    labels = found.group(1).split(".")
    for code in labels:
        outside = places.judge_region(code, places.providers_of("aws"), zone) if regions.named(code) else None
        if outside:
            return f"it is a service of a region that {outside}"
    if ".".join(label for label in labels if not regions.named(label)) in _DELIVERIES:
        return None
    return "the service acts for any account, and no condition holds it to the zone's (aws:SourceAccount)"


def held_to_zone(statement: Statement, zone: Zone) -> bool:
    """Whether a condition leaves nobody but the accounts and organizations of the zone."""

    def owned(value: str) -> bool:
        name = value.partition("/")[0]  # a path within an organization begins with its id
        return any(zone.allows_account(provider, name) for provider in places.providers_of("aws"))

    def owned_arn(text: str) -> bool:
        found = references.arn(text)
        return found is not None and zone.allows_account(found.provider, found.account)

    return any(statement.held(key, owned) for key in (*_ACCOUNTS, *_ORGANIZATIONS)) or any(
        statement.held(key, owned_arn) for key in _ARNS
    )


def _held_to_network(statement: Statement) -> bool:
    """Whether a condition leaves nobody but those who come by certain endpoints or mount targets."""
    return statement.is_true(_MOUNTED) or any(
        statement.held(key, lambda value: bool(_NETWORK.fullmatch(value))) for key in _NETWORKS
    )
