"""A release through the real engine, on a real API server: each test goes on from the last."""

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from cli import prepare, release
from cli.workspace import Stack
from facts.site import ROOT, Site
from tests.cli.test_whole_run import STACK, Trial

pytestmark = [pytest.mark.engine, pytest.mark.cluster]

APPROVED = ("--release", "--approver", "Jean Petit")


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    site = tmp_path_factory.mktemp("release") / "site"
    (site / "zones").mkdir(parents=True)
    shutil.copyfile(ROOT / "stacks" / "zones" / "local.yaml", site / "zones" / "local.yaml")
    made = Trial(site)
    made.write()
    try:
        yield made
    finally:
        made.sovereign("cluster", "down", "--delete")


def stack_of(trial: Trial) -> Stack:
    return Stack(STACK, Site(trial.site))


def test_without_a_release_there_is_nothing_to_apply(trial: Trial) -> None:
    done = trial.sovereign("up", STACK, "--release")
    assert done.returncode == 1, done.stderr
    assert "changed by releases only, and none is planned" in done.stderr


def test_a_release_is_planned_with_the_plugins_that_apply_it_and_applied_once(trial: Trial) -> None:
    said: dict[str, Any] = trial.json("plan", STACK, *APPROVED)
    assert (said["verdict"], said["kind"], said["release"]["approver"]) == ("pass", "release", "Jean Petit")
    assert [one["name"] for one in said["release"]["plugins"]] == ["kubernetes"]
    assert "PRIVATE KEY" not in release.plan_of(stack_of(trial)).read_text()
    summary = trial.json("up", STACK, "--release")
    assert summary["changes"]["create"] == len(said["changes"])
    again = trial.sovereign("up", STACK, "--release")
    assert again.returncode == 1
    assert release.BOUND["serial"] in again.stderr
    assert release.BOUND["state"] in again.stderr
    assert release.BOUND["program"] not in again.stderr


def test_other_settings_than_the_released_ones_are_refused_before_anything_runs(trial: Trial) -> None:
    trial.write(model={"maxLength": 16384})
    changes = trial.json("plan", STACK, *APPROVED)["changes"]
    assert {change["op"] for change in changes} == {"update"}
    trial.write(model={"maxLength": 8192})
    refused = trial.sovereign("up", STACK, "--release")
    assert refused.returncode == 1
    assert release.BOUND["settings"] in refused.stderr
    assert "Nothing is changed" in refused.stderr
    trial.write(model={"maxLength": 16384})
    assert trial.json("up", STACK, "--release")["changes"]["update"] == len(changes)


def test_what_the_saved_plan_does_not_hold_is_refused_by_the_engine(trial: Trial) -> None:
    """A program that does another thing than it planned: here the plan is changed behind its back."""
    trial.write(model={"maxLength": 4096})
    [change] = trial.json("plan", STACK, *APPROVED)["changes"]
    stack = stack_of(trial)
    plan = json.loads(release.plan_of(stack).read_text())
    plan["resourcePlans"][change["urn"]]["steps"] = ["same"]
    release.plan_of(stack).write_text(json.dumps(plan))
    refused = trial.sovereign("up", STACK, "--release")
    assert release.BOUND["plan"] in refused.stderr

    record = json.loads(release.file_of(stack).read_text())
    record["bound"]["plan"] = release._of_files(release._named(release.plan_of(stack)))
    release.file_of(stack).write_text(json.dumps(record))
    refused = trial.sovereign("up", STACK, "--release")
    assert "wasn't written with the stack's secrets" in refused.stderr

    # whoever reads the stack's secrets can seal it, and then the engine is what is left
    prepared = prepare.reopen(stack, lambda said: None)
    record["seal"] = release._sealed(prepared, record)
    release.file_of(stack).write_text(json.dumps(record))
    refused = trial.sovereign("up", STACK, "--release")
    assert refused.returncode == 1, refused.stdout + refused.stderr
    assert "is not what the release planned; nothing was changed" in refused.stderr


def test_a_refused_plan_leaves_no_release(trial: Trial) -> None:
    trial.write(images={"vllm": f"registry.example.com/vllm@sha256:{'0' * 64}"})
    assert "release" not in trial.json("plan", STACK, *APPROVED, expect=1)
    assert not release.file_of(stack_of(trial)).exists()
