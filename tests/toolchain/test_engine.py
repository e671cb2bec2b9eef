"""The engine: its choice and environment, then real runs of it: programs, packs, interrupts, repair."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from toolchain import engine as engines
from toolchain.engine import PROXIES, Engine
from toolchain.errors import EngineError
from toolchain.repair import adopt_pending, kubernetes_id, repair, unlock

ROOT = Path(__file__).resolve().parents[2]
VENV = Path(sys.prefix)
STACK = "dev"

#: says what it was given, and makes a resource that takes `sleep` seconds and leaves a file
PROGRAM = """
import os, sys, time
import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource, ResourceProvider


class Files(ResourceProvider):
    def create(self, given):
        import time
        open(given["path"], "w").close()
        time.sleep(given["sleep"])
        return CreateResult(given["path"], given)

    def read(self, identifier, given):
        import os
        return ReadResult(identifier, given) if os.path.exists(identifier) else ReadResult("", {})

    def delete(self, identifier, given):
        import os
        os.unlink(identifier)


class File(Resource):
    def __init__(self, name, given):
        super().__init__(Files(), name, given)


print("on stdout")
print("on stderr", file=sys.stderr)
settings = pulumi.Config("sovereign")
pulumi.export("plain", settings.get("plain"))
pulumi.export("hidden", settings.get_secret("hidden"))
pulumi.export("folder", os.getcwd())
given = {"path": os.path.abspath("made"), "sleep": settings.get_int("sleep") or 0}
File(settings.get("name") or "made", given)
"""

PACK = """
from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy


def judge(args, report):
    if args.name == "leak":
        report("this leaks")


rule = ResourceValidationPolicy("names", "names", judge, enforcement_level=EnforcementLevel.MANDATORY)
PolicyPack("tests", [rule])
"""


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """The engine for a project of the test's own, with a pack beside it."""
    for folder, source, file in (("project", PROGRAM, "Pulumi.yaml"), ("pack", PACK, "PulumiPolicy.yaml")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__main__.py").write_text(source, encoding="utf-8")
        (tmp_path / folder / "environment").symlink_to(VENV)
        (tmp_path / folder / file).write_text(
            "name: sovereign\nruntime:\n  name: python\n  options: {virtualenv: environment}\n",
            encoding="utf-8",
        )
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings" / "own.yaml").write_text(
        "config: {sovereign:plain: from the file}\n", encoding="utf-8"
    )
    (tmp_path / "passphrase").write_text("correct horse", encoding="utf-8")
    return Engine(
        executable=engines.find(lambda sentence: None),
        root=tmp_path / "project",
        home=tmp_path / "home",
        backend=f"file://{tmp_path}/state",
        config_file=tmp_path / "settings" / "own.yaml",
        passphrase_file=tmp_path / "passphrase",
    )


def set_config(engine: Engine, **values: object) -> None:
    for name, value in values.items():
        engine.checked(["config", "set", "--stack", STACK, f"sovereign:{name}", str(value)])


def state(engine: Engine) -> Any:
    return json.loads(engine.checked(["stack", "export", "--stack", STACK]))["deployment"]


def urns(deployment: Mapping[str, Any]) -> list[str]:
    return [resource["urn"] for resource in deployment.get("resources", ())]


def of_this_test(folder: Path) -> list[str]:
    """Command lines of processes that run in or from the test's folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if line and f"PULUMI_HOME={folder}/home".encode() in environment:
                found.append(line)
    return found


def eventually(condition: Callable[[], bool], seconds: float = 15.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


# Which engine


def installed(folder: Path, version: str, *, host: bool = True) -> str:
    """A folder for PATH as the official release lays it out, which answers with a version."""
    folder.mkdir()
    for name in ("pulumi", "pulumi-language-python") if host else ("pulumi",):
        (folder / name).write_text(f"#!/bin/sh\necho {version}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.defpath}"


@pytest.mark.parametrize(
    ("version", "host", "fits"),
    [
        ("v3.259.0", True, True),
        ("v3.259.7", True, True),
        ("v3.258.0", True, False),
        ("v3.2590.0", True, False),
        ("v4.259.0", True, False),
        ("v3.259.0-alpha.1", True, False),
        ("", True, False),
        ("v3.259.0", False, False),
    ],
)
def test_an_official_engine_is_used_where_it_fits(
    tmp_path: Path, version: str, host: bool, fits: bool
) -> None:
    path = installed(tmp_path / "bin", version, host=host)
    assert engines.official(path) == (tmp_path / "bin" / "pulumi" if fits else None)


def test_no_engine_on_path_is_none(tmp_path: Path) -> None:
    assert engines.official(str(tmp_path)) is None


def test_the_kits_own_engine_on_path_is_not_taken_for_the_official_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOVEREIGN_CACHE", str(tmp_path))
    path = installed(tmp_path / "bin", "v3.259.0")
    assert engines.official(path) is None


# In which environment


def made(**given: Any) -> Engine:
    return Engine(Path("/tools/pulumi"), ROOT, Path("/home-of-engine"), "file:///state", **given)


def test_kubeconfigs_and_credentials_never_reach_the_engine() -> None:
    ambient = dict.fromkeys(
        [
            "KUBECONFIG",
            "KUBERNETES_SERVICE_HOST",
            "AWS_ACCESS_KEY_ID",
            "AWS_PROFILE",
            "AZURE_CLIENT_SECRET",
            "ARM_CLIENT_ID",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "GOOGLE_CREDENTIALS",
            "CLOUDSDK_CONFIG",
            "OS_PASSWORD",
            "OVH_APPLICATION_KEY",
            "SCW_SECRET_KEY",
            "VAULT_TOKEN",
            "GITHUB_TOKEN",
            "PULUMI_ACCESS_TOKEN",
            "PULUMI_CONFIG_PASSPHRASE",
            "PULUMI_CONFIG",
            "PULUMI_DEBUG_PROVIDERS",
            "PULUMI_OPTION_REFRESH",
            "PULUMI_STACK",
            "HTTPS_PROXY",
            "http_proxy",
            "PYTHONDONTWRITEBYTECODE",
        ],
        "ambient",
    )
    environment = made().environment({**ambient, "HOME": "/h", "SSL_CERT_FILE": "c"})
    assert "ambient" not in environment.values()
    assert {name: environment[name] for name in ("HOME", "SSL_CERT_FILE")} == {
        "HOME": "/h",
        "SSL_CERT_FILE": "c",
    }


@pytest.mark.parametrize(
    ("base", "spared"),
    [
        ({}, "127.0.0.1"),
        ({"NO_PROXY": ".hospital.example"}, ".hospital.example,127.0.0.1"),
        ({"NO_PROXY": "a", "no_proxy": "b"}, "b,127.0.0.1"),
    ],
)
def test_a_proxy_that_is_kept_stands_before_no_part_of_the_run(base: dict[str, str], spared: str) -> None:
    kept = made(keep=PROXIES).environment({"https_proxy": "http://proxy.hospital.example:3128", **base})
    assert kept["https_proxy"] == "http://proxy.hospital.example:3128"
    assert kept["NO_PROXY"] == kept["no_proxy"] == spared
    assert "NO_PROXY" not in made().environment({"https_proxy": "http://proxy.hospital.example:3128"})


def test_what_a_stack_of_the_users_own_authenticates_with_is_kept_by_name() -> None:
    base = {"AWS_PROFILE": "a", "VAULT_TOKEN": "v", "PULUMI_ACCESS_TOKEN": "p"}
    kept = made(keep=("AWS_", "PULUMI_ACCESS_TOKEN")).environment(base)
    assert (kept.get("AWS_PROFILE"), kept.get("PULUMI_ACCESS_TOKEN")) == ("a", "p")
    assert "VAULT_TOKEN" not in kept


def test_the_environment_names_everything_that_a_plain_pulumi_needs() -> None:
    environment = made(config_file=Path("/c"), passphrase_file=Path("/p"), variables={"X": "1"}).environment(
        {"PATH": "/usr/bin:/tools:/bin", "PULUMI_HOME": "/another", "PULUMI_BACKEND_URL": "https://elsewhere"}
    )
    assert environment["PATH"] == "/tools:/usr/bin:/bin"
    assert environment["PULUMI_HOME"] == "/home-of-engine"
    assert environment["PULUMI_BACKEND_URL"] == "file:///state"
    assert environment["PULUMI_OPTION_CONFIG_FILE"] == "/c"
    assert environment["PULUMI_CONFIG_PASSPHRASE_FILE"] == "/p"
    assert environment["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] == "true"
    assert environment["PULUMI_IGNORE_AMBIENT_PLUGINS"] == "true"
    assert environment["X"] == "1"


def test_an_engine_that_cant_be_started_is_a_sentence(tmp_path: Path) -> None:
    broken = Engine(tmp_path / "pulumi", tmp_path, tmp_path, "file:///state")
    with pytest.raises(EngineError, match=r"can't be started: No such file or directory\."):
        broken.run(["version"])


# What a killed engine leaves


def operation(kind: str, resource_type: str, name: str, metadata: object) -> dict[str, Any]:
    resource = {
        "urn": f"urn:pulumi:s::p::{resource_type}::{name}",
        "custom": True,
        "type": resource_type,
        "inputs": {"metadata": metadata},
    }
    return {"type": kind, "resource": resource}


@pytest.mark.parametrize(
    ("resource_type", "metadata", "identifier"),
    [
        ("kubernetes:apps/v1:Deployment", {"namespace": "a", "name": "b"}, "a/b"),
        ("kubernetes:core/v1:Namespace", {"name": "b"}, "b"),
        ("kubernetes:core/v1:Pod", {"generateName": "b-"}, None),
        ("kubernetes:core/v1:Pod", {"name": {"4dabf18193072939515e22adb298388d": "secret"}}, None),
        ("kubernetes:core/v1:Pod", {"name": "a", "namespace": {"unknown": "?"}}, None),
        ("kubernetes:core/v1:Pod", None, None),
        ("aws:s3/bucket:Bucket", {"name": "b"}, None),
    ],
)
def test_kubernetes_ids(resource_type: str, metadata: object, identifier: str | None) -> None:
    assert kubernetes_id(resource_type, {"metadata": metadata}) == identifier


def test_pending_creates_are_taken_in_where_their_id_is_known() -> None:
    known = operation("creating", "kubernetes:core/v1:Service", "known", {"name": "s", "namespace": "n"})
    named = operation("creating", "kubernetes:core/v1:ConfigMap", "named", {"name": "c", "namespace": "n"})
    unnamed = operation("creating", "aws:s3/bucket:Bucket", "unnamed", {})
    deleting = operation("deleting", "kubernetes:core/v1:Pod", "deleting", {"name": "p"})
    there = {**known["resource"], "id": "n/s", "outputs": {"x": 1}}
    before = {
        "version": 3,
        "deployment": {"resources": [there], "pending_operations": [known, named, unnamed, deleting]},
    }
    untouched = json.dumps(before)
    adopted = adopt_pending(before, kubernetes_id)
    assert json.dumps(before) == untouched
    assert adopted.urns == [known["resource"]["urn"], named["resource"]["urn"]]
    assert adopted.unidentified == [unnamed["resource"]["urn"]]
    deployment = adopted.state["deployment"]
    assert deployment["pending_operations"] == [unnamed, deleting]
    assert deployment["resources"][0] == there
    assert deployment["resources"][1]["id"] == "n/c"
    assert len(deployment["resources"]) == 2


def locked(folder: Path, **holder: object) -> tuple[Engine, Path]:
    lock = folder / "state" / ".pulumi" / "locks" / "organization" / "sovereign" / STACK / "x.json"
    lock.parent.mkdir(parents=True)
    lock.write_text(json.dumps(holder), encoding="utf-8")
    return Engine(Path("pulumi"), folder, folder, f"file://{folder}/state"), lock


def test_the_lock_of_a_dead_engine_is_removed(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as dead:
        dead.wait()
    engine, lock = locked(tmp_path, pid=dead.pid, hostname=socket.gethostname())
    said: list[str] = []
    unlock(engine, STACK, said.append)
    assert not lock.exists()
    assert str(dead.pid) in said[0]


def test_a_pid_that_went_to_another_program_doesnt_hold_a_lock(tmp_path: Path) -> None:
    engine, lock = locked(tmp_path, pid=os.getpid(), hostname=socket.gethostname())
    unlock(engine, STACK, lambda sentence: None)
    assert not lock.exists()


def test_a_lock_that_was_half_written_is_removed(tmp_path: Path) -> None:
    engine, lock = locked(tmp_path)
    lock.write_text("{", encoding="utf-8")
    unlock(engine, STACK, lambda sentence: None)
    assert not lock.exists()


def test_the_lock_of_another_machine_is_left_and_named(tmp_path: Path) -> None:
    engine, lock = locked(tmp_path, pid=1, hostname="another")
    with pytest.raises(EngineError, match="locked by process 1 on another"):
        unlock(engine, STACK, lambda sentence: None)
    assert lock.exists()


# Real runs


@pytest.mark.engine
def test_a_stack_from_nothing_to_nothing(engine: Engine, tmp_path: Path) -> None:
    assert engine.create_stack(STACK, "passphrase")
    assert not engine.create_stack(STACK, "passphrase")
    assert "encryptionsalt" in (tmp_path / "settings" / "own.yaml").read_text()
    assert not list(engine.root.glob("Pulumi.*.yaml"))
    engine.checked(["config", "set", "--stack", STACK, "--secret", "sovereign:hidden", "s3cr3t"])
    lines: list[str] = []
    assert engine.stream(["up", "--yes", "--stack", STACK], lines.append) == 0, "\n".join(lines)
    text = "\n".join(lines)
    assert "on stdout" in text
    assert "on stderr" in text
    assert "warning" not in text
    outputs = json.loads(engine.checked(["stack", "output", "--json", "--show-secrets", "--stack", STACK]))
    assert outputs == {"plain": "from the file", "hidden": "s3cr3t", "folder": str(engine.root)}
    assert (engine.root / "made").exists()
    assert b"s3cr3t" not in b"".join(path.read_bytes() for path in (tmp_path / "state").rglob("*.json"))
    assert engine.run(["preview", "--expect-no-changes", "--stack", STACK]).returncode == 0
    engine.checked(["destroy", "--yes", "--stack", STACK])
    assert urns(state(engine)) == []
    assert not (engine.root / "made").exists()
    assert of_this_test(tmp_path) == []


@pytest.mark.engine
def test_lost_settings_get_their_salt_back_from_the_state(engine: Engine) -> None:
    engine.create_stack(STACK, "passphrase")
    assert engine.config_file
    engine.config_file.write_text("config: {sovereign:plain: again}\n", encoding="utf-8")
    engine.checked(["up", "--yes", "--skip-preview", "--stack", STACK])
    assert json.loads(engine.checked(["stack", "output", "--json", "--stack", STACK]))["plain"] == "again"


@pytest.mark.engine
def test_a_pack_refuses_from_another_working_directory(engine: Engine, tmp_path: Path) -> None:
    engine.create_stack(STACK, "passphrase")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    preview = ["-C", str(engine.root), "preview", "--stack", STACK, "--policy-pack", str(tmp_path / "pack")]
    passed = engine.run(preview, cwd=elsewhere)
    assert passed.returncode == 0, passed.stderr + passed.stdout
    set_config(engine, name="leak")
    refused = engine.run(preview, cwd=elsewhere)
    assert refused.returncode != 0
    assert "this leaks" in refused.stdout + refused.stderr


@pytest.mark.engine
def test_a_plain_pulumi_works_in_the_environment_that_is_printed(engine: Engine) -> None:
    engine.create_stack(STACK, "passphrase")
    done = subprocess.run(
        ["pulumi", "preview", "-s", STACK],
        cwd=engine.root,
        env=engine.environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "from the file" in done.stdout


@pytest.mark.engine
def test_a_program_that_fails_says_why_once(engine: Engine) -> None:
    engine.create_stack(STACK, "passphrase")
    with (engine.root / "__main__.py").open("a") as program:
        program.write("raise RuntimeError('no such thing')\n")
    done = engine.run(["preview", "--stack", STACK])
    assert done.returncode != 0
    assert (done.stdout + done.stderr).count("RuntimeError: no such thing") == 1
    (engine.root / "__main__.py").write_text("import os; os._exit(7)\n")
    done = engine.run(["preview", "--stack", STACK])
    assert "the program ended with exit code 7" in done.stdout + done.stderr


@pytest.mark.engine
def test_a_missing_virtualenv_is_named(engine: Engine) -> None:
    engine.create_stack(STACK, "passphrase")
    (engine.root / "environment").unlink()
    done = engine.run(["preview", "--stack", STACK])
    assert done.returncode != 0
    assert f"The virtual environment {engine.root / 'environment'}" in " ".join(
        (done.stdout + done.stderr).split()
    )


def begun(engine: Engine) -> bool:
    return (engine.root / "made").exists()


@pytest.mark.engine
def test_ctrl_c_lets_the_engine_finish_what_it_has_begun(engine: Engine, tmp_path: Path) -> None:
    engine.create_stack(STACK, "passphrase")
    set_config(engine, sleep=4)

    def interrupt() -> None:
        assert eventually(lambda: begun(engine))
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        engine.run(["up", "--yes", "--skip-preview", "--stack", STACK])
    deployment = state(engine)
    assert any(urn.endswith("::made") for urn in urns(deployment))
    assert not deployment.get("pending_operations")
    assert not list((tmp_path / "state").rglob("locks/**/*.json"))
    assert of_this_test(tmp_path) == []


#: runs `up` in a process of its own, as the command line does
RUN = """
import sys
from pathlib import Path
from toolchain.engine import Engine
engine = Engine(*map(Path, sys.argv[1:4]), sys.argv[4], Path(sys.argv[5]), Path(sys.argv[6]))
engine.run(["up", "--yes", "--skip-preview", "--stack", "dev"])
"""


def run_apart(engine: Engine) -> subprocess.Popen[bytes]:
    arguments = (
        engine.executable,
        engine.root,
        engine.home,
        engine.backend,
        engine.config_file,
        engine.passphrase_file,
    )
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.engine
def test_being_told_twice_to_end_kills_the_run_and_leaves_nothing(engine: Engine, tmp_path: Path) -> None:
    engine.create_stack(STACK, "passphrase")
    set_config(engine, sleep=600)
    with run_apart(engine) as run:
        assert eventually(lambda: begun(engine))
        run.send_signal(signal.SIGTERM)
        time.sleep(1.0)
        assert run.poll() is None
        run.send_signal(signal.SIGTERM)
        assert run.wait(timeout=10) != 0
    assert eventually(lambda: of_this_test(tmp_path) == [])


@pytest.mark.engine
@pytest.mark.parametrize("exists", [True, False], ids=["made", "not made"])
def test_a_killed_run_is_repaired(engine: Engine, tmp_path: Path, exists: bool) -> None:
    engine.create_stack(STACK, "passphrase")
    set_config(engine, sleep=600)
    with run_apart(engine) as run:
        assert eventually(lambda: begun(engine))
        for entry in Path("/proc").iterdir():
            if (
                entry.name.isdigit()
                and str(tmp_path).encode() in _environ(entry)
                and _is(entry, engine.executable)
            ):
                os.kill(int(entry.name), signal.SIGKILL)
        run.wait(timeout=20)
    assert eventually(lambda: of_this_test(tmp_path) == [])
    assert list((tmp_path / "state").rglob("locks/**/*.json"))
    if not exists:
        (engine.root / "made").unlink()
    said: list[str] = []
    repair(engine, STACK, said.append, identify=lambda kind, inputs: str(engine.root / "made"))
    deployment = state(engine)
    assert any(urn.endswith("::made") for urn in urns(deployment)) is exists
    assert not deployment.get("pending_operations")
    assert len(said) == 2
    repair(engine, STACK, said.append)
    assert len(said) == 2
    engine.checked(["destroy", "--yes", "--stack", STACK])
    assert not (engine.root / "made").exists()


def _environ(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""


def _is(process: Path, executable: Path) -> bool:
    try:
        return (process / "exe").readlink() == executable.resolve()
    except OSError:
        return False


@pytest.mark.engine
def test_a_running_engine_is_not_disturbed(engine: Engine, tmp_path: Path) -> None:
    engine.create_stack(STACK, "passphrase")
    set_config(engine, sleep=600)
    with run_apart(engine) as run:
        try:
            assert eventually(lambda: begun(engine))
            with pytest.raises(EngineError, match="wait for it to end"):
                repair(engine, STACK, lambda sentence: None)
        finally:
            for _ in range(2):
                run.send_signal(signal.SIGTERM)
                time.sleep(0.5)
            run.wait(timeout=20)
    assert eventually(lambda: of_this_test(tmp_path) == [])
