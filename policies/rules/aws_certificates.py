"""Certificates at AWS: whether the names in them are published."""

from collections.abc import Iterator

from facts.zones import Zone
from policies.rule import Hit, Subject, rule


@rule(
    "aws-certificates.transparency",
    title="The names of internal services are not published",
    routes=["A60"],
    controls=("HDS EXI 05", "HIPAA 164.312(e)(1)", "GDPR 25", "GDPR 32"),
    fix="Issue it from a CA of your own (certificateAuthorityArn), or disable transparency logging.",
    pack="egress",
    severity="medium",
    types=["aws:acm/certificate:Certificate"],
)
def transparency(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A public certificate is written into logs that anybody can search, for ever, unless that is disabled;
    with it the name of each internal service, often of a clinic or a trial."""
    if subject["domainName"].absent or not subject["certificateAuthorityArn"].absent:
        return  # imported, or of a private CA: neither is published by AWS
    where = subject["options"]["certificateTransparencyLoggingPreference"]
    if where.text() != "DISABLED":  # what isn't known yet is remembered, and undecided
        yield subject.refuse(where, seen="transparency logging", why="the names in it are public for ever")
