"""A user's mistakes at the stack verbs: a sentence, the right exit code, and nothing begun."""

import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli import prepare, workspace
from cli.errors import BadInput, OperationFailed
from cli.workspace import Stack
from facts.site import Site
from stacks import settings
from tests.cli.support import ROOT, Sovereign
from toolchain.engine import Engine
from toolchain.providers import kubernetes

VERBS = (("plan",), ("up",), ("env",), ("down", "--yes"))


def write_stack(site: Path, name: str = "trial", **changes: Any) -> Path:
    """The local stack's settings under another name, with changes to its settings (a None takes one away)."""
    data = yaml.safe_load((ROOT / "stacks" / "Pulumi.local.yaml").read_text(encoding="utf-8"))
    chosen = data["config"]["sovereign:settings"]
    chosen.update({"zone": "test", "state": {"backend": "file://state", "secretsProvider": "passphrase"}})
    chosen.update(changes)
    data["config"]["sovereign:settings"] = {key: value for key, value in chosen.items() if value is not None}
    file = site / f"Pulumi.{name}.yaml"
    file.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return file


@pytest.mark.parametrize("verb", VERBS)
def test_an_unknown_stack_is_answered_with_those_there_are(
    sovereign: Sovereign, site: Path, verb: tuple[str, ...]
) -> None:
    write_stack(site)
    result = sovereign("--site", site, *verb, "trail")
    assert result.exit_code == 2
    assert "Did you mean trial?" in result.stderr
    assert str(site) in result.stderr
    assert not (site / ".sovereign").exists()


@pytest.mark.parametrize("name", ["../local", "a/b", "", ".", "x\n"])
def test_a_stack_name_is_no_path(sovereign: Sovereign, site: Path, name: str) -> None:
    assert sovereign("--site", site, "plan", name).exit_code == 2


def test_a_site_without_stacks_says_what_to_write(sovereign: Sovereign, site: Path) -> None:
    result = sovereign("--site", site, "plan", "local")
    assert result.exit_code == 2
    assert "Pulumi.<stack>.yaml" in result.stderr


def test_a_site_that_is_not_there(sovereign: Sovereign, tmp_path: Path) -> None:
    result = sovereign("--site", tmp_path / "none", "plan", "local")
    assert result.exit_code == 2
    assert "none" in result.stderr


@pytest.mark.parametrize("verb", [("plan",), ("up",), ("env",)])
def test_a_stack_without_a_zone_is_refused(sovereign: Sovereign, site: Path, verb: tuple[str, ...]) -> None:
    file = write_stack(site, zone=None)
    result = sovereign("--site", site, *verb, "trial")
    assert result.exit_code == 2
    assert str(file) in result.stderr
    assert "zone" in result.stderr


def test_a_zone_file_that_is_missing_is_named(sovereign: Sovereign, site: Path) -> None:
    write_stack(site, zone="elsewhere")
    result = sovereign("--site", site, "plan", "trial")
    assert result.exit_code == 2
    assert "elsewhere.yaml" in result.stderr


def test_a_region_that_nobody_knows_is_named(sovereign: Sovereign, site: Path) -> None:
    write_stack(site)
    zone = site / "zones" / "test.yaml"
    zone.write_text(zone.read_text().replace("onprem: [room-1]", "aws: [mars-1]"))
    result = sovereign("--site", site, "plan", "trial")
    assert result.exit_code == 2
    assert "mars-1" in result.stderr


def test_clients_outside_the_zone_are_refused_before_anything_is_written(
    sovereign: Sovereign, site: Path
) -> None:
    file = write_stack(site, clients={"networks": ["198.51.100.0/24"]})
    result = sovereign("--site", site, "plan", "trial")
    assert result.exit_code == 2
    assert f"{file}: clients.networks.0: hosts outside zone" in result.stderr
    assert "198.51.100.0" not in result.output
    assert not (site / ".sovereign" / "state").exists()


def test_an_unknown_key_is_named_with_those_allowed_and_never_its_value(
    sovereign: Sovereign, site: Path
) -> None:
    file = write_stack(site, modle={"token": "hunter2"})
    result = sovereign("--site", site, "plan", "trial")
    assert result.exit_code == 2
    assert str(file) in result.stderr
    assert "modle" in result.stderr
    assert "retentionDays" in result.stderr
    assert "hunter2" not in result.output


def test_a_settings_file_that_is_no_yaml(sovereign: Sovereign, site: Path) -> None:
    (site / "Pulumi.trial.yaml").write_text("config: [", encoding="utf-8")
    result = sovereign("--site", site, "plan", "trial")
    assert result.exit_code == 2
    assert "line 1" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("state", "route"),
    [
        ({"backend": "s3://bucket?region=us-east-1", "secretsProvider": "passphrase"}, "P18"),
        ({"backend": "https://api.example.com", "secretsProvider": "passphrase"}, "P18"),
        ({"backend": "file://state", "secretsProvider": "awskms://alias/x?region=us-east-1"}, "P19"),
    ],
)
def test_state_or_key_outside_the_zone_is_refused_before_anything_is_written(
    sovereign: Sovereign, site: Path, state: dict[str, str], route: str
) -> None:
    write_stack(site, state=state)
    result = sovereign("--site", site, "plan", "trial")
    assert result.exit_code == 1, result.output
    assert route in result.stderr


def test_taking_down_what_runs_on_a_cluster_of_ones_own_asks_for_a_yes(sovereign: Sovereign) -> None:
    result = sovereign("--site", ROOT / "tests" / "sites" / "example-hospital", "down", "hospital")
    assert result.exit_code == 2
    assert "--yes" in result.stderr


def test_a_missing_official_plugin_is_said_with_how_to_install_it(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    settings = prepare.settings_of(stack)
    official = settings.model_copy(
        update={"cluster": settings.cluster.model_copy(update={"provider": "official"})}
    )
    engine = Engine(tmp_path / "pulumi", tmp_path, workspace.official_home(), f"file://{tmp_path}")
    with pytest.raises(BadInput, match="pulumi plugin install resource kubernetes"):
        prepare.install_provider(official, engine)
    (tmp_path / "home" / "plugins" / f"resource-kubernetes-v{kubernetes.VERSION}").mkdir(parents=True)
    prepare.install_provider(official, engine)


def test_taking_down_what_is_not_up_is_no_error(sovereign: Sovereign, site: Path) -> None:
    write_stack(site)
    for _ in range(2):
        result = sovereign("--site", site, "down", "trial", "--yes")
        assert result.exit_code == 0, result.output
        assert result.stdout == "trial: nothing\n"


def test_who_names_an_approver_and_no_release_is_told(sovereign: Sovereign, site: Path) -> None:
    write_stack(site)
    result = sovereign("--site", site, "plan", "trial", "--approver", "Ana")
    assert result.exit_code == 2, result.output
    assert "add --release" in result.stderr


def test_what_was_never_up_has_no_drift_to_tell(sovereign: Sovereign, site: Path) -> None:
    write_stack(site)
    result = sovereign("--site", site, "drift", "trial")
    assert result.exit_code == 2, result.output
    assert result.stderr == "trial has no state to compare: nothing was stood up by `sovereign up trial`.\n"


@pytest.fixture
def stack(site: Path) -> Stack:
    write_stack(site)
    return Stack("trial", Site(site))


def test_two_runs_do_not_work_on_one_stack(stack: Stack) -> None:
    with (
        prepare.held(stack),
        pytest.raises(OperationFailed, match="Another run"),
        prepare.held(stack),
    ):
        pass
    with prepare.held(stack):
        pass


def test_the_passphrase_is_made_once_for_its_owner_alone(stack: Stack) -> None:
    chosen = settings.load(stack.source)
    first = prepare.passphrase_file(stack, chosen)
    assert first is not None
    text = first.read_text()
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    assert len(text) >= 32
    again = prepare.passphrase_file(stack, chosen)
    assert again is not None
    assert again.read_text() == text


def test_a_lost_passphrase_is_not_replaced_beside_its_state(stack: Stack) -> None:
    chosen = settings.load(stack.source)
    folder = prepare.state_folder(stack, chosen)
    assert folder is not None
    checkpoint = folder / ".pulumi" / "stacks" / "sovereign" / "trial.json"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_text("{}")
    with pytest.raises(BadInput, match="gone"):
        prepare.passphrase_file(stack, chosen)


def test_the_working_copy_follows_its_source_and_keeps_what_the_engine_wrote() -> None:
    secret = {"secure": "v1:abc"}
    copy = {
        "config": {"sovereign:settings": {"zone": "old"}, "sovereign:tls": secret, "gone": 1},
        "encryptionsalt": "v1:salt",
    }
    source = {"config": {"sovereign:settings": {"zone": "new"}, "added": 2}}
    assert prepare.in_step(source, copy) == {
        "config": {"sovereign:settings": {"zone": "new"}, "added": 2, "sovereign:tls": secret},
        "encryptionsalt": "v1:salt",
    }
    assert prepare.in_step(source, {}) == source
    assert prepare.in_step({**source, "encryptionsalt": "v1:of another"}, copy)["encryptionsalt"] == "v1:salt"
    assert "encryptionsalt" not in prepare.in_step({**source, "encryptionsalt": "v1:of another"}, {})
