"""Changes written as data: to a stack's settings, to its zone, and to what a plan of it asks for.

A change is a mapping that is laid over another one (as RFC 7396 does): a value replaces what is there, a
mapping goes on inside, null takes away. Inside a list, `0` is its first item and `+` a further one. A text
that holds JSON, such as a policy, is entered like a mapping.
"""

import copy
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import yaml

from facts.site import Site
from policies.model import Resource
from tests.support.aws_stacks import FOLDER
from toolchain.providers.core import Urn
from toolchain.providers.standin.provider import StandIn

Change = Mapping[Any, Any]
Plan = tuple[Resource, ...]

#: in a resource that is added, the id of another one of the plan: `{Vpc}`, `{Subnet nodes-a}`
_ID = re.compile(r"\{([A-Z]\w+(?: [\w.-]+)?)\}")
_MORE = "+"


def over(value: Any, change: Any) -> Any:
    """A value with a change laid over it. Raises LookupError where what is taken away isn't there."""
    if not isinstance(change, Mapping):
        return copy.deepcopy(change)
    if isinstance(value, str):
        return json.dumps(over(json.loads(value), change), separators=(",", ":"))
    if isinstance(value, list):
        return _over_list(value, change)
    found = dict(value) if isinstance(value, Mapping) else {}
    for key, item in change.items():
        if item is None:
            del found[key]
        else:
            found[key] = over(found.get(key), item)
    return found


def _over_list(items: Sequence[Any], change: Change) -> list[Any]:
    found = list(items)
    for key, item in change.items():
        if key == _MORE:
            found.append(copy.deepcopy(item))
        elif item is not None:
            found[key] = over(found[key], item)
    return [item for place, item in enumerate(found) if change.get(place, item) is not None]


def settings_with(stack: str, change: Change) -> Change:
    """A change of a stack's settings as `aws_stacks.rendered` takes it: whole values of its first keys."""
    file = Site(FOLDER).stack_file(stack)
    given = yaml.safe_load(file.read_text(encoding="utf-8"))["config"]["sovereign:settings"]
    return {key: over(given.get(key), item) for key, item in change.items()}


def find(plan: Plan, named: str) -> Resource:
    """The one resource of a class and a name, such as `Subnet nodes-a`. The stack's name in front may be left
    out; a class alone means the one that is called as the stack. Raises LookupError."""
    kind, _, name = named.partition(" ")
    stack = plan[0].urn.split(":")[2]
    wanted = {name, f"{stack}-{name}"} if name else {stack}
    found = [one for one in plan if one.custom and one.type.endswith(f":{kind}") and one.name in wanted]
    if len(found) != 1:
        raise LookupError(f"{named}: {len(found)} of them in the plan")
    return found[0]


def changed(plan: Plan, named: str, change: Change) -> Plan:
    """The plan with other inputs of one resource. What is written down is computed from nothing."""
    one = find(plan, named)
    sources = {key: urns for key, urns in one.dependencies.items() if key not in change}
    other = replace(one, inputs=over(one.inputs, change), dependencies=sources)
    return tuple(other if each is one else each for each in plan)


def without(plan: Plan, named: str) -> Plan:
    """The plan without one resource."""
    one = find(plan, named)
    return tuple(each for each in plan if each is not one)


def with_also(plan: Plan, token: str, inputs: Change, provider: StandIn) -> Plan:
    """The plan with one more resource, called `added` and made as all others are; `provider` knows their
    ids."""
    name, vpc = "added", find(plan, "Vpc")
    urn = f"{'::'.join(vpc.urn.split('::')[:2])}::{token}::{name}"
    return (*plan, Resource(urn, token, name, _filled(plan, inputs, provider), vpc.provider))


def _filled(plan: Plan, value: Any, provider: StandIn) -> Any:
    if isinstance(value, Mapping):
        return {key: _filled(plan, item, provider) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(plan, item, provider) for item in value]
    meant = _ID.fullmatch(value) if isinstance(value, str) else None
    if meant is None:
        return value
    one = find(plan, meant[1])
    return provider.create(Urn(one.urn), dict(one.inputs), 0, True)[0]
