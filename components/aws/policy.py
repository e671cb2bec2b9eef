"""Policy documents of IAM, keys, buckets and endpoints, as the JSON that AWS takes."""

from collections.abc import Collection, Mapping
from typing import Any

from pulumi import Output

from components.aws.place import Place


def but(roles: Collection[str]) -> dict[str, Any]:
    """What spares some roles, by ARN, from a statement that denies; nothing where there are none."""
    return {"Condition": {"ArnNotEquals": {"aws:PrincipalArn": list(roles)}}} if roles else {}


def document(*statements: Mapping[str, Any]) -> Output[str]:
    """The statements as one document; outputs may stand anywhere in them."""
    return Output.json_dumps(plain(*statements))


def plain(*statements: Mapping[str, Any]) -> dict[str, Any]:
    """The statements as one document, not yet as JSON."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def trusted(place: Place, service: str, source: str | None = None) -> Output[str]:
    """The trust of a role that a service takes on for this account only; `source`: only for what this ARN
    means."""
    held: dict[str, Any] = {"StringEquals": {"aws:SourceAccount": place.account}}
    if source is not None:
        held["ArnLike"] = {"aws:SourceArn": source}
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Service": place.principal(service)},
            "Action": "sts:AssumeRole",
            "Condition": held,
        }
    )


def taken_on(place: Place, service: str) -> Output[str]:
    """The trust of a role for machines: EC2 says no account when it takes one on for them, so a condition on
    that would leave them without rights. Only this account's instance profiles can name the role
    (docs.aws.amazon.com/AWSEC2/latest/UserGuide/iam-roles-for-amazon-ec2.html)."""
    return document(
        {"Effect": "Allow", "Principal": {"Service": place.principal(service)}, "Action": "sts:AssumeRole"}
    )
