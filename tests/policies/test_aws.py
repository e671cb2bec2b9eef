"""Whether a plan is at AWS at all, what the patterns of policies mean, and which resource an id means."""

from typing import Any

import pytest

from facts.sentinels import digest
from policies import closed_world, references
from policies.aws import matches, used
from policies.model import UNKNOWN, Plan, Resource
from policies.rule import Subject

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


def _meant(text: str, token: str) -> bool:
    """Whether a text that holds the mark of a resource is understood to mean it."""
    other = Resource("urn:pulumi:s::p::x::other", token, "other", {})
    look = Subject(
        Plan.of([other]), Resource("urn:x", "aws:x/x:X", "x", {"of": text.format(digest(other.urn))})
    )
    return references.resolve(look, look["of"]) == other


@pytest.mark.parametrize("token", sorted(one for one in closed_world.allowed() if one.startswith("aws:")))
def test_the_id_that_a_review_gives_a_resource_of_any_type_means_it(token: str) -> None:
    kind = token.partition("/")[2].partition(":")[0]
    assert _meant(f"{kind}-{{}}", token)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "core-network-{}",
        "arn:aws:kms:eu-west-3:111122223333:key/{}",
        "arn:aws:iam::111122223333:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleFor-{}",
    ],
)
def test_a_mark_is_found_where_an_id_ends(text: str) -> None:
    assert _meant(text, "aws:x/x:X")


@pytest.mark.parametrize(
    "text", ["https://{}.evil.example", "{}-of-others", "{}0", "vpc{}", "a-b-c-d-e-{}", "4-{}"]
)
def test_a_mark_within_something_else_means_nothing(text: str) -> None:
    assert not _meant(text, "aws:x/x:X")
