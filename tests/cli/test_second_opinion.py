"""`policy eval --second-opinion`: what checkov says stands beside the verdict, and does not change it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.cli.support import Sovereign
from tests.cli.test_policy import CLEAN, LEAK
from toolchain import checkov
from toolchain.errors import BuildError

POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: engine
  namespace: llm-serving
  annotations: {checkov.io/skip1: "CKV_K8S_8=it is in a hurry"}
spec:
  hostNetwork: true
  containers: [{name: engine, image: docker.io/library/engine}]
"""


@pytest.fixture
def honest(tmp_path: Path) -> Path:
    file = tmp_path / "honest.yaml"
    file.write_text(CLEAN, encoding="utf-8")
    return file


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What a stand-in for checkov says of every file: (outcome, id)."""
    answers: list[tuple[str, str]] = []

    def scan(python: Path, tasks: Sequence[checkov.Task]) -> list[dict[str, Any]]:
        reports = []
        for task in tasks:
            results: dict[str, list[dict[str, Any]]] = {"passed_checks": [], "failed_checks": []}
            for file in task.folder.iterdir():
                for outcome, id in answers:
                    if id not in task.skip:
                        one = {"check_id": id, "check_name": f"Title of {id}", "file_path": f"/{file.name}"}
                        results[outcome].append(one)
            reports.append({"results": results})
        return reports

    monkeypatch.setattr(checkov, "ensure", lambda report: Path("python"))
    monkeypatch.setattr(checkov, "scan", scan)
    return answers


def test_it_stands_beside_a_verdict_that_it_does_not_change(
    sovereign: Sovereign,
    zone_file: Path,
    honest: Path,
    said: list[tuple[str, str]],
) -> None:
    said += [
        ("failed_checks", "CKV_K8S_21"),
        ("failed_checks", "CKV_AZURE_206"),
        ("passed_checks", "CKV_K8S_8"),
    ]
    result = sovereign("policy", "eval", "--zone", zone_file, "--json", "--second-opinion", honest)
    assert result.exit_code == 0, result.output
    judged = json.loads(result.stdout)
    assert (judged["verdict"], judged["findings"]) == ("pass", [])
    assert judged["second_opinion"] == [
        {
            "tool": "checkov",
            "id": "CKV_K8S_21",
            "urn": "v1/Service::llm-gateway/inside",
            "title": "Title of CKV_K8S_21",
        }
    ]
    assert judged["second_opinion_coverage"]["judged"] == 1


def test_without_the_option_nothing_of_it_is_there(
    sovereign: Sovereign, zone_file: Path, honest: Path
) -> None:
    judged = json.loads(sovereign("policy", "eval", "--zone", zone_file, "--json", honest).stdout)
    assert not [key for key in judged if "second_opinion" in key]


def test_a_check_that_the_kit_takes_as_its_own_refuses(
    sovereign: Sovereign,
    zone_file: Path,
    honest: Path,
    said: list[tuple[str, str]],
) -> None:
    said.append(("failed_checks", "CKV_K8S_27"))
    result = sovereign("policy", "eval", "--zone", zone_file, "--second-opinion", honest)
    assert result.exit_code == 1
    assert "CKV_K8S_27 (refuses)" in result.stdout
    assert "takes as its own" in result.stdout.splitlines()[-1]
    judged = json.loads(
        sovereign("policy", "eval", "--zone", zone_file, "--json", "--second-opinion", honest).stdout
    )
    assert judged["verdict"] == "refuse"


def test_a_leak_stays_refused_and_the_verdict_comes_last(
    sovereign: Sovereign,
    zone_file: Path,
    tmp_path: Path,
    said: list[tuple[str, str]],
) -> None:
    said.append(("passed_checks", "CKV_K8S_8"))
    leak = tmp_path / "leak.yaml"
    leak.write_text(LEAK, encoding="utf-8")
    result = sovereign("policy", "eval", "--zone", zone_file, "--second-opinion", leak)
    assert result.exit_code == 1
    assert result.stdout.startswith(f"second opinion, checkov {checkov.VERSION}, advisory: 0 failed checks")
    assert "refuse: " in result.stdout.splitlines()[-1]


def test_what_it_has_no_check_for_is_told(
    sovereign: Sovereign, zone_file: Path, tmp_path: Path, said: list[tuple[str, str]]
) -> None:
    pod = tmp_path / "pod.yaml"
    pod.write_text(POD, encoding="utf-8")
    result = sovereign("policy", "eval", "--zone", zone_file, "--second-opinion", pod)
    assert "it had checks for 0 of 1 resource" in result.stdout
    assert "no check of it spoke on: kubernetes:core/v1:Pod (1)" in result.stdout
    assert "1 annotation that asked it to look away, ignored" in result.stdout


def test_where_it_cant_be_made_that_is_exit_3_with_what_to_do(
    sovereign: Sovereign,
    zone_file: Path,
    honest: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ensure(report: object) -> Path:
        raise BuildError("installing checkov failed. Check your pip index settings.")

    monkeypatch.setattr(checkov, "ensure", ensure)
    result = sovereign("policy", "eval", "--zone", zone_file, "--second-opinion", honest)
    assert result.exit_code == 3
    assert result.stdout == ""
    assert "Check your pip index settings." in result.stderr
    assert "Without --second-opinion" in result.stderr


def test_what_it_fails_on_is_shown_to_it_again_file_by_file(
    sovereign: Sovereign, zone_file: Path, honest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[list[int]] = []

    def scan(python: Path, tasks: Sequence[checkov.Task]) -> list[dict[str, Any]]:
        shown.append([len(list(task.folder.iterdir())) for task in tasks])
        reports: list[dict[str, Any]] = []
        for task in tasks:
            [first, *others] = sorted(task.folder.iterdir())
            if others or first.name == "1.yaml":
                reports.append({"error": "AttributeError"})
            else:
                one = {"check_id": "CKV_K8S_21", "check_name": "Title", "file_path": f"/{first.name}"}
                reports.append({"results": {"failed_checks": [one]}})
        return reports

    monkeypatch.setattr(checkov, "ensure", lambda report: Path("python"))
    monkeypatch.setattr(checkov, "scan", scan)
    odd = tmp_path / "odd.yaml"
    odd.write_text(POD, encoding="utf-8")
    result = sovereign("policy", "eval", "--zone", zone_file, "--json", "--second-opinion", honest, odd)
    judged = json.loads(result.stdout)
    assert shown == [[2], [1, 1]]
    assert [one["urn"] for one in judged["second_opinion"]] == ["v1/Service::llm-gateway/inside"]
    assert judged["second_opinion_coverage"]["no_check"] == {"kubernetes:core/v1:Pod": 1}


def test_help_says_what_it_changes_and_what_not(sovereign: Sovereign) -> None:
    told = " ".join(sovereign("policy", "eval", "--help").stdout.split())
    assert "changes neither verdict nor exit code" in told
    assert "reaches no network when it runs" in told


@pytest.mark.checkov
def test_checkov_itself_is_asked(sovereign: Sovereign, zone_file: Path, tmp_path: Path) -> None:
    pod, other = tmp_path / "pod.yaml", tmp_path / "plan.json"
    pod.write_text(POD, encoding="utf-8")
    stack = "urn:pulumi:a::sovereign::pulumi:pulumi:Stack::sovereign-a"
    states: list[dict[str, Any]] = [{"urn": stack, "type": "pulumi:pulumi:Stack", "custom": False}]
    for token, inputs in (
        (
            "aws:ec2/securityGroup:SecurityGroup",
            {"egress": [{"protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlocks": ["0.0.0.0/0"]}]},
        ),
        ("aws:s3/bucket:Bucket", {"bucket": "models"}),
        (
            "azure-native:storage:StorageAccount",
            {"sku": {"name": "Standard_LRS"}, "allowBlobPublicAccess": True},
        ),
    ):
        urn = f"urn:pulumi:a::sovereign::{token}::x"
        states.append({"urn": urn, "type": token, "custom": True, "inputs": inputs})
    steps = [{"op": "create", "urn": state["urn"], "newState": state} for state in states]
    other.write_text(json.dumps({"steps": steps, "changeSummary": {"create": 4}}), encoding="utf-8")
    result = sovereign("policy", "eval", "--zone", zone_file, "--json", "--second-opinion", pod, other)
    assert result.exit_code == 1, result.output
    judged = json.loads(result.stdout)
    found = {(one["id"], one["urn"].rpartition("::")[2]) for one in judged["second_opinion"]}
    assert found >= {
        ("CKV_K8S_19", "llm-serving/engine"),
        ("CKV_K8S_8", "llm-serving/engine"),  # the annotation asked it to pass over this one
        ("CKV_AWS_382", "x"),
        ("CKV_AZURE_35", "x"),
    }
    # these two ask for copies in another region
    assert not {id for id, _ in found} & {"CKV_AWS_144", "CKV_AZURE_206"}
    assert judged["second_opinion_coverage"]["judged"] == 4
