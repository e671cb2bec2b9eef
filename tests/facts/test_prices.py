"""Prices: each with a source, and none where none was found."""

import pytest
import yaml

from facts import aws, prices

DATA = yaml.safe_load(prices._FILE.read_text(encoding="utf-8"))
CLOUD = "aws"


def test_every_price_has_a_source_with_a_day() -> None:
    parts = [
        *DATA["machines"][CLOUD].values(),
        *DATA["services"][CLOUD].values(),
        *DATA["like"][CLOUD].values(),
    ]
    assert {part["source"] for part in parts} == set(DATA["sources"])
    assert all(source["what"] and source["read"] for source in DATA["sources"].values())


@pytest.mark.parametrize("region", [*DATA["machines"][CLOUD], *DATA["like"][CLOUD]])
def test_the_regions_are_those_of_the_cloud(region: str) -> None:
    assert aws.region(region)


def test_a_month_of_a_machine() -> None:
    cost = prices.machine(CLOUD, "eu-west-3", "g6.12xlarge")
    assert cost == prices.Cost(5.8412 * 730, 5.8412 * 730)


def test_a_region_that_is_dearer_than_another() -> None:
    there, here = (
        prices.machine(CLOUD, region, "m7i.xlarge") for region in ("eusc-de-east-1", "eu-central-1")
    )
    assert there is not None
    assert here is not None
    assert there.least == pytest.approx(1.10 * here.least)
    assert there.most == pytest.approx(1.15 * here.most)


@pytest.mark.parametrize(
    ("region", "type"),
    [("eu-west-3", "p5.48xlarge"), ("eu-west-1", "m7i.xlarge"), ("eu-west-3", "m9z.large")],
)
def test_what_was_not_found_has_no_price(region: str, type: str) -> None:
    assert prices.machine(CLOUD, region, type) is None


def test_a_key_is_paid_by_the_month_and_a_cluster_by_the_hour() -> None:
    assert prices.service(CLOUD, "eu-west-3", "key") == prices.Cost(1, 1)
    assert prices.service(CLOUD, "eu-west-3", "cluster") == prices.Cost(73, 73)
    assert prices.service(CLOUD, "eu-west-3", "gateway") is None
