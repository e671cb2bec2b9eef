"""Templates of what a cloud would answer: `arn:{partition}:kms:{region}:{account}:key/{id}`.

    {name}          a name of the scope
    {name.key}      a key of an object; {name[0]} an item of a list
    {name[other]}   the key that the value of another name says
    {one|other}     the first of the two that is there
    {one+other}     the objects that are there in one, the last before the first

A text that is one pair of braces alone gives the value as it is. An unknown value makes the whole unknown, a
secret one makes it secret.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from toolchain.providers.core.values import UNKNOWN, Output, Secret, plain

_BRACES = re.compile(r"\{([^{}]+)\}")
_STEP = re.compile(r"\.?(?P<key>[A-Za-z_]\w*)|\[(?P<index>\d+)\]|\[(?P<other>[A-Za-z_]\w*)\]")

#: gives the value of a name, or None for a name that it hasn't
Layer: TypeAlias = Callable[[str], Any]


class Missing(LookupError):
    """A template speaks of something that isn't there."""


def mark(text: str) -> str:
    """The mark of a resource in its sentinels, by its URN: that of facts/sentinels.py."""
    return "0" + hashlib.sha256(text.encode()).hexdigest()[:16]


class Scope:
    """Names and their values, in layers: the first layer that has a name gives it."""

    def __init__(self, layers: Iterable[Layer]) -> None:
        self._layers = tuple(layers)
        self._values: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        """Raises Missing; a name that is needed for its own value is missing."""
        if name not in self._values:
            self._values[name] = None
            found = (layer(name) for layer in self._layers)
            self._values[name] = next((value for value in found if value is not None), None)
        if self._values[name] is None:
            raise Missing(name)
        return self._values[name]

    def rendered(self, templates: Mapping[str, Any]) -> "Scope":
        """This scope with one more layer, the last: templates, each rendered in it when it is asked for."""
        scope = Scope(self._layers)

        def layer(name: str) -> Any:
            try:
                return render(templates[name], scope) if name in templates else None
            except Missing:
                return None

        scope._layers += (layer,)
        return scope


def render(template: Any, scope: Scope) -> Any:
    """The value of a template: a text, an object or list of templates, or any other value as it is.

    Raises Missing; an object or list only lacks what misses something.
    """
    if isinstance(template, dict):
        return dict(_there(template.items(), scope))
    if isinstance(template, list):
        return [item for _, item in _there(enumerate(template), scope)]
    if not isinstance(template, str):
        return template
    if whole := _BRACES.fullmatch(template):
        return _value(whole[1], scope)
    parts = {found[0]: _value(found[1], scope) for found in _BRACES.finditer(template)}
    if any(plain(part) is UNKNOWN for part in parts.values()):
        return UNKNOWN
    text = _BRACES.sub(lambda found: str(plain(parts[found[0]])), template)
    return Secret(text) if any(isinstance(part, Secret) for part in parts.values()) else text


def _there(items: Iterable[tuple[Any, Any]], scope: Scope) -> Iterator[tuple[Any, Any]]:
    for key, item in items:
        try:
            yield key, render(item, scope)
        except Missing:
            continue


def _value(expression: str, scope: Scope) -> Any:
    if "+" in expression:
        joined: dict[str, Any] = {}
        for value in _each(expression.split("+"), scope):
            if plain(value) is UNKNOWN:
                return UNKNOWN
            joined |= plain(value)
        return joined
    for value in _each(expression.split("|"), scope):
        return value
    raise Missing(expression)


def _each(paths: Iterable[str], scope: Scope) -> Iterator[Any]:
    """The values of the paths that lead somewhere."""
    for path in paths:
        try:
            yield _at(path, scope)
        except Missing:
            continue


def _at(path: str, scope: Scope) -> Any:
    value: Any = None
    secret = False
    for number, step in enumerate(_STEP.finditer(path)):
        key: Any = int(step["index"]) if step["index"] else step["key"] or plain(scope[step["other"]])
        try:
            value = value[key] if number else scope[key]
        except (LookupError, TypeError):
            raise Missing(path) from None
        while isinstance(value, Secret | Output):
            secret = secret or isinstance(value, Secret) or value.secret
            value = value.value
        if value is None:
            raise Missing(path)
        if value is UNKNOWN or key is UNKNOWN:
            return UNKNOWN
    return Secret(value) if secret else value
