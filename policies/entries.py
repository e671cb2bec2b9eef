"""The entries of ConfigMaps and Secrets, and the configuration that they hold as text."""

import base64
import binascii
import configparser
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from policies.documents import Unparsable, of_json, of_yaml
from policies.kubernetes import namespace
from policies.model import Node, Resource
from policies.rule import Subject

ENTRIES: Final = ("core/ConfigMap", "core/Secret")

#: Names of entries that are files of settings.
SETTINGS: Final = re.compile(r"\.(?:conf|cfg|ini|json|toml|ya?ml)$", re.IGNORECASE)

_SECTION = re.compile(r"^[ \t]*\[{1,2}[^\]\n]+\]{1,2}\s*$", re.MULTILINE)


def entries(subject: Subject, about: re.Pattern[str] = SETTINGS) -> Iterator[tuple[str, Node]]:
    """The entries of the ConfigMap or Secret that a rule looks at. One that can't be read is the rule's to
    tell where its name is `about` what the rule is for; of the others the rule unknowns.value speaks."""
    assert subject.resource is not None
    for key, node in entries_of(subject.resource):
        yield key, Node(node.value, node.path, subject.touched) if about.search(key) else node


def entries_of(resource: Resource) -> Iterator[tuple[str, Node]]:
    """The entries of a ConfigMap or Secret as text, decoded where they are kept in base64; bytes read as
    empty."""
    groups = (("data", resource.kind == "core/Secret"), ("stringData", False), ("binaryData", True))
    for group, encoded in groups:
        for key, node in Node(resource.inputs, "", {})[group].members():
            yield key, _decoded(node) if encoded else node


def named(subject: Subject, kind: str, name: Node) -> Resource | None:
    """The ConfigMap or Secret of this name in the namespace of what a rule looks at; None where the plan
    doesn't hold it."""
    called = name.text()
    return subject.plan.by_object.get((kind, namespace(subject) or "", called)) if called else None


def selected(subject: Subject, selector: Node, kind: str = "core/Secret") -> Node | None:
    """The entry that `{name, key}` selects, told of at the selector; None where the plan doesn't hold it."""
    resource = named(subject, kind, selector["name"])
    entry = dict(entries_of(resource)).get(selector["key"].text() or "") if resource is not None else None
    return Node(entry.value, selector.path, subject.touched) if entry is not None else None


def mappings(node: Node) -> list[Node]:
    """The mappings that a text holds as JSON, YAML, TOML or INI. Raises Unparsable where it is none of
    them."""
    text = node.text() or ""
    return [Node(one, node.path, node.touched) for one in _read(text) if isinstance(one, Mapping)]


def inside(node: Node) -> Iterator[Node]:
    """A mapping, and all mappings in it."""
    if isinstance(node.value, Mapping):
        yield node
        for _, inner in node.members():
            yield from inside(inner)
    elif isinstance(node.value, list):
        for inner in node.each():
            yield from inside(inner)
    else:
        node.opaque  # noqa: B018 - a marker here is remembered


def _read(text: str) -> list[Any]:
    try:
        # a few lines of aliases can stand for billions of values
        return of_json(text) if text.lstrip()[:1] == "{" else of_yaml(text, aliases=False)
    except Unparsable:
        if not _SECTION.search(text):
            raise
    try:
        return [tomllib.loads(text)]
    except tomllib.TOMLDecodeError:
        pass
    parser = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=True)
    try:
        parser.read_string(text)
    except configparser.Error:
        raise Unparsable("no configuration that can be read") from None
    return [{name: dict(section) for name, section in parser.items()}]


def _decoded(node: Node) -> Node:
    if not isinstance(node.value, str):
        return node
    try:
        text = base64.b64decode("".join(node.value.split()), validate=True).decode()
    except (binascii.Error, ValueError):
        text = ""
    return Node(text, node.path, node.touched)
