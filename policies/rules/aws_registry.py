"""Registries of images: where ECR fetches what it doesn't hold."""

from collections.abc import Iterator

from facts.zones import Zone
from policies.rule import Hit, Subject, rule
from policies.walkers import hosts, images


@rule(
    "aws-registry.upstream",
    title="A cache may fetch images from registries of the zone only",
    routes=["A34"],
    controls=["HDS EXI 06", "HIPAA 164.312(c)(1)", "HIPAA 164.312(e)(1)", "SNC 13.2"],
    fix="Name a registry of the zone as the upstream, or copy the images into a repository of one's own.",
    pack="egress",
    types=["aws:ecr/pullThroughCacheRule:PullThroughCacheRule"],
)
def upstream(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A pull-through cache fetches what is asked for from another registry, past every network rule of the
    VPC: names of images go out, and code that nobody has approved comes in."""
    where = subject["upstreamRegistryUrl"]
    url, prefix = where.text(), subject["upstreamRepositoryPrefix"].text()
    if url is None:
        return
    host, _, path = url.strip().lower().rpartition("://")[2].rstrip("/").partition("/")
    if not images.allowed(images.Image(host, f"{path}/{prefix or ''}".strip("/")), zone):
        yield subject.refuse(
            where,
            seen=hosts.host_of(host) or "no readable host",
            why=f"it is none of the registries of zone {zone.name}",
        )
