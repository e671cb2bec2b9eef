"""The firewall of names: what is answered, and that everything else is not."""

from fnmatch import fnmatchcase

import pytest

from tests.components.aws.support import laid, of_kind
from tests.support import aws

ASKED = {
    "eu-west-3": {
        "api.ecr.eu-west-3.amazonaws.com": True,
        "111122223333.dkr.ecr.eu-west-3.amazonaws.com": True,
        "prod-eu-west-3-starport-layer-bucket.s3.eu-west-3.amazonaws.com": True,
        "eks-auth.eu-west-3.api.aws": True,
        "0F1E2D3C.gr7.eu-west-3.eks.amazonaws.com": True,
        "ip-10-20-0-7.eu-west-3.compute.internal": True,
        "gateway.hospital.example": True,
        "ssmmessages.eu-west-3.amazonaws.com": True,
        "kms.eu-west-1.amazonaws.com": False,
        "evil.s3.us-east-1.amazonaws.com": False,
        "secret.data.evil.example": False,
        "hospital.example.evil.example": False,
        "pypi.org": False,
    },
    "eusc-de-east-1": {
        "sts.eusc-de-east-1.amazonaws.eu": True,
        "eks-auth.eusc-de-east-1.api.amazonwebservices.eu": True,
        "0F1E2D3C.gr7.eusc-de-east-1.eks.amazonaws.eu": True,
        "sts.eu-central-1.amazonaws.com": False,
    },
}


@pytest.mark.parametrize("region", list(ASKED))
def test_names(region: str) -> None:
    made = laid(region)
    lists = {
        name.rpartition("-")[2]: one for name, one in of_kind(made, "ResolverFirewallDomainList").items()
    }
    assert lists["block"].inputs["domains"] == ["*"]
    for name, answered in ASKED[region].items():
        found = any(fnmatchcase(name, pattern) for pattern in lists["allow"].inputs["domains"])
        assert found is answered, name


def test_the_last_rule_blocks_whatever_the_first_does_not_allow() -> None:
    made = laid()
    rules = sorted(of_kind(made, "ResolverFirewallRule").values(), key=lambda one: one.inputs["priority"])
    assert [one.inputs["action"] for one in rules] == ["ALLOW", "BLOCK"]
    (config,) = of_kind(made, "ResolverFirewallConfig").values()
    assert config.inputs["firewallFailOpen"] == "DISABLED"


def test_every_question_is_recorded() -> None:
    made = laid()
    (config,) = of_kind(made, "ResolverQueryLogConfig").values()
    group = of_kind(made, "LogGroup")["llm-paris-names"]
    assert config.dependencies["destinationArn"] == (group.urn,)
    assert group.inputs["kmsKeyId"].endswith(aws.KEY)
    (joined,) = of_kind(made, "ResolverQueryLogConfigAssociation").values()
    assert joined.dependencies["resourceId"] == (of_kind(made, "Vpc")["llm-paris"].urn,)
