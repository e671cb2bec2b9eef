"""Reading IAM policy documents: in either form, however spelled, and fail-closed where they are malformed."""

import json
from typing import Any

import pytest

from policies.iam import Statement, statements
from policies.model import MASKED, UNKNOWN, Node, Touch


def _read(policy: Any) -> tuple[list[Statement], dict[str, Touch]]:
    touched: dict[str, Touch] = {}
    return list(statements(Node(policy, "policy", touched))), touched


def _one(**elements: Any) -> Statement:
    [statement], touched = _read({"Statement": {"Effect": "Allow", "Action": "s3:GetObject", **elements}})
    assert not touched
    return statement


ENDPOINT = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": ["arn:aws:iam::111122223333:root", "*"], "Service": "logs.amazonaws.com"},
            "Action": ["S3:GetObject", "s3:Put*"],
            "Resource": "arn:aws:s3:::Records/*",
            "Condition": {"StringEquals": {"aws:ResourceAccount": "111122223333"}},
        },
        {"Effect": "Deny", "Principal": "*", "NotAction": "s3:*", "NotResource": ["*"]},
    ],
}


@pytest.mark.parametrize("policy", [ENDPOINT, json.dumps(ENDPOINT)], ids=["mapping", "text"])
def test_both_forms_read_alike(policy: Any) -> None:
    found, touched = _read(policy)
    assert not touched
    allow, deny = found
    assert allow.allows
    assert not deny.allows
    assert allow.principals == (
        ("AWS", "arn:aws:iam::111122223333:root"),
        ("AWS", "*"),
        ("Service", "logs.amazonaws.com"),
    )
    assert allow.actions == ("s3:getobject", "s3:put*")
    assert allow.resources == ("arn:aws:s3:::Records/*",)
    assert allow.conditions == {("stringequals", "aws:resourceaccount"): ("111122223333",)}
    assert allow.inverted == frozenset()
    assert deny.principals == (("*", "*"),)
    assert deny.inverted == {"Action", "Resource"}
    assert deny.actions == ("s3:*",)
    assert deny.resources == ("*",)
    assert [one.node.path for one in found] == ["policy.Statement[0]", "policy.Statement[1]"]


def test_single_statement_and_no_principal() -> None:
    statement = _one()
    assert statement.node.path == "policy.Statement"
    assert statement.principals == ()
    assert statement.resources == ()


def test_not_principal_is_told() -> None:
    assert _one(NotPrincipal={"AWS": "111122223333"}).inverted == {"Principal"}


def test_nothing_is_no_statement() -> None:
    assert _read(None) == ([], {})


@pytest.mark.parametrize(
    ("policy", "path"),
    [
        ("", "policy"),
        ("not json", "policy"),
        ("[]", "policy"),
        ('{"Statement": []} {"Statement": []}', "policy"),
        ('{"Statement": [], "Statement": []}', "policy"),
        (7, "policy"),
        ({}, "policy.Statement"),
        ({"Statement": "Allow"}, "policy.Statement"),
        ({"Statement": ["Allow"]}, "policy.Statement[0]"),
        ({"Statement": [{"Action": "*"}]}, "policy.Statement[0].Effect"),
        ({"Statement": [{"Effect": "allow", "Action": "*"}]}, "policy.Statement[0].Effect"),
        ({"Statement": [{"Effect": "Allow"}]}, "policy.Statement[0].Action"),
        ({"Statement": [{"Effect": "Allow", "Action": {}}]}, "policy.Statement[0].Action"),
        (
            {"Statement": [{"Effect": "Allow", "Action": "*", "Principal": "everyone"}]},
            "policy.Statement[0].Principal",
        ),
        (
            {"Statement": [{"Effect": "Allow", "Action": "*", "Condition": {"Bool": "x"}}]},
            "policy.Statement[0].Condition.Bool",
        ),
    ],
)
def test_malformed_is_remembered(policy: Any, path: str) -> None:
    _, touched = _read(policy)
    assert {(path, "malformed")} == {(one.path, one.reason) for one in touched.values()}


@pytest.mark.parametrize(("marker", "reason"), [(UNKNOWN, "unknown"), (MASKED, "masked")])
def test_what_cannot_be_read_is_remembered(marker: Any, reason: str) -> None:
    assert _read(marker)[1]["policy"].reason == reason
    found, touched = _read({"Statement": [{"Effect": "Allow", "Action": ["*", marker]}]})
    assert found[0].actions == ("*",)
    assert touched["policy.Statement[0].Action[1]"].reason == reason
    found, touched = _read({"Statement": [{"Effect": marker, "Action": "*"}]})
    assert not found
    assert touched["policy.Statement[0].Effect"].reason == reason


OURS = {"111122223333", "222233334444"}.__contains__


@pytest.mark.parametrize(
    ("condition", "held"),
    [
        ({"StringEquals": {"aws:ResourceAccount": "111122223333"}}, True),
        ({"stringequals": {"AWS:resourceaccount": ["111122223333", "222233334444"]}}, True),
        ({"ForAnyValue:StringLike": {"aws:ResourceAccount": ["111122223333"]}}, True),
        (
            {
                "StringLike": {"aws:ResourceAccount": "*"},
                "StringEquals": {"aws:ResourceAccount": 111122223333},
            },
            True,
        ),
        ({"StringEquals": {"aws:ResourceAccount": ["111122223333", "999900001111"]}}, False),
        ({"StringEquals": {"aws:ResourceAccount": []}}, False),
        ({"StringEqualsIfExists": {"aws:ResourceAccount": "111122223333"}}, False),
        ({"ForAllValues:StringEquals": {"aws:ResourceAccount": "111122223333"}}, False),
        ({"StringNotEquals": {"aws:ResourceAccount": "111122223333"}}, False),
        ({"StringEquals": {"aws:PrincipalAccount": "111122223333"}}, False),
    ],
)
def test_held(condition: Any, held: bool) -> None:
    assert _one(Condition=condition).held("aws:ResourceAccount", OURS) is held


@pytest.mark.parametrize(
    ("condition", "spares"),
    [
        ({"StringNotEquals": {"aws:ResourceAccount": "111122223333"}}, True),
        ({"StringNotLikeIfExists": {"aws:resourceAccount": "111122223333"}}, True),
        (
            {
                "StringNotEqualsIfExists": {"aws:ResourceAccount": "111122223333"},
                "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
            },
            True,
        ),
        (
            {
                "StringNotEquals": {"aws:ResourceAccount": "111122223333"},
                "StringNotLike": {"s3:ResourceAccount": "9*"},
            },
            False,
        ),
        (
            {
                "StringNotEquals": {"aws:ResourceAccount": "111122223333"},
                "StringEquals": {"aws:PrincipalTag/team": "research"},
            },
            False,
        ),
        ({"BoolIfExists": {"aws:PrincipalIsAWSService": "false"}}, False),
        ({"StringNotEquals": {"aws:ResourceAccount": ["111122223333", "999900001111"]}}, False),
        ({"StringNotEquals": {"aws:ResourceAccount": []}}, False),
        ({"ForAnyValue:StringNotEquals": {"aws:ResourceAccount": "111122223333"}}, False),
        ({"StringEquals": {"aws:ResourceAccount": "111122223333"}}, False),
        ({}, False),
    ],
)
def test_spares(condition: Any, spares: bool) -> None:
    statement = _one(Effect="Deny", Condition=condition)
    assert statement.spares(("aws:ResourceAccount", "s3:ResourceAccount"), OURS) is spares


@pytest.mark.parametrize(
    ("condition", "true"),
    [
        ({"Bool": {"aws:PrincipalIsAWSService": "true"}}, True),
        ({"Bool": {"aws:PrincipalIsAWSService": True}}, True),
        ({"Bool": {"aws:PrincipalIsAWSService": ["true", "false"]}}, False),
        ({"Bool": {"aws:PrincipalIsAWSService": "false"}}, False),
        ({"BoolIfExists": {"aws:PrincipalIsAWSService": "true"}}, False),
    ],
)
def test_is_true(condition: Any, true: bool) -> None:
    assert _one(Condition=condition).is_true("aws:PrincipalIsAWSService") is true
