"""What AWS owns: by exact name, and in its own region only."""

import pytest

from facts import aws_owned


@pytest.mark.parametrize(
    ("name", "region", "owned"),
    [
        ("prod-eu-west-3-starport-layer-bucket", "eu-west-3", True),
        ("al2023-repos-eu-west-3-de612dc2", "eu-west-3", True),
        ("al2023-repos-eu-west-3-de612dc2", "eu-west-1", False),
        ("al2023-repos-eu-west-3-*", "eu-west-3", False),
        ("prod-eu-west-3-starport-layer-bucket-copy", "eu-west-3", False),
    ],
)
def test_bucket(name: str, region: str, owned: bool) -> None:
    assert aws_owned.is_bucket(name, region) is owned


def test_registry() -> None:
    assert aws_owned.is_registry("602401143452", "eu-west-3")
    assert not aws_owned.is_registry("602401143452", "eu-south-2")
    assert not aws_owned.is_registry("111122223333", "eu-west-3")


def test_prefix_list_means_something_in_its_region_only() -> None:
    assert aws_owned.service_of_list("pl-23ad484a", "eu-west-3") == "s3"
    assert aws_owned.service_of_list("pl-6ea54007", "eu-central-1") == "s3"
    assert aws_owned.service_of_list("pl-23ad484a", "eu-west-1") is None
    assert aws_owned.service_of_list("pl-23ad484a", "us-west-1") is None
