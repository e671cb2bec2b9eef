"""What the stacks on AWS ask for, as files that a reviewer reads, and what the rules say of it.

.venv/bin/python -m pytest tests/aws/test_golden.py --golden     writes them anew
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from facts.sentinels import digest
from facts.site import ROOT
from policies.model import Finding, Resource, Sealed
from tests.support.aws import refusals
from tests.support.aws_stacks import OWN_ACCOUNT, STACKS, Rendered, rendered

FOLDER = ROOT / "tests" / "aws" / "golden"
#: told by docs/rules.md
_ADMISSION = "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolic"


@pytest.mark.parametrize("stack", STACKS)
def test_the_stack_is_the_reviewed_one(stack: str, pytestconfig: pytest.Config) -> None:
    file, now = FOLDER / f"{stack}.yaml", text(rendered(stack))
    if pytestconfig.getoption("--golden"):
        FOLDER.mkdir(exist_ok=True)
        file.write_text(now, encoding="utf-8")
    assert file.read_text(encoding="utf-8") == now, (
        f"The stack {stack} asks for something else than {file}: if that is meant, write it anew with "
        "--golden and let the difference be reviewed."
    )


@pytest.mark.parametrize("change", [{}, OWN_ACCOUNT], ids=["as it is", "with an account of its own"])
@pytest.mark.parametrize("stack", STACKS)
def test_no_rule_refuses_it_or_is_undecided(stack: str, change: Mapping[str, Any]) -> None:
    assert told(rendered(stack, change).findings) == []


@pytest.mark.parametrize("stack", STACKS)
def test_the_program_refuses_none_of_it(stack: str) -> None:
    whole = rendered(stack, OWN_ACCOUNT)
    assert told(refusals(whole.resources, whole.zone)) == []


class _Document(yaml.SafeDumper):
    """Texts of several lines line by line."""


_Document.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    ),
)


def told(found: tuple[Finding, ...]) -> list[str]:
    return [f"{one.route} {one.rule} {one.urn} {one.path}: {one.seen}: {one.why}" for one in found]


def text(stack: Rendered) -> str:
    """A document a resource, sorted: the heading says its type and name, and how it is kept."""
    marks = {
        digest(one.urn): f"<{one.type.rpartition(':')[2]} {one.name}>"
        for one in stack.resources
        if one.custom
    }
    shown = [one for one in stack.resources if one.custom and not one.type.startswith(_ADMISSION)]
    parts = [
        f"# {one.type} {one.name}{_kept(one)}\n"
        + yaml.dump(_readable(one, marks), Dumper=_Document, width=110, allow_unicode=True)
        for one in sorted(shown, key=lambda one: (one.type, one.name))
    ]
    return "---\n".join(parts)


def _kept(resource: Resource) -> str:
    words = {"protect": "protected", "retainOnDelete": "kept when the stack goes"}
    said = [word for option, word in words.items() if resource.options[option]]
    return f" ({', '.join(said)})" if said else ""


def _readable(resource: Resource, marks: Mapping[str, str]) -> dict[str, Any]:
    """The inputs with names in place of marks, documents as what they say, and no secret."""
    inputs = dict(resource.inputs)
    if resource.kind == "core/Secret":
        inputs["data"] = dict.fromkeys(inputs["data"], Sealed())
    if "userData" in inputs:
        inputs["userData"] = base64.b64decode(inputs["userData"]).decode()

    def read(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: read(item) for key, item in value.items()}
        if isinstance(value, list):
            return [read(item) for item in value]
        if isinstance(value, Sealed):
            return "(secret)"
        if not isinstance(value, str):
            return value
        if resource.package == "aws" and value.startswith("{"):
            return read(json.loads(value))
        for mark, name in marks.items():
            value = value.replace(mark, name)
        return value

    return {key: read(value) for key, value in inputs.items()}
