"""YAML text is composed only where it can't be nested deeper than a reader stands."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.documents import MAX_DEPTH, Unparsable, of_yaml


def depth(text: str) -> int:
    """How deep collections stand in a text, as far as it can be parsed."""
    at = most = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            at += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            most = max(most, at)
    except yaml.YAMLError:
        pass
    return most


@given(st.text("-:?[]{},!&*'\"|> \n\tab", max_size=60))
@settings(max_examples=400, deadline=None)
def test_every_collection_begins_with_an_indicator(text: str) -> None:
    """What lets a short text be composed without a look at its depth (policies/documents.py)."""
    assert depth(text) <= sum(map(text.count, "-:?[{"))


@pytest.mark.parametrize(
    "text",
    [
        "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
        "- " * (MAX_DEPTH + 1) + "a",
        "{a: " * (MAX_DEPTH + 1) + "b" + "}" * (MAX_DEPTH + 1),
        "\n".join(" " * level + "a:" for level in range(MAX_DEPTH + 1)) + " b",
        "? " * (MAX_DEPTH + 1) + "a",
    ],
    ids=["flow sequences", "block sequences", "flow mappings", "block mappings", "keys"],
)
def test_what_is_nested_too_deep_is_not_composed(text: str) -> None:
    with pytest.raises(Unparsable, match="nested too deep"):
        of_yaml(text)


def test_aliases_are_refused_where_they_may_not_be() -> None:
    assert of_yaml("a: &x [1]\nb: *x") == [{"a": [1], "b": [1]}]
    with pytest.raises(Unparsable, match="aliases"):
        of_yaml("a: &x [1]\nb: *x", aliases=False)
