"""The mutation run (tests/mutants): it kills what an example notices, and tells what none does."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.mutants.__main__ import main

RULE = '''
import re
from policies.rule import rule

_BAD = ("edge", "relay")
_ODD = re.compile("(?:edge|hop)-.*")


@rule("planted.edge", routes=["K02"], kinds=["core/ConfigMap"], title="", controls=[], fix="f", pack="egress")
def edge(subject, zone):
    """A planted rule."""
    mode = subject["data"]["mode"].text()
    if mode is not None and (mode in _BAD or _ODD.match(mode)):
        yield subject.refuse("data.mode", seen="mode", why="it leaks")


@rule("planted.none", routes=["K03"], kinds=["core/Secret"], title="t", controls=[], fix="f", pack="egress")
def untested(subject, zone):
    """A planted rule that no example shows."""
    yield subject.refuse("", seen="a Secret", why="it leaks")
'''
TABLE = """
- id: planted.table
  title: t
  what: A planted rule of a table.
  routes: [K02]
  controls: []
  pack: egress
  fix: f
  kinds: [core/ConfigMap, core/Secret]
  checks:
    - {at: data.mode, isnt: [edge, relay], why: it leaks}
"""
EXAMPLE = """
about: A planted example of the mutation run.
kubernetes:
  - apiVersion: v1
    kind: ConfigMap
    metadata: {{name: a, namespace: b}}
    data: {{{data}}}
"""


@pytest.fixture
def routes(tmp_path: Path) -> Path:
    folder = tmp_path / "routes" / "K02"
    folder.mkdir(parents=True)
    (folder / "leak-edge.yaml").write_text(EXAMPLE.format(data="mode: edge"), encoding="utf-8")
    (folder / "clean-other.yaml").write_text(EXAMPLE.format(data="mode: other"), encoding="utf-8")
    (folder / "clean-none.yaml").write_text(EXAMPLE.format(data=""), encoding="utf-8")
    return folder.parent


def _tried(file: Path, routes: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    assert main([str(file), "--examples", str(routes), "--json"]) == 1
    return {one["mutation"]: one for one in json.loads(capsys.readouterr().out)}


def test_rule_in_python(tmp_path: Path, routes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "planted.py"
    file.write_text(RULE, encoding="utf-8")
    results = _tried(file, routes, capsys)
    killed = {mutation for mutation, one in results.items() if one["killed_by"]}
    assert killed >= {
        "rule planted.edge switched off",
        "'edge' removed from ('edge', 'relay')",
        "mode in _BAD: turned round",
        "mode is not None and (mode in _BAD or _ODD.match(mode)): and -> or",
        "mode is not None and (mode in _BAD or _ODD.match(mode)): always True",
        "mode is not None and (mode in _BAD or _ODD.match(mode)): always False",
    }
    alive = results["'relay' removed from ('edge', 'relay')"]
    assert (alive["killed_by"], alive["line"]) == (None, 5)
    assert alive["hint"].startswith("reached by K02/clean-none")
    assert not results["'edge' in re.compile('(?:edge|hop)-.*'): removed"]["killed_by"]
    untested = results["rule planted.none switched off"]
    assert untested["killed_by"] is None
    assert untested["hint"].startswith("no example reaches it")


def test_table(tmp_path: Path, routes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "planted.yaml"
    file.write_text(TABLE, encoding="utf-8")
    results = _tried(file, routes, capsys)
    assert {mutation for mutation, one in results.items() if one["killed_by"]} == {
        "rule switched off",
        "core/ConfigMap removed from kinds",
        "at data.mode: isnt -> is",
        "at data.mode: 'edge' removed from isnt",
        "at data.mode: absent: pass -> refuse",
    }
    assert results["at data.mode: 'relay' removed from isnt"]["line"] == 11
    assert not results["core/Secret removed from kinds"]["killed_by"]


def test_mutant_without_end_is_killed(
    tmp_path: Path, routes: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.mutants.trial.PATIENCE", 0.2)
    file = tmp_path / "planted.py"
    endless = "    while mode is None and mode == 'a':\n        pass\n    if mode is not None and"
    file.write_text(RULE.replace("    if mode is not None and", endless), encoding="utf-8")
    results = _tried(file, routes, capsys)
    assert results["mode is None and mode == 'a': and -> or"]["killed_by"] == "it never ends"


def test_report_names_each_survivor(tmp_path: Path, routes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "planted.py"
    file.write_text(RULE, encoding="utf-8")
    assert main([str(file), "--examples", str(routes), "--function", "_BAD"]) == 1
    told = capsys.readouterr().out
    assert f"alive: {file}:5 _BAD: 'relay' removed from" in told
    assert "mutants  killed  equivalent  alive" in told


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "add an example in which it matters, or remove the line" in " ".join(
        capsys.readouterr().out.split()
    )
