"""checkov's environment: pinned, off the network, and deaf to settings that would switch its checks off."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from toolchain import checkov


@pytest.fixture
def offline() -> ModuleType:
    spec = importlib.util.spec_from_file_location("offline", checkov.HERE / "offline.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_is_pinned_by_hashes_and_names_no_host() -> None:
    text = checkov.REQUIREMENTS.read_text(encoding="utf-8")
    assert re.fullmatch(r"\d+\.\d+\.\d+", checkov.VERSION)
    assert "://" not in text
    packages = re.split(r"\n(?=[a-z0-9])", text.strip())
    assert len(packages) > 20
    assert all("--hash=sha256:" in package for package in packages)


@pytest.mark.parametrize("event", ["socket.connect", "socket.getaddrinfo", "socket.sendto"])
def test_what_reaches_a_network_is_refused(offline: ModuleType, event: str) -> None:
    with pytest.raises(PermissionError, match="stays on this machine"):
        offline._refuse(event, ())
    offline._refuse("open", ())


def test_a_program_that_does_not_answer_is_an_error_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(checkov.ScanError, match="Remove its environment"):
        checkov.scan(Path(sys.executable), [checkov.Task(tmp_path, "kubernetes")])


@pytest.mark.checkov
def test_settings_of_the_user_do_not_reach_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = checkov.ensure(lambda sentence: None)
    home, folder = tmp_path / "home", tmp_path / "objects"
    for place in (home, folder):
        place.mkdir()
    (home / ".checkov.yaml").write_text("check: [CKV_K8S_99]\n", encoding="utf-8")
    (folder / "pod.yaml").write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {hostNetwork: true, containers: []}\n"
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("CKV_IGNORED_DIRECTORIES", str(folder))
    monkeypatch.chdir(home)
    one, other = checkov.scan(
        python,
        [checkov.Task(folder, "kubernetes"), checkov.Task(folder, "kubernetes", ["CKV_K8S_19"])],
    )
    assert "CKV_K8S_19" in {found["check_id"] for found in one["results"]["failed_checks"]}
    assert "CKV_K8S_19" not in {found["check_id"] for found in other["results"]["failed_checks"]}
