"""IAM policy documents: the statements of a policy, whether it is written as JSON text or as a mapping.

Grammar: docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html. Actions, condition
operators and condition keys mean the same in any case there, so they come in lower case; principals,
resources and values come as they are. What is malformed is remembered by the nodes, so it ends as undecided.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from policies import aws
from policies.model import Node

#: docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
_EQUAL = tuple(
    f"{qualifier}{operator}"
    for qualifier in ("", "foranyvalue:")
    for operator in ("stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike")
)
_UNEQUAL = tuple(
    f"{operator}{suffix}"
    for operator in (
        *("stringnotequals", "stringnotequalsignorecase", "stringnotlike"),
        *("arnnotequals", "arnnotlike"),
    )
    for suffix in ("", "ifexists")
)
#: A condition by which a `Deny` leaves out what AWS's own services ask, and nobody else.
_BUT_AWS = (("boolifexists", "aws:principalisawsservice"), ("false",))


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `inverted` names the elements that are written as NotPrincipal, NotAction or
    NotResource, so mean all but what they list. `principals` are pairs of kind and value: ("AWS", "arn:..."),
    ("*", "*").
    """

    effect: Literal["Allow", "Deny"]
    principals: tuple[tuple[str, str], ...]
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Mapping[tuple[str, str], tuple[str, ...]]  #: (operator, key) -> values
    inverted: frozenset[str]  #: of "Principal", "Action", "Resource"
    node: Node

    @property
    def allows(self) -> bool:
        return self.effect == "Allow"

    def held(self, key: str, within: Callable[[str], bool]) -> bool:
        """Whether a condition demands that a key be there and be one of values that are all `within`.

        `...IfExists` and `ForAllValues:` don't demand it: they are true of a key that isn't there.
        """
        return any(
            all(map(within, values))
            for operator in _EQUAL
            if (values := self.conditions.get((operator, key.lower())))
        )

    def spares(self, keys: Collection[str], within: Callable[[str], bool]) -> bool:
        """Whether all that a `Deny` excepts are values of these keys that are `within`, and what AWS's own
        services ask. Its operators are true of a key that isn't there, so such a request is denied too."""
        wanted = {key.lower() for key in keys}
        left = [(*pair, values) for pair, values in self.conditions.items() if (pair, values) != _BUT_AWS]
        return bool(left) and all(
            operator in _UNEQUAL and key in wanted and values and all(map(within, values))
            for operator, key, values in left
        )

    def is_true(self, key: str) -> bool:
        """Whether a condition demands that a key be there and true."""
        return [value.lower() for value in self.conditions.get(("bool", key.lower()), ())] == ["true"]


def statements(node: Node) -> Iterator[Statement]:
    """The statements of the policy at a place; none where there is no policy."""
    policy = aws.document(node)
    if policy.absent or not _is_mapping(policy):
        return
    listed = policy["Statement"]
    if listed.absent:
        _malformed(listed)
    for one in listed.each() if isinstance(listed.value, list | tuple) else (listed,):
        if _is_mapping(one) and (found := _statement(one)) is not None:
            yield found


def _statement(node: Node) -> Statement | None:
    effect = node["Effect"].text()
    if effect not in ("Allow", "Deny"):
        if not node["Effect"].opaque:
            _malformed(node["Effect"])
        return None
    inverted = frozenset(
        element for element in ("Principal", "Action", "Resource") if not node[f"Not{element}"].absent
    )
    parts = {
        element: node[f"Not{element}" if element in inverted else element]
        for element in ("Principal", "Action", "Resource")
    }
    if parts["Action"].absent:
        _malformed(parts["Action"])
        return None
    return Statement(
        "Allow" if effect == "Allow" else "Deny",
        tuple(_principals(parts["Principal"])),
        tuple(text.lower() for text in _texts(parts["Action"])),
        tuple(_texts(parts["Resource"])),
        {
            (operator.lower(), key.lower()): tuple(_texts(values))
            for operator, keys in node["Condition"].members()
            for key, values in keys.members()
        },
        inverted,
        node,
    )


def _principals(node: Node) -> Iterator[tuple[str, str]]:
    if isinstance(node.value, str):
        if node.value != "*":
            _malformed(node)
        yield "*", node.value
        return
    for kind, values in node.members():
        for value in _texts(values):
            yield kind, value


def _texts(node: Node) -> Iterator[str]:
    """A string, or the strings of a list; switches and numbers as they are written in JSON."""
    for one in node.each() if isinstance(node.value, list | tuple) else (node,):
        if isinstance(one.value, bool):
            yield str(one.value).lower()
        elif isinstance(one.value, int | float):
            yield str(one.value)
        elif (text := one.text()) is not None:
            yield text


def _is_mapping(node: Node) -> bool:
    """Whether a mapping stands here; that something else does is remembered."""
    any(node.members())
    return isinstance(node.value, Mapping)


def _malformed(node: Node) -> None:
    """Remembers that what stands here is not what the grammar asks for."""
    _is_mapping(Node("", node.path, node.touched))
