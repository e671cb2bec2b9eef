"""`make` on a machine as it comes: set-up, take-down, and what is said where something is missing."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from toolchain import set_up, take_down

ROOT = Path(__file__).resolve().parents[2]


def make(*targets: str, folder: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *targets], cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True
    )


def test_make_alone_explains_every_target() -> None:
    done = make()
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*##", text, re.MULTILINE))
    assert targets >= {"up", "plan", "down", "test", "bench", "lock", "clean-cache"}
    assert set(re.findall(r"^  make ([a-z-]+) ", done.stdout, re.MULTILINE)) == targets


def test_a_machine_without_a_fitting_python_is_told_which_to_install(tmp_path: Path) -> None:
    for tool in ("sh", "make"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or tool)
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    (tmp_path / "python3").chmod(0o755)
    done = make("up", PATH=str(tmp_path))
    assert done.returncode != 0
    assert "make needs Python 3.11 or later on PATH: apt install python3 python3-venv" in done.stderr


def test_no_target_gets_a_kubeconfig_or_credentials(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path / "Makefile")
    with (tmp_path / "Makefile").open("a") as makefile:
        makefile.write("\nshow:\n\t@env\n")
    ambient = (
        "KUBECONFIG",
        "AWS_PROFILE",
        "AWS_SECRET_ACCESS_KEY",
        "GOOGLE_CREDENTIALS",
        "PULUMI_ACCESS_TOKEN",
    )
    shown = make("show", folder=tmp_path, **dict.fromkeys(ambient, "ambient"), HTTPS_PROXY="proxy").stdout
    assert "ambient" not in shown
    assert "HTTPS_PROXY=proxy" in shown


@pytest.mark.parametrize("module", ["toolchain.set_up", "toolchain.take_down", "toolchain.build.__main__"])
def test_what_runs_before_the_set_up_needs_the_standard_library_only(module: str) -> None:
    code = (
        "import sys; sys.path = [p for p in sys.path if 'site-packages' not in p] + ['.']\n"
        f"import {module}\n"
        "print(*{name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names)"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert set(done.stdout.split()) <= {"toolchain", "__main__"}, done.stderr
    assert done.returncode == 0, done.stderr


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one small requirement, for the set-up and the take-down."""
    monkeypatch.setattr(set_up, "ROOT", tmp_path)
    monkeypatch.setattr(set_up, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(set_up, "STAMP", tmp_path / ".venv" / "set-up")
    monkeypatch.setattr(take_down, "ROOT", tmp_path)
    monkeypatch.setattr(take_down, "WORK", tmp_path / ".sovereign")
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    pinned = re.search(r"^setuptools==.*?(?=^\S)", lock + "\nend", re.MULTILINE | re.DOTALL)
    assert pinned
    (tmp_path / "requirements.txt").write_text(pinned[0], encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "small"\nversion = "1"\nscripts = {small = "small:main"}\n'
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n',
        encoding="utf-8",
    )
    (tmp_path / "small.py").write_text("def main():\n    print('small')\n", encoding="utf-8")
    return tmp_path


@pytest.mark.engine
def test_the_set_up_is_made_once_and_anew_where_it_no_longer_fits(checkout: Path) -> None:
    said: list[str] = []
    set_up.set_up(said.append)
    assert subprocess.check_output([checkout / ".venv" / "bin" / "small"], text=True) == "small\n"
    assert [line for line in said if not line.endswith("0")] == [
        "making the environment .venv",
        "installing what requirements.txt pins",
        "installing the command sovereign",
    ]
    said.clear()
    start = time.monotonic()
    set_up.set_up(said.append)
    assert said == []
    assert time.monotonic() - start < 0.2
    # a run that was stopped half-way goes on in the same environment
    (checkout / ".venv" / "set-up").write_text(
        (checkout / ".venv" / "set-up").read_text().replace("done", "begun")
    )
    set_up.set_up(said.append)
    assert "making the environment .venv" not in said
    assert "installing what requirements.txt pins" in said
    said.clear()
    with (checkout / "requirements.txt").open("a") as requirements:
        requirements.write("# another\n")
    set_up.set_up(said.append)
    assert said[0] == "making the environment .venv"


@pytest.mark.engine
def test_a_requirement_that_is_not_what_is_pinned_is_refused(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (checkout / "requirements.txt").read_text()
    (checkout / "requirements.txt").write_text(re.sub(r"sha256:[0-9a-f]{64}", f"sha256:{'0' * 64}", text))
    assert set_up.main() == 3
    said = capsys.readouterr().err
    assert "What was served is not what is pinned" in said
    assert "Traceback" not in said
    assert not set_up.STAMP.read_text().endswith("done")


def test_take_down_leaves_nothing_and_may_be_run_on_nothing(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    working = checkout / ".sovereign" / "cluster"
    working.mkdir(parents=True)
    (checkout / "cli" / "__pycache__").mkdir(parents=True)
    with subprocess.Popen(["sleep", "600"], cwd=working) as left:
        assert take_down.main() == 0
        assert left.wait(timeout=5) < 0
    assert not (checkout / ".sovereign").exists()
    assert not (checkout / "cli" / "__pycache__").exists()
    assert (checkout / "small.py").exists()
    assert "make clean-cache" in capsys.readouterr().out
    assert take_down.main() == 0


def test_take_down_doesnt_forget_the_state_of_another_stack(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = checkout / ".sovereign/stacks/lyon/state/.pulumi/stacks/sovereign/lyon.json"
    state.parent.mkdir(parents=True)
    state.write_text(json.dumps({"checkpoint": {"latest": {"resources": [{"urn": "u"}]}}}), encoding="utf-8")
    assert take_down.main() == 3
    assert state.exists()
    assert "lyon" in capsys.readouterr().err
    state.write_text(json.dumps({"checkpoint": {"latest": {"resources": []}}}), encoding="utf-8")
    assert take_down.main() == 0
    assert not state.exists()
