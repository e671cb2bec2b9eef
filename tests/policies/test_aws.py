"""Whether a plan is at AWS at all, and what the patterns of policies mean."""

from typing import Any

import pytest

from policies.aws import matches, used
from policies.model import UNKNOWN, Plan, Resource

PROVIDER = "urn:pulumi:s::p::pulumi:providers:aws::store"


def _plan(endpoints: Any, token: str = "aws:s3/bucket:Bucket") -> Plan:
    inputs = {"region": "eu-west-3", **({} if endpoints is None else {"endpoints": endpoints})}
    return Plan.of(
        [
            Resource(PROVIDER, "pulumi:providers:aws", "store", inputs),
            Resource("urn:pulumi:s::p::x::b", token, "b", {}, provider=f"{PROVIDER}::id"),
        ]
    )


@pytest.mark.parametrize(
    "endpoints", [[{"s3": "https://s3.hospital.example"}], '[{"s3": "https://s3.hospital.example:9000"}]']
)
def test_a_store_of_ones_own_is_none_of_aws(endpoints: Any) -> None:
    assert not used(_plan(endpoints))


@pytest.mark.parametrize(
    "endpoints",
    [
        None,
        UNKNOWN,
        "[",
        [],
        ["s3"],
        [{"sqs": "https://sqs.hospital.example"}],
        [{"s3": UNKNOWN}],
        [{"s3": "https://s3.eu-west-3.amazonaws.com"}],
        [{"s3": "https://s3.hospital.example"}, {"s3": "https://s3.eu-west-3.api.aws"}],
    ],
)
def test_everything_else_is(endpoints: Any) -> None:
    assert used(_plan(endpoints))


def test_providers_alone_make_nothing() -> None:
    plan = _plan(None)
    assert not used(Plan.of(plan.resources[:1]))
    assert not used(Plan.of([Resource("urn:x", "kubernetes:core/v1:Pod", "x", {})]))


@pytest.mark.parametrize(
    ("pattern", "text", "means"),
    [
        ("s3:get*", "s3:getobject", True),
        ("s3:get*", "s3:putobject", False),
        ("eu-west-?", "eu-west-3", True),
        ("eu-west-?", "eu-west-10", False),
        ("a[b]", "ab", False),
        ("a.b", "axb", False),
        ("*", "a\nb", True),
    ],
)
def test_patterns(pattern: str, text: str, means: bool) -> None:
    assert matches(pattern, text) is means
