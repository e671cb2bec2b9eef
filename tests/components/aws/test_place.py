"""Where a ground stands: an account, a region, zones of it, and no way to mean another."""

from datetime import date
from pathlib import Path

import pytest

from components.aws.place import Place, PlaceError
from components.aws.use import Use
from facts.site import ROOT
from tests.support import aws


def noted(found: dict[str, object], region: str) -> None:
    def look(place: Place) -> None:
        found["key"] = place.arn("kms", "key/1")
        found["role"] = place.arn("iam", "role/node")
        found["bucket"] = place.arn("s3", "models/*")
        found["managed"] = place.arn("iam", "policy/ReadOnlyAccess", owner="aws")
        found["access"] = place.arn("eks", "cluster-access-policy/AmazonEKSViewPolicy", owner="aws")
        found["nowhere"] = place.arn("ec2", "x", regional=False)
        found["principal"] = place.principal("eks")
        found["ecr"] = place.facts.endpoint_service("ecr.api")
        found["kms"] = place.facts.endpoint_service("kms")
        found["zones"] = place.zones

    aws.planned(look, region=region)


def test_names_at_aws() -> None:
    found: dict[str, object] = {}
    noted(found, "eu-west-3")
    assert found == {
        "key": "arn:aws:kms:eu-west-3:111122223333:key/1",
        "role": "arn:aws:iam::111122223333:role/node",
        "bucket": "arn:aws:s3:::models/*",
        "managed": "arn:aws:iam::aws:policy/ReadOnlyAccess",
        "access": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
        "nowhere": "arn:aws:ec2::111122223333:x",
        "principal": "eks.amazonaws.com",
        "ecr": "com.amazonaws.eu-west-3.ecr.api",
        "kms": "com.amazonaws.eu-west-3.kms",
        "zones": ("eu-west-3a", "eu-west-3b", "eu-west-3c"),
    }


def test_names_in_the_european_sovereign_cloud() -> None:
    found: dict[str, object] = {}
    noted(found, "eusc-de-east-1")
    assert found["key"] == "arn:aws-eusc:kms:eusc-de-east-1:111122223333:key/1"
    assert found["managed"] == "arn:aws-eusc:iam::aws:policy/ReadOnlyAccess"
    # IAM there takes the names of services as everywhere
    assert found["principal"] == "eks.amazonaws.com"
    assert found["ecr"] == "eu.amazonaws.eusc-de-east-1.ecr.api"
    assert found["kms"] == "com.amazonaws.eusc-de-east-1.kms"


def test_its_provider_knows_one_account_and_one_region() -> None:
    (provider,) = aws.planned(lambda place: None)
    assert provider.type == "pulumi:providers:aws"
    assert provider.inputs["region"] == "eu-west-3"
    assert provider.inputs["stsRegion"] == "eu-west-3"
    assert provider.inputs["allowedAccountIds"] == '["111122223333"]'
    assert provider.inputs["skipRegionValidation"] == "false"


@pytest.mark.parametrize(
    ("region", "account", "zones", "said"),
    [
        ("eu-west-9", aws.ACCOUNT, (), "Nothing is known of the AWS region 'eu-west-9'"),
        ("eu-west-3", "1111-2222-3333", (), "not the twelve digits"),
        ("eu-west-3", aws.ACCOUNT, ("eu-west-3a", "eu-central-1b"), "eu-central-1b is no availability zone"),
        ("us-west-2", aws.ACCOUNT, ("us-west-2a", "us-west-2-lax-1a"), "us-west-2-lax-1a is no availability"),
        ("eu-west-3", aws.ACCOUNT, ("eu-west-3a", "eu-west-3a"), "2 availability zones"),
    ],
)
def test_what_is_no_place(region: str, account: str, zones: tuple[str, ...], said: str) -> None:
    with pytest.raises(PlaceError, match=said):
        Place.at("x", region=region, account=account, zones=zones)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"owner": " "}, "owner is empty"), ({"until": date(2025, 1, 1)}, "it ends on 2025-01-01")],
)
def test_somebody_answers_for_what_is_used(change: dict[str, object], said: str) -> None:
    given: dict[str, object] = {
        "id": "vpc-08b1c708b9d16342a",
        "what": "no route leads out of it",
        "owner": "network@hospital.example",
        "since": date(2026, 1, 1),
        "until": date(2027, 1, 1),
    }
    used = Use(**given)  # type: ignore[arg-type]
    assert used.holds(date(2026, 6, 1))
    assert not used.holds(date(2027, 6, 1))
    with pytest.raises(ValueError, match=said):
        Use(**{**given, **change})  # type: ignore[arg-type]


@pytest.mark.parametrize("folder", ["components", "stacks"])
def test_no_partition_is_written_down(folder: str) -> None:
    # settings and zones are a site's data: they name its roles, keys and registry as they are
    files = list(Path(ROOT, folder).rglob("*.py"))
    found = [
        f"{file}: {text}"
        for file in files
        for text in ("arn:aws", "amazonaws.")
        if text in file.read_text(encoding="utf-8")
    ]
    assert found == []
