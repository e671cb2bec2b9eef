"""Network ACLs of AWS: which addresses a subnet's packets may go to."""

from collections.abc import Iterator

from facts.zones import Zone
from policies import aws_network
from policies.rule import Hit, Subject, rule

_RULE = "aws:ec2/networkAclRule:NetworkAclRule"


@rule(
    "aws-acls.networks",
    title="A subnet's packets may go to the zone's networks only",
    routes=["A07"],
    controls=["HDS EXI 05", "HIPAA 164.312(e)(1)", "GDPR 32", "SNC 12.14", "SNC 13.2"],
    fix="Allow only the zone's networks; what no entry allows is denied.",
    pack="egress",
    types=["aws:ec2/networkAcl:NetworkAcl", "aws:ec2/defaultNetworkAcl:DefaultNetworkAcl", _RULE],
)
def networks(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """An entry that allows what goes out to addresses which are not all the zone's opens the whole subnet to
    them, whatever the security groups of single machines say. What an entry denies is no way out."""
    assert subject.resource is not None
    if subject.resource.type == _RULE:
        entries = [(subject["ruleAction"], subject.inputs)] if subject["egress"].flag() else []
    else:
        entries = [(entry["action"], entry) for entry in subject["egress"].each()]
    for action, entry in entries:
        if (action.text() or "").lower() != "deny":
            for key in ("cidrBlock", "ipv6CidrBlock"):
                yield from aws_network.judge_network(subject, entry[key], zone, what="packets")
