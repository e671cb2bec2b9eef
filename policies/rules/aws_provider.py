"""The AWS provider: to which addresses it makes its calls, and in whose account they end.

Settings as the provider's schema names them (pulumi.com/registry/packages/aws/api-docs/provider, v7).
"""

from collections.abc import Iterator

from facts.zones import Zone
from policies import references
from policies.model import Node
from policies.provider_settings import setting
from policies.rule import Hit, Subject, rule
from policies.walkers import hosts, places

_AWS = "pulumi:providers:aws"


@rule(
    "aws-provider.endpoints",
    title="The AWS provider may only call the zone's own endpoints and proxies",
    routes=["P04"],
    controls=["HDS EXI 28", "HIPAA 164.312(e)(1)", "GDPR 44-46", "SNC 12.14", "SNC 19.2"],
    fix="Leave the setting out, or name a host or region of the zone.",
    pack="egress",
    severity="critical",
    types=[_AWS],
)
def endpoints(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Every call of the provider, with the data in it, goes to the endpoint or proxy that its settings name,
    past the region beside them. Settings that switch its own checks off make it trust whoever answers; a file
    of settings or of authorities says what no plan shows."""
    listed = [node for item in setting(subject, "endpoints").each() for _, node in item.members()]
    single = [subject[key] for key in ("httpProxy", "httpsProxy", "ec2MetadataServiceEndpoint")]
    for node in (*listed, *single):
        text = node.text()
        host = hosts.host_of(text) if text else None
        if text and (host is None or not hosts.declared(host, zone)):
            yield subject.refuse(
                node, seen=host or "no readable host", why=f"calls go there, outside zone {zone.name}"
            )
    region = subject["stsRegion"].text()
    outside = places.judge_region(region, places.providers_of("aws"), zone) if region else None
    if outside:
        yield subject.refuse(
            "stsRegion", seen=str(region), why=f"roles are asked for there, and it {outside}"
        )
    if subject["s3UsEast1RegionalEndpoint"].text() == "legacy":
        yield subject.refuse(
            "s3UsEast1RegionalEndpoint", seen="legacy", why="calls to S3 go to the endpoint in us-east-1"
        )
    for key in ("skipRegionValidation", "insecure"):
        if setting(subject, key).flag():
            yield subject.refuse(key, seen=key, why="the provider no longer checks whom it talks to")
    if not zone.declares("P04", subject.plan.at):
        for node in (subject["customCaBundle"], setting(subject, "sharedConfigFiles")):
            if not node.absent and node.value != []:
                yield subject.undecided(
                    node,
                    seen=node.path,
                    why="what the file says is not in the plan, and it can lead elsewhere",
                )


@rule(
    "aws-provider.account",
    title="The AWS provider must be held to accounts of the zone",
    routes=["P05"],
    controls=["HDS EXI 30", "GDPR 28", "GDPR 44-46", "SNC 19.6"],
    fix="Set allowedAccountIds to accounts that the zone names under `accounts: aws:`.",
    pack="residency",
    severity="critical",
    types=[_AWS],
)
def account(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Credentials of whoever runs it, a profile or a role decide in whose account everything lands: that of
    another legal entity, under another law. allowedAccountIds makes the provider refuse any other."""
    allowed = setting(subject, "allowedAccountIds")
    if allowed.absent or allowed.value == []:
        yield subject.refuse(
            allowed,
            seen="no allowedAccountIds",
            why="the credentials of whoever runs it decide whose account it is",
        )
    for node in allowed.each():
        yield from references.judge_account(subject, node, zone, what="resources land in this account")
    for node in _roles(subject):
        yield from references.judge_account(subject, node, zone, what="the provider acts as a role of it")
    if setting(subject, "skipRequestingAccountId").flag():
        yield subject.refuse(
            "skipRequestingAccountId",
            seen="skipRequestingAccountId",
            why="the provider no longer asks whose account it is in",
        )


def _roles(subject: Subject) -> Iterator[Node]:
    for role in setting(subject, "assumeRoles").each():
        yield role["roleArn"]
    yield setting(subject, "assumeRoleWithWebIdentity")["roleArn"]
