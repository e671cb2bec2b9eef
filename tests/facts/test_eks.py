"""Versions of EKS, each with all add-ons that a cluster gets."""

from pathlib import Path

import pytest
import yaml

from facts import eks
from facts.catalogue import CatalogueError

TOLD = yaml.safe_load(Path(eks.__file__).with_name("eks.yaml").read_text(encoding="utf-8"))


def test_the_newest_unless_one_is_named() -> None:
    assert eks.release() == eks.release(TOLD["newest"])
    assert eks.release("1.35").kubernetes == "1.35"


def test_a_version_that_the_kit_does_not_build() -> None:
    with pytest.raises(CatalogueError, match=r"version of Kubernetes on EKS '1\.19'"):
        eks.release("1.19")


@pytest.mark.parametrize("version", list(TOLD["releases"]))
def test_each_has_the_same_add_ons_and_says_where_from_and_until_when(version: str) -> None:
    told = TOLD["releases"][version]
    assert set(told["addons"]) == set(eks.release().addons)
    assert told["until"] > TOLD["compiled"]
    assert set(told["sources"]) <= set(TOLD["sources"])
    # kube-proxy is of the minor version of its cluster
    assert told["addons"]["kube-proxy"].startswith(f"v{version}.")
