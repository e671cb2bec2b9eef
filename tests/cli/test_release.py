"""A release is for exactly what it was planned from: each part that is another now is named."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from cli import release
from cli.errors import BadInput, OperationFailed, Refused
from cli.prepare import Prepared
from cli.workspace import Stack
from facts import zones
from facts.site import ROOT, Site
from stacks import settings

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
DAY = timedelta(hours=24)
VERDICT = {"digest": "sha256:1", "resources": 3}
PLUGIN = "plugins/resource-kubernetes-v4.34.2/pulumi-resource-kubernetes"


@dataclass
class Run:
    """A prepared stack in a folder, and what its engine exports as state."""

    folder: Path
    state: dict[str, Any]
    signers: dict[str, str] = field(default_factory=dict)
    secret: str = "the stack's audit key"

    @property
    def prepared(self) -> Prepared:
        root = self.folder
        engine: Any = SimpleNamespace(
            executable=root / "engine" / "pulumi",
            home=root / "home",
            config_file=root / "Pulumi.trial.yaml",
            checked=lambda arguments: self.secret if arguments[0] == "config" else json.dumps(self.state),
        )
        chosen = settings.load(ROOT / "stacks" / "Pulumi.local.yaml")
        zone = zones.load(ROOT / "stacks" / "zones" / "local.yaml")
        zone = zone.model_copy(update={"signers": self.signers})
        return Prepared(Stack("trial", Site(root / "site", root)), chosen, zone, engine)

    def write(self, name: str, text: str = "x") -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(release, "ROOT", tmp_path)
    made = Run(tmp_path, {"deployment": {"manifest": {"time": "t1"}, "resources": [{"urn": "urn:a"}]}})
    for name in (
        "Pulumi.yaml",
        "Pulumi.trial.yaml",
        "requirements.txt",
        "components/part.py",
        "engine/pulumi",
        "engine/pulumi-language-python",
        "facts/regions.yaml",
        "policies/rules/one.py",
        "site/.sovereign/stacks/trial/release-plan.json",
        "site/zones/local.yaml",
        "stacks/settings.py",
        "toolchain/build/pulumi/go.sum",
        "toolchain/providers/kubernetes/apply.py",
        f"home/{PLUGIN}",
    ):
        made.write(name)
    return made


def recorded(run: Run, **changes: Any) -> dict[str, Any]:
    given = {"approver": "Jean Petit", "key": None, "valid": DAY, "now": NOW, **changes}
    began = release.Bound(run.prepared).digests()
    return release.record(run.prepared, began, VERDICT, **given)


def test_an_unchanged_run_is_the_one_that_was_released(run: Run) -> None:
    made = recorded(run)
    run.write("components/__pycache__/part.cpython-311.pyc")
    run.write("home/plugins/resource-aws-v7.51.1/pulumi-resource-aws")
    assert release.require(run.prepared, NOW + DAY) == made
    assert (made["schema"], made["approver"], made["expires"]) == (
        "release/v1",
        "Jean Petit",
        "2026-11-26T12:00:00+00:00",
    )
    assert made["bound"].keys() == release.BOUND.keys()
    assert made["bound"]["serial"] == "t1"
    assert [(one["name"], one["version"]) for one in made["plugins"]] == [("kubernetes", "4.34.2")]
    plan = release.plan_of(run.prepared.stack)
    assert plan.stat().st_mode & 0o777 == 0o600


def test_what_changes_while_it_is_planned_leaves_no_release(run: Run) -> None:
    began = release.Bound(run.prepared).digests()
    run.write("components/part.py", "another")
    with pytest.raises(OperationFailed, match="since planning began the program is another one"):
        release.record(run.prepared, began, VERDICT, "Jean Petit", None, DAY, NOW)
    assert not release.file_of(run.prepared.stack).exists()


def written(name: str) -> Callable[[Run], None]:
    return lambda run: run.write(name, "another")


def serial(run: Run) -> None:
    run.state["deployment"]["manifest"]["time"] = "t2"


def state(run: Run) -> None:
    run.state["deployment"]["resources"] = []


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (written("components/part.py"), "program"),
        (written("components/new.py"), "program"),
        (written("stacks/settings.py"), "program"),
        (written("Pulumi.yaml"), "program"),
        (written("facts/regions.yaml"), "program"),
        (written("policies/rules/one.py"), "packs"),
        (written("policies/rules/table.yaml"), "packs"),
        (written("site/rules/own.py"), "packs"),
        (written("site/types.yaml"), "packs"),
        (written("site/waivers/one.yaml"), "packs"),
        (written("Pulumi.trial.yaml"), "settings"),
        (written("site/zones/local.yaml"), "settings"),
        (written("site/models.yaml"), "settings"),
        (written("site/rollback.trial.yaml"), "settings"),
        (written("requirements.txt"), "locks"),
        (written("toolchain/build/pulumi/go.sum"), "locks"),
        (written("engine/pulumi"), "engine"),
        (written("engine/pulumi-language-python"), "engine"),
        (written(f"home/{PLUGIN}"), "plugins"),
        (written("toolchain/providers/kubernetes/apply.py"), "plugins"),
        (serial, "serial"),
        (state, "state"),
        (written("site/.sovereign/stacks/trial/release-plan.json"), "plan"),
    ],
)
def test_what_is_another_now_is_named_and_nothing_else(
    run: Run, change: Callable[[Run], None], part: str
) -> None:
    recorded(run)
    change(run)
    with pytest.raises(Refused) as refused:
        release.require(run.prepared, NOW)
    said = str(refused.value).splitlines()
    detail = ": kubernetes 4.34.2" if part == "plugins" else ""
    assert said[1:-1] == [f"  {release.BOUND[part]}{detail}"]
    assert said[-1].endswith("Plan and approve it again: sovereign plan trial --release.")


def test_a_release_ends(run: Run) -> None:
    recorded(run, valid=timedelta(hours=1))
    with pytest.raises(Refused, match="has expired: it was to be used until 2026-11-25T13:00:00"):
        release.require(run.prepared, NOW + timedelta(hours=1, seconds=1))


def test_one_of_another_stack_or_zone(run: Run) -> None:
    made = recorded(run)
    for key in ("stack", "zone"):
        release.file_of(run.prepared.stack).write_text(json.dumps({**made, key: "another"}))
        with pytest.raises(Refused, match="of another stack or zone"):
            release.require(run.prepared, NOW)


def test_none_and_one_that_cant_be_read(run: Run) -> None:
    with pytest.raises(Refused, match="by releases only, and none is planned"):
        release.require(run.prepared, NOW)
    for text in ("{", "[]", '{"schema": "release/v9"}'):
        release.file_of(run.prepared.stack).write_text(text)
        with pytest.raises(Refused, match="no release that this version"):
            release.require(run.prepared, NOW)
    made = recorded(run)
    release.file_of(run.prepared.stack).write_text(json.dumps({**made, "bound": None, "expires": None}))
    with pytest.raises(Refused, match="has expired"):
        release.require(run.prepared, NOW)


def test_a_withdrawn_one_is_none(run: Run) -> None:
    recorded(run)
    release.withdraw(run.prepared.stack)
    release.withdraw(run.prepared.stack)
    with pytest.raises(Refused, match="none is planned"):
        release.require(run.prepared, NOW)
    assert not release.plan_of(run.prepared.stack).exists()


@pytest.fixture
def signing(run: Run) -> Path:
    """Jean's key, in a zone that names him as a signer."""
    key = Ed25519PrivateKey.generate()
    file = run.folder / "jean.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    run.signers["Jean Petit"] = public.decode()
    return file


def test_where_the_zone_names_signers_the_approver_is_one_and_signs(run: Run, signing: Path) -> None:
    zone = run.prepared.zone
    with pytest.raises(BadInput, match=r"Ana may not approve .* its signers are Jean Petit"):
        release.check_approver("Ana", signing, zone)
    with pytest.raises(BadInput, match="has to sign: give --key"):
        release.check_approver("Jean Petit", None, zone)
    release.check_approver("Jean Petit", signing, zone)
    with pytest.raises(BadInput, match="holds no ed25519 private key"):
        recorded(run, key=run.folder / "Pulumi.yaml")
    recorded(run, key=signing)
    release.require(run.prepared, NOW)


@pytest.mark.parametrize(
    "change", [{"expires": "2099-01-01T00:00:00+00:00"}, {"approver": "Ana"}, {"signature": "x"}]
)
def test_a_signed_release_holds_as_it_was_signed(run: Run, signing: Path, change: dict[str, str]) -> None:
    made = recorded(run, key=signing)
    release.file_of(run.prepared.stack).write_text(json.dumps({**made, **change}))
    with pytest.raises(Refused, match="is no signer of zone local, or has not signed it as it is"):
        release.require(run.prepared, NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"approver": "Ana"},
        {"expires": "2099-01-01T00:00:00+00:00"},
        {"verdict": {"digest": "sha256:2", "resources": 3}},
        {"seal": "00"},
        {"seal": None},
    ],
)
def test_without_signers_only_who_reads_the_stacks_secrets_writes_a_release(
    run: Run, change: dict[str, Any]
) -> None:
    made = recorded(run)
    assert run.secret not in json.dumps(made)
    release.file_of(run.prepared.stack).write_text(json.dumps({**made, **change}))
    with pytest.raises(Refused, match="wasn't written with the stack's secrets, or has been changed"):
        release.require(run.prepared, NOW)


def test_a_release_sealed_by_another_secret_is_none_of_this_stack(run: Run) -> None:
    recorded(run)
    run.secret = "another"
    with pytest.raises(Refused, match="wasn't written with the stack's secrets"):
        release.require(run.prepared, NOW)


def test_without_signers_anybody_is_named(run: Run) -> None:
    release.check_approver("Ana", None, run.prepared.zone)
