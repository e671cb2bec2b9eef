"""`sovereign policy impact`: two versions of the rules over one estate."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from cli import impact
from tests.cli.support import ROOT, Sovereign

MANIFEST = """\
apiVersion: v1
kind: Service
metadata: {name: out, namespace: llm-serving}
spec: {type: ExternalName, externalName: api.example.com}
"""


def older(tmp_path: Path, rule: str, became: str) -> Path:
    """A checkout in which a rule was otherwise."""
    folder = tmp_path / "older"
    for name in ("cli", "facts", "policies", "services"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "Pulumi.yaml", folder / "Pulumi.yaml")
    (folder / "stacks").mkdir()
    file = folder / "policies" / "rules" / "services.py"
    text = file.read_text(encoding="utf-8")
    assert rule in text
    file.write_text(text.replace(rule, became), encoding="utf-8")
    return folder


def test_what_is_newly_refused_and_newly_passed(
    sovereign: Sovereign, tmp_path: Path, zone_file: Path
) -> None:
    manifest = tmp_path / "out.yaml"
    manifest.write_text(MANIFEST, encoding="utf-8")
    base = older(tmp_path, 'name = subject["spec"]["externalName"]', "return")
    asked = ("policy", "impact", "--base", base, "--zone", zone_file, manifest)
    done = sovereign(*asked, "--json")
    assert done.exit_code == 1, done.output
    said = json.loads(done.stdout)
    assert {one["route"] for one in said["newly_refused"]} == {"K11"}
    assert said["newly_passed"] == []
    told = sovereign(*asked).output
    assert "newly refused: 1 finding" in told
    assert "K11" in told


def test_nothing_changes_where_nothing_changed(sovereign: Sovereign, tmp_path: Path, zone_file: Path) -> None:
    manifest = tmp_path / "out.yaml"
    manifest.write_text(MANIFEST, encoding="utf-8")
    done = sovereign("policy", "impact", "--base", ROOT, "--zone", zone_file, manifest)
    assert done.exit_code == 0, done.output
    assert "newly refused: 0 findings" in done.output


def test_the_base_may_be_a_commit(
    sovereign: Sovereign, tmp_path: Path, zone_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = tmp_path / "out.yaml"
    manifest.write_text(MANIFEST, encoding="utf-8")
    kept = 'name = subject["spec"]["externalName"]'
    folder = older(tmp_path, kept, kept)
    shutil.copyfile(ROOT / "stacks" / "Pulumi.local.yaml", folder / "stacks" / "Pulumi.local.yaml")
    own = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@test.internal"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "before"]):
        subprocess.run([*own, *words], check=True)
    monkeypatch.setattr(impact, "ROOT", folder)
    done = sovereign("policy", "impact", "--base", "HEAD", "--zone", zone_file, manifest)
    assert done.exit_code == 0, done.output
    assert "newly refused: 0 findings" in done.output


def test_a_base_that_is_none_and_a_file_that_cannot_be_read(sovereign: Sovereign, tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text("{", encoding="utf-8")
    none = sovereign("policy", "impact", "--base", "no-such-commit", file)
    assert none.exit_code == 2
    assert "neither a commit" in none.output
    bad = sovereign("policy", "impact", "--base", ROOT, file)
    assert bad.exit_code == 2
    assert "x.json" in bad.output


def test_a_base_that_cannot_judge_is_a_failure(sovereign: Sovereign, tmp_path: Path, zone_file: Path) -> None:
    manifest = tmp_path / "out.yaml"
    manifest.write_text(MANIFEST, encoding="utf-8")
    broken = older(tmp_path, "@rule(", "@no_such_rule(")
    done = sovereign("policy", "impact", "--base", broken, "--zone", zone_file, manifest)
    assert done.exit_code == 3
    assert "can't judge these files" in done.output


def test_a_day_that_is_none_is_bad_usage(sovereign: Sovereign, tmp_path: Path) -> None:
    done = sovereign("policy", "impact", "--base", ROOT, "--at", "yesterday", tmp_path)
    assert done.exit_code == 2
    assert "yesterday" in done.output
