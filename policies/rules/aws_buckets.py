"""Buckets: whether requests come by TLS, and whether objects belong to the bucket's owner."""

from collections.abc import Iterator
from typing import Final

from facts.zones import Zone
from policies import bucket_settings, iam, kubernetes
from policies.iam import Statement
from policies.model import Node
from policies.rule import Hit, Subject, rule

_CONTROLS = ("HIPAA 164.312(e)(1)", "HIPAA 164.312(e)(2)(ii)", "HDS EXI 05", "GDPR 32", "SNC 13.2")
_POLICY: Final = "aws:s3/bucketPolicy:BucketPolicy"
_PLAIN = (("bool", "aws:securetransport"), ("false",))


@rule(
    "aws-buckets.transport",
    title="A bucket refuses requests without TLS",
    routes=["A24"],
    controls=_CONTROLS,
    fix="Deny s3:* to everybody where aws:SecureTransport is false, in the bucket's policy.",
    pack="egress",
    scope="plan",
    needs_whole=True,
)
def transport(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """S3 answers plain HTTP too, so that objects cross networks in clear wherever a program asks for it,
    unless the bucket's policy denies it."""
    for bucket in bucket_settings.own(subject.plan):
        look = Subject(subject.plan, bucket)
        looks = [look, *bucket_settings.of(subject.plan, bucket, _POLICY)]
        if not any(_denies_plain(one["policy"]) for one in looks):
            why = "objects may be asked for and sent without TLS"
            # what could not be read may be the denial
            told = list(kubernetes.untold(*looks))
            yield from told or [kubernetes.hit(look, "", seen="no denial", why=why)]


def _denies_plain(policy: Node) -> bool:
    return any(
        not one.allows
        and not one.inverted
        and any(value == "*" for _, value in one.principals)
        and not {"*", "s3:*"}.isdisjoint(one.actions)
        and _of_objects(one)
        and list(one.conditions.items()) == [_PLAIN]
        for one in iam.statements(policy)
    )


def _of_objects(statement: Statement) -> bool:
    """Whether it is about every object of a bucket."""
    return any(resource == "*" or resource.endswith("/*") for resource in statement.resources)
