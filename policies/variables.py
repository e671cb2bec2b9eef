"""Environment variables of a container that a rule asks for by a pattern of their names."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from policies import command_line, vllm
from policies.command_line import Environment
from policies.kubernetes import Container
from policies.rule import Subject
from policies.vllm import Setting


def given(container: Container, subject: Subject, names: re.Pattern[str]) -> Iterator[Setting]:
    """The variables whose names match as wholes, as they will be when the program starts."""
    if not _may_be_given(container.node.value, names):
        return
    environment = Environment(container, subject)
    settings = command_line.assigned(container, environment)
    for name in sorted({*environment.variables, *settings}):
        found = vllm.setting(name, environment, settings) if names.fullmatch(name) else None
        if found is not None:
            yield found


def _may_be_given(container: Any, names: re.Pattern[str]) -> bool:
    """Whether such a name stands anywhere in a container; most hold none, and needn't be taken apart."""
    if not isinstance(container, Mapping) or container.get("envFrom"):
        return True
    texts = [container.get(key) for key in ("command", "args", "env")]
    if not all(text is None or isinstance(text, list) for text in texts):
        return True
    found = [one.get("name") if isinstance(one, Mapping) else one for text in texts for one in text or ()]
    return any(not isinstance(one, str) or names.search(one) for one in found)
