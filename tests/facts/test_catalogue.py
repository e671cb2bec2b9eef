"""A name that is in no catalogue is answered with one that is."""

import pytest

from facts import gpus
from facts.catalogue import CatalogueError


@pytest.mark.parametrize(
    ("asked", "meant"), [("H100", "H100-80"), ("h200", "H200"), ("L40", "L40S"), ("A10", "A10G")]
)
def test_the_nearest_name_is_told(asked: str, meant: str) -> None:
    with pytest.raises(CatalogueError, match=rf"Did you mean {meant}\?"):
        gpus.gpu(asked)


def test_a_name_that_is_like_none_is_answered_with_all() -> None:
    with pytest.raises(CatalogueError, match=r"catalogue\. It has L4, "):
        gpus.gpu("quantum")
