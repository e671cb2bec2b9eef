"""YAML and JSON text parsed as Kubernetes parses it, and safely: a few bytes can neither crash nor fill a
reader."""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

#: Deeper nesting than any object has; libyaml composes by recursion in C, and ends the process when it is too
#: deep.
MAX_DEPTH = 200
#: One of these begins every mapping and sequence, in blocks or in flow (yaml.org/spec/1.2.2, chapters 7 and 8).
_INDICATORS = "-:?[{"


class Unparsable(ValueError):
    """A text that is not what it should be; the message says what is wrong and where, never a value."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """A key may stand once in a mapping, and a date is text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value} stands twice", key.start_mark
                    )
                seen.add(key.value)
        made: dict[Any, Any] = super().construct_mapping(node, deep)
        return made


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}


def of_yaml(text: str, *, aliases: bool = True) -> list[Any]:
    """The documents of a YAML text. `aliases`: whether it may refer to parts of itself. Raises Unparsable."""
    try:
        _check(text, aliases)
        return list(yaml.load_all(text, Loader=_Loader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "it can't be parsed"
        raise Unparsable(f"not YAML{line} ({problem})") from None
    except Unparsable:
        raise
    except (ValueError, TypeError, RecursionError):
        raise Unparsable("not YAML that can be read") from None


def _check(text: str, aliases: bool) -> None:
    """Raises Unparsable where a text may not be composed."""
    if sum(map(text.count, _INDICATORS)) <= MAX_DEPTH and (aliases or "*" not in text):
        return  # it can't be nested deeper, so it need not be parsed twice
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise Unparsable("YAML that is nested too deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent) and not aliases:
            raise Unparsable("YAML with aliases")


def of_json(text: str) -> list[Any]:
    """The values of a JSON text, or of a stream of JSON values. Raises Unparsable."""
    decoder = json.JSONDecoder(object_pairs_hook=_once)
    try:
        return list(_values(text, decoder))
    except RecursionError:
        raise Unparsable("JSON that is nested too deep") from None
    except json.JSONDecodeError as error:
        raise Unparsable(f"not JSON at line {error.lineno}") from None


def _values(text: str, decoder: json.JSONDecoder) -> Iterator[Any]:
    something = re.compile(r"\S")
    at = 0
    while (found := something.search(text, at)) is not None:
        value, at = decoder.raw_decode(text, found.start())
        yield value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Unparsable("JSON in which a key stands twice in one object, so that readers differ")
    return made
