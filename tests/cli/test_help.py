"""The verbs as somebody meets them who types --help: whole sentences, the same exit codes, names that exist."""

import re
from collections.abc import Iterator

import click
import pytest

from cli import policy
from cli.errors import EXIT_CODES
from cli.main import app
from facts.site import ROOT, Site

#: verbs that print no table: what a shell evaluates, and the file that they wrote
_WITHOUT_JSON = {"env", "waiver new", "waiver sign"}


def _verbs(group: click.Group = app, before: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        path = (*before, name)
        yield " ".join(path), command
        if isinstance(command, click.Group):
            yield from _verbs(command, path)


VERBS = dict(_verbs())
LEAVES = {name: command for name, command in VERBS.items() if not isinstance(command, click.Group)}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_tells_the_same_exit_codes(verb: str) -> None:
    assert VERBS[verb].epilog == EXIT_CODES


@pytest.mark.parametrize("verb", VERBS)
def test_a_list_of_verbs_cuts_no_sentence_off(verb: str) -> None:
    assert not VERBS[verb].get_short_help_str(60).endswith("...")


def test_what_prints_a_table_prints_json_too() -> None:
    without = {
        name
        for name, command in LEAVES.items()
        if not any("--json" in parameter.opts for parameter in command.params)
    }
    assert without == _WITHOUT_JSON


def test_the_rules_that_examples_explain_are_there() -> None:
    rules = policy.rules_of(Site(ROOT / "stacks"))
    known = {rule.id for rule in rules} | {route for rule in rules for route in rule.routes}
    texts = [command.help or "" for command in (app, *VERBS.values())]
    texts += [page.read_text(encoding="utf-8") for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md")]
    named = {
        name for text in texts for name in re.findall(r"policy explain ([A-Z]\d+|[a-z][\w-]*\.[\w-]+)", text)
    }
    assert named
    assert named <= known


@pytest.mark.parametrize("verb", app.commands)
def test_the_readme_names_every_verb(verb: str) -> None:
    assert f"`sovereign {verb}" in (ROOT / "README.md").read_text(encoding="utf-8")
