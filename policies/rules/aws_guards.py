"""The guard of regions: what keeps people with a console, and programs that no plan shows, inside the
zone."""

import re
from collections.abc import Iterator

from facts.zones import Zone
from policies import aws, iam, references
from policies.iam import Statement
from policies.rule import Hit, Subject, rule
from policies.walkers import places

_CONTROLS = ("HDS EXI 28", "GDPR 44-46", "GDPR 25", "SNC 19.2")
_POLICY = "aws:organizations/policy:Policy"
_ATTACHMENT = "aws:organizations/policyAttachment:PolicyAttachment"
_REGION = "aws:requestedregion"
#: Some calls that create or move data: what a guard leaves out may cover none of them. The services that it
#: must leave out have no regions (docs.aws.amazon.com/organizations, example policies, deny by region).
_DATA = (
    *("bedrock:invokemodel", "dynamodb:createtable", "ec2:runinstances", "eks:createcluster"),
    *("lambda:createfunction", "rds:createdbinstance", "s3:createbucket", "s3:putobject"),
)


@rule(
    "aws-guards.missing",
    title="A guard of regions holds whoever the plan doesn't show",
    routes=["A53"],
    controls=_CONTROLS,
    fix="Attach a policy that denies other regions (aws:RequestedRegion), or declare who keeps it.",
    pack="residency",
    scope="plan",
    needs_whole=True,
)
def missing(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A plan shows what programs make, not what somebody makes at the console. Only a policy of the
    organization holds them: one that denies every call whose region (aws:RequestedRegion) is not the zone's,
    and is attached. It is often made elsewhere, so the zone may declare it."""
    plan = subject.plan
    if not aws.used(plan) or zone.declares("A53", plan.at):
        return
    looks = [Subject(plan, one) for one in plan.by_type.get(_ATTACHMENT, ())]
    attached = [references.resolve(look, look["policyId"]) for look in looks]
    for policy in attached:
        if policy is not None and policy.type == _POLICY and _is_guard(Subject(plan, policy), zone):
            return
    yield subject.refuse(
        "", seen="no guard of regions", why="at the console anybody with rights may use any region"
    )


def _is_guard(look: Subject, zone: Zone) -> bool:
    """Whether a policy of an organization denies whatever isn't in the zone's regions."""
    kind = look["type"]
    return (kind.absent or kind.text() == "SERVICE_CONTROL_POLICY") and any(
        _holds(statement, zone) for statement in iam.statements(look["content"])
    )


def _holds(statement: Statement, zone: Zone) -> bool:
    covered = [any(aws.matches(action, call) for action in statement.actions) for call in _DATA]
    return (
        not statement.allows
        and "Resource" not in statement.inverted
        and "*" in statement.resources
        and (not any(covered) if "Action" in statement.inverted else "*" in statement.actions)
        and any(key == _REGION for _, key in statement.conditions)
        and statement.spares((_REGION, "aws:PrincipalArn"), lambda value: _spared(value, zone))
    )


def _spared(value: str, zone: Zone) -> bool:
    """Whether a guard may leave out a region, or a role by its whole name in any account."""
    role = re.fullmatch(r"arn:aws[a-z-]*:iam::(?:\d{12}|\*):role/([^*?]+)", value)
    return role is not None or not _outside(value, zone)


def _outside(code: str, zone: Zone) -> str | None:
    return places.judge_region(code, places.providers_of("aws"), zone)


@rule(
    "aws-guards.regions",
    title="A guard leaves no region outside the zone open",
    routes=["A53"],
    controls=_CONTROLS,
    fix="List the zone's regions only; leave global services out by NotAction.",
    pack="residency",
    severity="critical",
    types=[_POLICY],
)
def guarded(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A guard that lists a region outside the zone among those it spares keeps it open to everybody."""
    for statement in iam.statements(subject["content"]):
        for (operator, key), values in statement.conditions.items():
            # what a `Deny` leaves out, and what an `Allow` lets in
            if key == _REGION and ("not" in operator) != statement.allows:
                for value in values:
                    outside = _outside(value, zone)
                    if outside:
                        yield subject.refuse(
                            statement.node["Condition"], seen=value[:32], why=f"it stays open, and {outside}"
                        )
