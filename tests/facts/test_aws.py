"""AWS by partition and region: names that are told, and regions that nobody has told of."""

import pytest

from facts import aws, regions


def test_a_region_that_nobody_knows() -> None:
    with pytest.raises(aws.UnknownRegion, match=r"'eu-west-2'.*eu-west-3.*"):
        aws.region("eu-west-2")


@pytest.mark.parametrize("code", ["eu-central-1", "eu-north-1", "eu-west-3", "eusc-de-east-1", "us-west-2"])
def test_each_region_has_a_country_and_zones_of_its_own(code: str) -> None:
    region = aws.region(code)
    assert regions.country(region.partition.provider, code) is not None
    assert len(region.zones) >= 2
    assert all(zone.startswith(code) and len(zone) == len(code) + 1 for zone in region.zones)
    assert len(region.zone_ids) in (0, len(region.zones))


def test_which_zone_is_behind_a_name_is_told_where_it_is_the_same_for_all() -> None:
    assert aws.region("eu-west-3").zones_of(["euw3-az2", "euw3-az3"]) == ("eu-west-3b", "eu-west-3c")
    assert aws.region("us-west-2").zones_of(["usw2-az1"]) == ()
    assert aws.region("eusc-de-east-1").zones_of(["eusc-az1"]) == ()


@pytest.mark.parametrize(
    ("code", "service", "names"),
    [
        ("eu-west-3", "kms", ("kms.eu-west-3.amazonaws.com",)),
        ("eu-west-3", "ecr.api", ("api.ecr.eu-west-3.amazonaws.com",)),
        ("eusc-de-east-1", "sts", ("sts.eusc-de-east-1.amazonaws.eu",)),
        (
            "eusc-de-east-1",
            "eks-auth",
            (
                "eks-auth.eusc-de-east-1.api.amazonwebservices.eu",
                "eks-auth.eusc-de-east-1.amazonaws.eu",
            ),
        ),
    ],
)
def test_names_of_services(code: str, service: str, names: tuple[str, ...]) -> None:
    assert aws.region(code).names(service) == names


def test_what_a_partition_has() -> None:
    assert aws.region("eu-west-3").partition.has("macie2")
    assert not aws.region("eusc-de-east-1").partition.has("macie2")


def test_services_without_a_region_are_spared_where_there_are_such() -> None:
    assert {"iam", "organizations", "sts"} <= set(aws.region("eu-west-3").partition.spared)
    assert "cloudfront" not in aws.region("eu-west-3").partition.spared
    assert aws.region("eusc-de-east-1").partition.spared == ()
