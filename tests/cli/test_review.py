"""A review: what it takes from the site, and, through the engine, a cloud's stack without any account."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli import review
from cli.errors import BadInput
from cli.workspace import Stack
from facts.site import ROOT, Site
from policies.verdict import NoVerdict, require
from tests.cli.support import COMMAND, Sovereign, run_out

STACK = "aws-paris-hds"
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:abc"}


@pytest.fixture
def trial(tmp_path: Path) -> Path:
    """A site with a shipped stack on a cloud."""
    site = tmp_path / "site"
    shutil.copytree(ROOT / "stacks" / "zones", site / "zones")
    data = yaml.safe_load((ROOT / "stacks" / f"Pulumi.{STACK}.yaml").read_text(encoding="utf-8"))
    text = json.dumps(data, default=str)  # dates as the texts that the engine keeps
    (site / f"Pulumi.{STACK}.yaml").write_text(text, encoding="utf-8")
    return site


def deployment(*resources: dict[str, Any], stack: str = STACK) -> dict[str, Any]:
    root = f"urn:pulumi:{stack}::sovereign::pulumi:pulumi:Stack::sovereign-{stack}"
    made = [{"urn": root, "type": "pulumi:pulumi:Stack", "custom": False}]
    for one in resources:
        urn = f"urn:pulumi:{stack}::sovereign::{one['type']}::{one.pop('name')}"
        made.append({"urn": urn, "custom": True, "parent": root, **one})
    providers = {"type": "cloud", "state": {"url": "awskms:///alias/nobody", "encryptedkey": "AAAA"}}
    return {"version": 3, "deployment": {"secrets_providers": providers, "resources": made}}


def test_settings_come_without_keys_and_without_what_they_encrypt(trial: Path, tmp_path: Path) -> None:
    file = trial / f"Pulumi.{STACK}.yaml"
    data = yaml.safe_load(file.read_text(encoding="utf-8"))
    data |= {"encryptedkey": "AAAA", "secretsprovider": "awskms:///alias/nobody"}
    data["config"]["sovereign:auditKey"] = {"secure": "v1:abc"}
    file.write_text(yaml.safe_dump(data), encoding="utf-8")
    copied = review._settings_file(Stack(STACK, Site(trial)), tmp_path)
    found = yaml.safe_load(copied.read_text(encoding="utf-8"))
    assert found.keys() == {"config"}
    assert found["config"].keys() == data["config"].keys() - {"sovereign:auditKey"}


def test_secrets_of_a_state_are_replaced_wherever_they_are() -> None:
    found = review._in_clear({"outputs": {"a": [SECRET, {"b": SECRET}], "c": "kept"}})
    inside = found["outputs"]["a"]
    assert inside[0] == inside[1]["b"]
    assert json.loads(inside[0]["plaintext"]) == "secret of the state"
    assert "ciphertext" not in inside[0]
    assert found["outputs"]["c"] == "kept"


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"deployment": {"resources": [{}]}}'])
def test_a_file_that_is_no_state_is_said_to_be_none(trial: Path, tmp_path: Path, text: str) -> None:
    file = tmp_path / "state.json"
    file.write_text(text)
    with pytest.raises(BadInput, match="is no state: give the file that `pulumi stack export` writes"):
        review._take(file, Stack(STACK, Site(trial)), None, tmp_path)  # type: ignore[arg-type]


def test_the_state_of_another_stack_is_refused(trial: Path, tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    file.write_text(json.dumps(deployment(stack="prod")))
    with pytest.raises(
        BadInput, match=r"the state of another stack \(urn:pulumi:prod\), not of aws-paris-hds"
    ):
        review._take(file, Stack(STACK, Site(trial)), None, tmp_path)  # type: ignore[arg-type]


def test_what_is_of_reviews_or_releases_alone_says_so(sovereign: Sovereign, trial: Path) -> None:
    for options, words in (
        ((STACK, "--release"), "give --approver NAME"),
        ((STACK, "--release", "--approver", "Ana", "--ordinary"), "are of a review"),
        (("local", "--ordinary"), "are of a review"),
    ):
        site = () if options[0] == "local" else ("--site", trial)
        done = sovereign(*site, "plan", *options)
        assert done.exit_code == 2
        assert words in done.output


def test_a_release_is_not_planned_with_placeholders(sovereign: Sovereign, trial: Path) -> None:
    done = sovereign("--site", trial, "plan", STACK, "--release", "--approver", "Ana")
    assert done.exit_code == 2
    assert "its digest is a placeholder" in done.output


@pytest.mark.engine
def test_a_stack_on_a_cloud_is_reviewed_with_no_account_and_no_network(trial: Path) -> None:
    inside = [
        "unshare",
        "--user",
        "--map-root-user",
        "--net",
        "sh",
        "-c",
        'ip link set lo up && exec "$@"',
        "sh",
    ]
    command = [*COMMAND, "--site", str(trial), "plan", STACK, "--json"]
    cut_off = shutil.which("ip") and not subprocess.run([*inside, "true"], capture_output=True).returncode
    done = subprocess.run(
        [*inside, *command] if cut_off else command,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    said = json.loads(done.stdout)
    assert (said["verdict"], said["findings"], said["kind"], said["advisory"]) == ("pass", [], "review", True)
    assert said["state"] is None
    made = {change["type"].partition(":")[0] for change in said["changes"]}
    assert made >= {"aws", "kubernetes"}
    assert {change["op"] for change in said["changes"]} == {"create"}
    # it says nothing of what may be applied, and leaves nothing but that word
    kept = trial / ".sovereign" / "stacks" / STACK
    assert {file.name for file in kept.iterdir()} <= {"lock", "verdict.json", ".verdict.json.lock"}
    stored = json.loads((kept / "verdict.json").read_text())
    assert (stored["digest"], stored["review"]) == (said["digest"], True)
    with pytest.raises(NoVerdict, match="that of a review"):
        require(kept / "verdict.json", stored["digest"], stored["rules"])


@pytest.mark.engine
def test_a_review_starts_from_an_exported_state_and_shows_what_stays_unknown(
    trial: Path, tmp_path: Path
) -> None:
    given = {"region": "eu-west-3", "allowedAccountIds": '["111122223333"]', "version": "7.51.1"}
    provider = {
        "type": "pulumi:providers:aws",
        "name": "earlier",
        "id": "p1",
        "inputs": given,
        "outputs": given,
    }
    urn = f"urn:pulumi:{STACK}::sovereign::pulumi:providers:aws::earlier::p1"
    secret = {"secretString": SECRET}
    old = {"type": "aws:secretsmanager/secretVersion:SecretVersion", "name": "old", "provider": urn}
    state = tmp_path / "state.json"
    state.write_text(json.dumps(deployment(provider, old | {"id": "s", "inputs": secret, "outputs": secret})))
    done = run_out("--site", trial, "plan", STACK, "--json", "--ordinary", "--state", state, timeout=600)
    assert done.returncode == 0, done.stderr + done.stdout
    said = json.loads(done.stdout)
    assert (said["verdict"], said["state"]) == ("pass", "state.json")
    gone = {change["urn"].rpartition("::")[2] for change in said["changes"] if change["op"] == "delete"}
    assert gone == {"old", "earlier"}
    beside = said["ordinary"]
    assert not any(change["type"].startswith("kubernetes:") for change in beside["changes"])
    unknown = {finding["path"] for finding in beside["findings"] if finding["rule"] == "unknowns.value"}
    assert "vpcId" not in unknown  # a reference to one resource of the zone
    assert "subnetIds[0]" in unknown
