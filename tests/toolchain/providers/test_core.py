"""What any provider needs: codec, paths, diffs and shapes, as plain function calls."""

from typing import Any

import pytest
from google.protobuf import struct_pb2
from pulumi.runtime import rpc

from toolchain.providers.core import paths, shape
from toolchain.providers.core.codec import (
    ARCHIVE,
    ASSET,
    OUTPUT,
    RESOURCE,
    SECRET,
    SIGNATURE,
    UNKNOWN_STRING,
    UNKNOWNS,
    decode,
    encode,
)
from toolchain.providers.core.diff import Kind, differences, replacing, without
from toolchain.providers.core.errors import Refused
from toolchain.providers.core.values import (
    UNKNOWN,
    Output,
    Secret,
    has_unknown,
    mark_secrets,
    plain,
    secret_leaves,
    unknown_paths,
)

PLAIN: dict[str, Any] = {
    "text": "a",
    "empty": "",
    "number": 3,
    "fraction": 0.5,
    "negative": -(2**53),
    "yes": True,
    "no": False,
    "nothing": None,
    "object": {"inner": {"deep": [1, "two", {"three": None}]}, "none": {}},
    "list": [],
}


@pytest.mark.parametrize(
    "properties",
    [
        PLAIN,
        {"a": UNKNOWN, "b": {"c": [UNKNOWN]}},
        {"a": Secret("s"), "b": Secret({"c": [1, UNKNOWN]}), "d": [Secret(None)]},
        {"a": Output("x"), "b": Output(UNKNOWN, dependencies=frozenset({"urn:1", "urn:2"}))},
        {"a": Output(Secret("x"), secret=True)},
    ],
)
def test_values_come_back_as_they_went(properties: dict[str, Any]) -> None:
    struct = struct_pb2.Struct.FromString(encode(properties).SerializeToString())
    assert decode(struct) == properties


def test_numbers_are_integers_where_they_are_whole() -> None:
    decoded = decode(encode({"a": 1.0, "b": 1.5, "c": True}))
    assert [type(value) for value in (decoded["a"], decoded["b"], decoded["c"])] == [int, float, bool]


def test_markers_are_those_of_the_sdk() -> None:
    assert rpc._special_sig_key == SIGNATURE
    assert (
        rpc._special_secret_sig,
        rpc._special_output_value_sig,
        rpc._special_resource_sig,
    ) == (SECRET, OUTPUT, RESOURCE)
    assert (rpc._special_asset_sig, rpc._special_archive_sig) == (ASSET, ARCHIVE)
    assert UNKNOWN_STRING == rpc.UNKNOWN
    assert len(UNKNOWNS) == 7


@pytest.mark.parametrize("marker", sorted(UNKNOWNS))
def test_unknowns_of_every_type_are_unknown(marker: str) -> None:
    struct = struct_pb2.Struct()
    struct["a"] = marker
    assert decode(struct) == {"a": UNKNOWN}


@pytest.mark.parametrize("signature", [ASSET, ARCHIVE, RESOURCE, "another"])
def test_what_no_resource_takes_is_refused(signature: str) -> None:
    struct = struct_pb2.Struct()
    struct["a"] = {SIGNATURE: signature, "text": "hidden"}
    with pytest.raises(Refused) as refusal:
        decode(struct)
    assert "hidden" not in str(refusal.value)


def test_a_secret_never_shows() -> None:
    assert "hidden" not in repr({"a": Secret("hidden"), "b": Output("hidden", secret=True)})


def test_unknown_equals_only_itself() -> None:
    assert UNKNOWN != ""  # type: ignore[comparison-overlap]
    assert UNKNOWN != UNKNOWN_STRING  # type: ignore[comparison-overlap]
    assert has_unknown({"a": Secret([UNKNOWN])})
    assert list(unknown_paths({"a": [1, Secret({"b": UNKNOWN})]})) == [("a", 1, "b")]


def test_markers_are_taken_off_and_put_on() -> None:
    inputs = {"a": Secret("s"), "b": {"c": Secret(1), "d": 2}, "e": [1, Secret(2)], "f": [{"g": 1}]}
    assert plain(inputs) == {"a": "s", "b": {"c": 1, "d": 2}, "e": [1, 2], "f": [{"g": 1}]}
    marked = mark_secrets({"a": "s", "b": {"c": 1, "d": 2}, "e": [2, 1], "f": [{"g": 1}], "z": 1}, inputs)
    assert marked == {
        "a": Secret("s"),
        "b": {"c": Secret(1), "d": 2},
        "e": Secret([2, 1]),
        "f": [{"g": 1}],
        "z": 1,
    }
    assert sorted(map(str, secret_leaves(inputs))) == ["1", "2", "s"]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("spec", ("spec",)),
        ("spec.ports[0].name", ("spec", "ports", 0, "name")),
        ('metadata.labels["app.kubernetes.io/name"]', ("metadata", "labels", "app.kubernetes.io/name")),
        ('["a\\"b"].c', ('a"b', "c")),
    ],
)
def test_paths_are_written_and_read(text: str, path: tuple[str | int, ...]) -> None:
    assert paths.written(path) == text
    assert paths.parsed(text) == path


def test_patterns_cover_what_lies_inside() -> None:
    pattern = paths.parsed("spec.containers[*].env")
    assert paths.covers(pattern, ("spec", "containers", 3, "env", 0, "value"))
    assert not paths.covers(pattern, ("spec", "containers"))
    assert paths.touches(pattern, ("spec", "containers"))
    assert not paths.touches(pattern, ("spec", "volumes"))
    with pytest.raises(ValueError, match="no property path"):
        paths.parsed("a[")


def test_differences_go_as_deep_as_the_shape_is_the_same() -> None:
    old = {"a": 1, "b": {"c": [1, 2], "d": "x"}, "gone": 1, "same": [{"x": 1}], "flag": 1}
    new = {"a": 1.0, "b": {"c": [1, 3, 4], "d": {"y": 1}}, "new": None, "same": [{"x": 1}], "flag": True}
    found = {paths.written(one.path): one.kind for one in differences(old, new)}
    assert found == {
        "b.c[1]": Kind.UPDATE,
        "b.c[2]": Kind.ADD,
        "b.d": Kind.UPDATE,
        "gone": Kind.DELETE,
        "new": Kind.ADD,
        "flag": Kind.UPDATE,
    }


def test_a_secret_equals_its_value_and_an_unknown_equals_nothing() -> None:
    assert not list(differences({"a": Secret("x")}, {"a": "x"}))
    assert [one.path for one in differences({"a": UNKNOWN}, {"a": UNKNOWN})] == [("a",)]


def test_ignored_and_replacing_differences() -> None:
    found = list(differences({"a": {"b": 1}, "c": 1}, {"a": {"b": 2}, "c": 2}))
    assert [one.path for one in without(found, ["a"])] == [("c",)]
    assert [one.replace for one in replacing(found, lambda path: path[0] == "c")] == [False, True]


SHAPE = shape.load(
    {
        "type": "object",
        "required": ["name"],
        "closed": True,
        "properties": {
            "name": {"type": "string"},
            "sizes": {"type": "array", "items": {"type": "number"}},
            "labels": {"type": "object", "values": {"type": "string"}},
        },
    }
)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"name": "a", "sizes": [1, 2.5], "labels": {"x": "y"}}, {}),
        ({"name": UNKNOWN, "sizes": [UNKNOWN], "labels": Secret({"x": "y"})}, {}),
        ({"name": "a", "sizes": UNKNOWN, "labels": None}, {}),
        ({}, {"name": "is missing"}),
        ({"name": 1}, {"name": "is a number, where a string belongs"}),
        ({"name": "a", "sizes": [True]}, {"sizes[0]": "is a boolean, where a number belongs"}),
        ({"name": "a", "labels": {"x": None}}, {"labels.x": "is null, where a string belongs"}),
        ({"name": "a", "other": 1}, {"other": "is no property of this; there are labels, name, sizes"}),
        ([], {"": "is an array, where an object belongs"}),
    ],
)
def test_shapes_tell_what_is_wrong(value: Any, told: dict[str, str]) -> None:
    found = {paths.written(problem.path): problem.reason for problem in shape.problems(value, SHAPE)}
    assert found == told


def test_a_shape_that_is_no_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="typo"):
        shape.load({"type": "object", "typo": 1})
    with pytest.raises(ValueError, match="integer"):
        shape.load({"type": "integer"})
