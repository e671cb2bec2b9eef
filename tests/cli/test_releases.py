"""Releases of a model: recorded as one, brought back as one, and refused where there is none."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli import releases
from cli.errors import BadInput
from cli.workspace import Stack
from facts.site import Site
from stacks import settings
from tests.cli.support import ROOT, Sovereign

MODEL = "llama-3.3-70b"


@pytest.fixture
def stack(site: Path) -> Stack:
    made = Stack("trial", Site(site))
    write(made)
    return made


def write(stack: Stack, **model: Any) -> None:
    data = yaml.safe_load((ROOT / "stacks" / "Pulumi.local.yaml").read_text(encoding="utf-8"))
    data["config"]["sovereign:settings"]["models"][0].update(model)
    stack.source.write_text(yaml.safe_dump(data), encoding="utf-8")


def applied(stack: Stack) -> settings.Model:
    """What an `up` would do: settings as they count, and the record of them."""
    given = settings.load(stack.source)
    releases.remember(stack, given)
    return given.models[0]


def test_what_runs_unchanged_is_no_new_release(stack: Stack) -> None:
    applied(stack)
    applied(stack)
    assert [one["release"] for one in releases.of_model(stack, MODEL)] == [1]


def test_image_arguments_weights_and_sizing_come_back_together(stack: Stack) -> None:
    first = applied(stack)
    write(
        stack,
        maxLength=8192,
        arguments=["--enable-chunked-prefill"],
        weights={"digest": f"sha256:{'1' * 64}"},
        image=f"registry.sovereign.internal/vllm-openai@sha256:{'2' * 64}",
    )
    assert applied(stack) != first
    releases.roll_back(stack, MODEL, None)
    back = applied(stack)
    assert back.model_copy(update={"image": None}) == first
    assert back.image == settings.load(stack.source).images.vllm
    releases.end(stack, MODEL)
    assert settings.load(stack.source).models[0].max_length == 8192
    assert not stack.site.rollback_file(stack.name).exists()


def test_a_release_is_chosen_by_its_number(stack: Stack) -> None:
    for length in (4096, 8192, 16384):
        write(stack, maxLength=length)
        applied(stack)
    releases.roll_back(stack, MODEL, 1)
    assert settings.load(stack.source).models[0].max_length == 4096
    with pytest.raises(BadInput, match=r"no release 9 .* recorded are 1, 2, 3"):
        releases.roll_back(stack, MODEL, 9)


def test_a_first_release_has_none_before_it(stack: Stack) -> None:
    with pytest.raises(BadInput, match="no release of llama"):
        releases.roll_back(stack, MODEL, None)
    applied(stack)
    with pytest.raises(BadInput, match="no release of llama"):
        releases.roll_back(stack, MODEL, None)
    with pytest.raises(BadInput, match="not rolled back"):
        releases.end(stack, MODEL)


def test_a_rollback_file_of_another_hand_is_told(stack: Stack) -> None:
    file = stack.site.rollback_file(stack.name)
    file.write_text("llama-3.3-70b: {model: {name: other}}\n", encoding="utf-8")
    with pytest.raises(settings.SettingsError, match=r"rollback\.trial\.yaml: llama-3\.3-70b: is no release"):
        settings.load(stack.source)
    file.write_text("other: {model: {name: other}}\n", encoding="utf-8")
    with pytest.raises(settings.SettingsError, match="other is rolled back, and the stack has none of it"):
        settings.load(stack.source)


def test_records_that_cannot_be_read_are_told(stack: Stack) -> None:
    applied(stack)
    next((stack.folder / "releases").glob("*.json")).write_text("{", encoding="utf-8")
    with pytest.raises(BadInput, match="can't be read: remove the file"):
        releases.of_model(stack, MODEL)


def test_the_command_lists_and_refuses(sovereign: Sovereign, stack: Stack, site: Path) -> None:
    none = sovereign("--site", site, "rollback", "trial", MODEL, "--list")
    assert none.exit_code == 0, none.output
    assert none.output == f"No release of {MODEL} in trial is recorded: `up` does.\n"
    applied(stack)
    listed = sovereign("--site", site, "rollback", "trial", MODEL, "--list")
    assert listed.exit_code == 0, listed.output
    assert "4 GPUs, 32768 tokens" in listed.output
    unknown = sovereign("--site", site, "rollback", "trial", "other")
    assert unknown.exit_code == 2
    assert "trial has no model other: it has llama-3.3-70b" in unknown.output
    first = sovereign("--site", site, "rollback", "trial", MODEL)
    assert first.exit_code == 2
    assert not stack.site.rollback_file("trial").exists()


def test_a_stack_on_a_cloud_is_rolled_back_in_its_files_and_by_the_next_release(
    sovereign: Sovereign, site: Path
) -> None:
    made = Stack("aws-paris-hds", Site(site))
    given = yaml.safe_load((ROOT / "stacks" / "Pulumi.aws-paris-hds.yaml").read_text(encoding="utf-8"))
    model = given["config"]["sovereign:settings"]["models"][0]
    for length in (16384, 8192):
        model["maxLength"] = length
        made.source.write_text(yaml.safe_dump(given), encoding="utf-8")
        applied(made)
    done = sovereign("--site", site, "rollback", made.name, MODEL)
    assert done.exit_code == 0, done.output
    assert "nothing is applied yet, because aws-paris-hds is changed by releases only" in done.stdout
    assert "sovereign plan aws-paris-hds --release --approver NAME" in done.stdout
    assert settings.load(made.source).models[0].max_length == 16384
    ended = sovereign("--site", site, "rollback", made.name, MODEL, "--end", "--json")
    assert json.loads(ended.stdout)["applied"] is False
    assert settings.load(made.source).models[0].max_length == 8192
    # what an earlier kit recorded, and this one can't plan: the files stay as they were
    record = next((made.folder / "releases").glob("*.json"))
    record.write_text(record.read_text().replace('"gpus": 4', '"gpus": 3'), encoding="utf-8")
    wrong = sovereign("--site", site, "rollback", made.name, MODEL, "--to", "1")
    assert wrong.exit_code == 2
    assert "models.0.gpus" in wrong.output
    assert not made.site.rollback_file(made.name).exists()
