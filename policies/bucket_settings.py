"""What a plan says of its buckets in other resources: each setting of a bucket is one of its own."""

from collections.abc import Iterator

from policies import aws, buckets
from policies.buckets import BUCKET
from policies.model import Plan, Resource
from policies.rule import Subject


def own(plan: Plan) -> Iterator[Subject]:
    """The buckets of a plan that lie at AWS, not at a store of one's own that speaks S3."""
    for bucket in plan.by_type.get(BUCKET, ()):
        if not aws.elsewhere(bucket, plan):
            yield Subject(plan, bucket)


def of(plan: Plan, bucket: Resource, token: str) -> Iterator[Subject]:
    """The resources of a type that set something of a bucket."""
    for resource in plan.by_type.get(token, ()):
        look = Subject(plan, resource)
        if buckets.meant(look, look["bucket"]) == bucket:
            yield look
