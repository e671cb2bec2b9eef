"""`sovereign policy`: verdicts and exit codes of eval, and what list and explain tell."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.support import ROOT, Sovereign, run_out

CLEAN = """\
apiVersion: v1
kind: Service
metadata: {name: inside, namespace: llm-gateway}
spec: {selector: {app: llm-gateway}, ports: [{port: 8443}]}
"""
LEAK = """\
apiVersion: v1
kind: Service
metadata: {name: out, namespace: llm-gateway}
spec: {type: ExternalName, externalName: api.example.org}
"""
NAMESPACE = """\
apiVersion: v1
kind: Namespace
metadata: {name: open, labels: {pod-security.kubernetes.io/enforce: restricted}}
"""
STACK = "urn:pulumi:a::sovereign::pulumi:pulumi:Stack::sovereign-a"
PARTIAL = {
    "steps": [
        {
            "op": "create",
            "urn": STACK,
            "newState": {"urn": STACK, "type": "pulumi:pulumi:Stack", "custom": False},
        }
    ],
    "changeSummary": {"create": 1, "same": 5},
}


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    file = tmp_path / "clean.yaml"
    file.write_text(CLEAN, encoding="utf-8")
    return file


@pytest.fixture
def leak(tmp_path: Path) -> Path:
    file = tmp_path / "leak.yaml"
    file.write_text(LEAK, encoding="utf-8")
    return file


def test_a_clean_manifest_passes(sovereign: Sovereign, zone_file: Path, clean: Path) -> None:
    result = sovereign("policy", "eval", "--zone", zone_file, "--json", clean)
    assert result.exit_code == 0, result.output
    judged = json.loads(result.stdout)
    assert (judged["verdict"], judged["findings"]) == ("pass", [])


def test_a_leak_is_refused_with_all_the_keys_of_the_contract(
    sovereign: Sovereign, zone_file: Path, leak: Path
) -> None:
    result = sovereign("policy", "eval", "--zone", zone_file, "--json", leak)
    assert result.exit_code == 1, result.output
    judged = json.loads(result.stdout)
    assert judged["verdict"] == "refuse"
    assert "K11" in {finding["route"] for finding in judged["findings"]}
    for finding in judged["findings"]:
        assert set(finding) == {
            "rule", "route", "controls", "urn", "path", "seen", "why", "fix", "verdict",
        }  # fmt: skip


def test_a_leak_is_told_in_sentences(sovereign: Sovereign, zone_file: Path, leak: Path) -> None:
    result = sovereign("policy", "eval", "--zone", zone_file, leak)
    assert result.exit_code == 1
    assert "K11" in result.stdout
    assert "api.example.org" in result.stdout
    assert "refuse: " in result.stdout.splitlines()[-1]


def test_files_together_are_one_plan_and_one_leak_refuses_all(
    sovereign: Sovereign, zone_file: Path, clean: Path, leak: Path
) -> None:
    assert sovereign("policy", "eval", "--zone", zone_file, clean, leak).exit_code == 1
    assert sovereign("policy", "eval", "--zone", zone_file, clean, clean).exit_code == 0


def test_whole_asks_for_what_is_absent(sovereign: Sovereign, zone_file: Path, tmp_path: Path) -> None:
    file = tmp_path / "namespace.yaml"
    file.write_text(NAMESPACE, encoding="utf-8")
    alone = sovereign("policy", "eval", "--zone", zone_file, "--json", file)
    assert json.loads(alone.stdout)["findings"] == []
    whole = sovereign("policy", "eval", "--zone", zone_file, "--whole", "--json", file)
    assert whole.exit_code == 1
    assert "K01" in {finding["route"] for finding in json.loads(whole.stdout)["findings"]}


def test_standard_input_is_read(sovereign: Sovereign, zone_file: Path) -> None:
    assert sovereign("policy", "eval", "--zone", zone_file, "-", input=CLEAN).exit_code == 0
    assert sovereign("policy", "eval", "--zone", zone_file, "-", input=LEAK).exit_code == 1


def test_without_a_zone_that_is_the_finding(sovereign: Sovereign, clean: Path) -> None:
    result = sovereign("policy", "eval", "--json", clean)
    assert result.exit_code == 1
    found = [(finding["rule"], finding["route"]) for finding in json.loads(result.stdout)["findings"]]
    assert found == [("zone.missing", "P27")]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (json.dumps(PARTIAL).encode(), "--show-sames"),
        (b"\xff\xfe\x00k", "UTF-8"),
        (b"", "empty"),
        (b"kind: [", "YAML"),
        (b"just words", ""),
        (b"{}", ""),
    ],
)
def test_what_cannot_be_read_is_exit_2_with_a_sentence(
    sovereign: Sovereign, zone_file: Path, tmp_path: Path, content: bytes, says: str
) -> None:
    file = tmp_path / "input"
    file.write_bytes(content)
    for given in (sovereign("policy", "eval", "--zone", zone_file, file),
                  sovereign("policy", "eval", "--zone", zone_file, "-", input=content)):  # fmt: skip
        assert given.exit_code == 2, given.output
        assert says.lower() in given.stderr.lower()
        assert given.stdout == ""
        assert "Traceback" not in given.output


def test_a_file_that_is_not_there_is_exit_2(sovereign: Sovereign, zone_file: Path, tmp_path: Path) -> None:
    result = sovereign("policy", "eval", "--zone", zone_file, tmp_path / "none.json")
    assert result.exit_code == 2
    assert "none.json" in result.stderr


def test_a_folder_is_no_file(sovereign: Sovereign, zone_file: Path, tmp_path: Path) -> None:
    result = sovereign("policy", "eval", "--zone", zone_file, tmp_path)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: x\n", "countries"),
        ("name: x\ncountries: [FR]\neea: required\nregions: {aws: [mars-1]}\n", "mars-1"),
        ("name: x\ncountries: [US]\neea: required\n", "US"),
        ("name: x\ncountries: [FR]\neea: any\nnetwork: []\n", "networks"),
        ("[", "YAML"),
        ("", "mapping"),
    ],
)
def test_a_bad_zone_file_is_exit_2_and_says_which_key(
    sovereign: Sovereign, tmp_path: Path, clean: Path, text: str, says: str
) -> None:
    zone = tmp_path / "bad.yaml"
    zone.write_text(text, encoding="utf-8")
    result = sovereign("policy", "eval", "--zone", zone, clean)
    assert result.exit_code == 2
    assert "bad.yaml" in result.stderr
    assert says in result.stderr


def test_a_missing_zone_file_is_exit_2(sovereign: Sovereign, tmp_path: Path, clean: Path) -> None:
    result = sovereign("policy", "eval", "--zone", tmp_path / "none.yaml", clean)
    assert result.exit_code == 2
    assert "none.yaml" in result.stderr


def test_a_site_brings_types_and_rules_of_its_own(
    sovereign: Sovereign, site: Path, zone_file: Path, tmp_path: Path
) -> None:
    widget = tmp_path / "widget.yaml"
    widget.write_text("apiVersion: example.org/v1\nkind: Widget\nmetadata: {name: w}\nspec: {size: 3}\n")
    assert sovereign("policy", "eval", "--zone", zone_file, widget).exit_code == 1
    (site / "types.yaml").write_text("types: [example.org/Widget]\n")
    assert sovereign("--site", site, "policy", "eval", "--zone", zone_file, widget).exit_code == 0
    (site / "rules").mkdir()
    (site / "rules" / "widgets.py").write_text(
        '"""Widgets."""\n'
        "from policies.rule import rule\n\n\n"
        '@rule("site.widget", title="Widgets are small", routes=["P09"], controls=[], fix="Shrink it.",\n'
        '      pack="protection", kinds=["example.org/Widget"])\n'
        "def small(subject, zone):\n"
        '    """A widget of this site has a size of at most 2."""\n'
        '    if (subject["spec"]["size"].number() or 0) > 2:\n'
        '        yield subject.refuse("spec.size", seen="3", why="it is too large")\n'
    )
    run = run_out("--site", site, "policy", "eval", "--zone", zone_file, "--json", widget)
    assert run.returncode == 1, run.stderr
    assert [finding["rule"] for finding in json.loads(run.stdout)["findings"]] == ["site.widget"]


def test_a_broken_rule_of_a_site_is_exit_2_and_names_the_file(
    site: Path, zone_file: Path, clean: Path
) -> None:
    (site / "rules").mkdir()
    (site / "rules" / "broken.py").write_text("def rule(:\n")
    run = run_out("--site", site, "policy", "eval", "--zone", zone_file, clean)
    assert run.returncode == 2
    assert "broken.py" in run.stderr
    assert "Traceback" not in run.stderr


def test_list_is_sorted_and_says_the_same_as_json(sovereign: Sovereign) -> None:
    rules = json.loads(sovereign("policy", "list", "--json").stdout)
    ids = [rule["id"] for rule in rules]
    assert ids == sorted(ids)
    assert ids
    table = sovereign("policy", "list").stdout.splitlines()
    assert [line.split()[0] for line in table[1:]] == ids
    for rule in rules:
        assert rule["what"], f"{rule['id']} explains nothing"
        assert rule["routes"]


def test_the_rules_close_every_route_of_the_first_release(sovereign: Sovereign) -> None:
    closed = {
        route for rule in json.loads(sovereign("policy", "list", "--json").stdout) for route in rule["routes"]
    }
    asked = {f"P{n:02d}" for n in (1, 2, 3, 7, 8, 9, 10, 12, 13, 18, 19)} | {
        f"K{n:02d}" for n in range(1, 25)
    }
    assert asked <= closed, sorted(asked - closed)


def test_explain_by_rule_and_by_route(sovereign: Sovereign) -> None:
    by_route = sovereign("policy", "explain", "k11")
    assert by_route.exit_code == 0
    assert "fix:" in by_route.stdout
    rule = json.loads(sovereign("policy", "explain", "K11", "--json").stdout)[0]["id"]
    assert rule in sovereign("policy", "explain", rule).stdout


def test_explaining_what_there_is_not_names_what_is_near(sovereign: Sovereign) -> None:
    rule = json.loads(sovereign("policy", "list", "--json").stdout)[0]["id"]
    result = sovereign("policy", "explain", rule + "x")
    assert result.exit_code == 2
    assert rule in result.stderr


def test_the_page_of_rules_is_current(sovereign: Sovereign) -> None:
    page = sovereign("policy", "list", "--markdown").stdout
    assert (ROOT / "docs" / "rules.md").read_text(encoding="utf-8") == page, (
        "run `sovereign policy list --markdown > docs/rules.md`"
    )


def test_exit_codes_of_the_process_from_another_folder(zone_file: Path, clean: Path, leak: Path) -> None:
    assert run_out("policy", "eval", "--zone", zone_file, clean).returncode == 0
    assert run_out("policy", "eval", "--zone", zone_file, leak).returncode == 1
    assert run_out("policy", "eval", "--zone", zone_file, "/none").returncode == 2
    assert run_out("policy", "eval", "--nonsense").returncode == 2


def test_eval_imports_nothing_of_the_engine(zone_file: Path, clean: Path) -> None:
    code = (
        "import sys\n"
        "from cli.main import app\n"
        f"app(['policy', 'eval', '--zone', {str(zone_file)!r}, {str(clean)!r}], standalone_mode=False)\n"
        "heavy = {'pulumi', 'pulumi_kubernetes', 'pulumi_policy', 'grpc', 'google', 'toolchain', 'stacks'}\n"
        "found = heavy & {name.partition('.')[0] for name in sys.modules}\n"
        "assert not found, found\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd="/", env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr


def test_a_rule_of_another_family_is_answered_with_its_namesakes(sovereign: Sovereign) -> None:
    result = sovereign("policy", "explain", "egress.cidr")
    assert result.exit_code == 2
    assert "Near it: isolation.cidr. " in result.output
