"""What a plan says of its buckets in other resources: each setting of a bucket is one of its own."""

from collections.abc import Iterator

from policies import aws, buckets
from policies.buckets import BUCKET
from policies.model import Plan, Resource
from policies.rule import Subject


def own(plan: Plan) -> Iterator[Resource]:
    """The buckets of a plan that lie at AWS, not at a store of one's own that speaks S3."""
    return (one for one in plan.by_type.get(BUCKET, ()) if not aws.elsewhere(one, plan))


def of(plan: Plan, bucket: Resource | None, token: str) -> list[Subject]:
    """The resources of a type that set something of a bucket; none for a bucket that isn't in the plan."""
    looks = [Subject(plan, resource) for resource in plan.by_type.get(token, ())] if bucket else []
    return [look for look in looks if buckets.meant(look, look["bucket"]) == bucket]
