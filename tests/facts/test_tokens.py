"""Tokens are told by their form, and what only begins like one isn't."""

import pytest
import yaml

from facts import tokens

LISTED = yaml.safe_load(tokens._FILE.read_text(encoding="utf-8"))["tokens"]


def sample(prefix: str) -> str:
    """The first text that a prefix stands for."""
    return prefix.replace("[opsur]", "p").replace("[sbr]", "s").replace("[abeprs]", "b").replace("\\", "")


@pytest.mark.parametrize("listed", LISTED, ids=lambda one: str(one["prefix"]))
def test_each_form_is_found_where_it_is_long_enough(listed: dict[str, str | int]) -> None:
    prefix, length = sample(str(listed["prefix"])), int(listed["length"])
    assert tokens.pattern().search(f"use {prefix}{'x' * length} for it")
    assert not tokens.pattern().search(f"use {prefix}{'x' * (length - 1)} for it")
    assert not tokens.pattern().search(f"use no{prefix}{'x' * length} for it")
