"""The Python language host, driven over its own protocol as the engine drives it; no engine is needed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import language_pb2
from pulumi.runtime.proto.language_pb2_grpc import LanguageRuntimeStub

LAUNCHER = Path(__file__).resolve().parents[2] / "toolchain" / "language_python" / "pulumi-language-python"
VENV = Path(sys.prefix)


@contextmanager
def host(folder: Path, *flags: str) -> Iterator[tuple[Any, subprocess.Popen[str]]]:
    """A running host, and a client of it."""
    launcher = shutil.copy(LAUNCHER, folder / "pulumi-language-python")
    with subprocess.Popen(
        [str(launcher), *flags, "127.0.0.1:1"],
        env={**os.environ, "SOVEREIGN_PYTHON": sys.executable},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        try:
            assert process.stdout
            with grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}") as channel:
                yield LanguageRuntimeStub(channel), process
        finally:
            process.kill()


def info(folder: Path, **options: str) -> Any:
    described = language_pb2.ProgramInfo(
        root_directory=str(folder), program_directory=str(folder), entry_point="."
    )
    described.options.update(options)
    return described


def plugin(folder: Path, source: str, *args: str, **options: str) -> Any:
    (folder / "__main__.py").write_text(source, encoding="utf-8")
    environment = [f"{name}={value}" for name, value in os.environ.items()]
    options = options or {"virtualenv": str(VENV)}
    return language_pb2.RunPluginRequest(
        info=info(folder, **options), args=args, env=environment, pwd=str(folder)
    )


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


#: starts a child of its own, tells both pids, and stays
STAYS = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(os.getpid(), child.pid, flush=True)
time.sleep(600)
"""


def test_answers_with_the_version_of_the_sdk_and_takes_the_engines_flags(tmp_path: Path) -> None:
    with host(tmp_path, "-v=9", "--logtostderr") as (client, _):
        assert client.GetPluginInfo(language_pb2.AboutRequest()).version == "3.259.0"


def test_streams_both_outputs_and_the_exit_code_of_a_plugin(tmp_path: Path) -> None:
    source = "import sys; print(sys.argv[1:]); print('no', file=sys.stderr); sys.exit(3)"
    with host(tmp_path) as (client, _):
        said = list(client.RunPlugin(plugin(tmp_path, source, "a", "b c")))
    assert b"".join(part.stdout for part in said) == b"['a', 'b c']\n"
    assert b"".join(part.stderr for part in said) == b"no\n"
    assert said[-1].exitcode == 3


def test_a_relative_virtualenv_is_relative_to_the_project_file(tmp_path: Path) -> None:
    (tmp_path / "environment").symlink_to(VENV)
    source = "import sys, pulumi; print(sys.prefix)"
    with host(tmp_path) as (client, _):
        request = plugin(tmp_path, source, virtualenv="environment")
        request.pwd = "/"
        said = list(client.RunPlugin(request))
    assert b"".join(part.stdout for part in said).decode().strip() == str(tmp_path / "environment")


def test_a_missing_virtualenv_is_named_with_what_to_do(tmp_path: Path) -> None:
    with host(tmp_path) as (client, _), pytest.raises(grpc.RpcError) as refused:
        list(client.RunPlugin(plugin(tmp_path, "", virtualenv="nowhere")))
    assert str(tmp_path / "nowhere") in refused.value.details()
    assert "make up" in refused.value.details()


def test_names_the_provider_that_an_installed_package_needs(tmp_path: Path) -> None:
    with host(tmp_path) as (client, _):
        request = language_pb2.GetRequiredPackagesRequest(info=info(tmp_path, virtualenv=str(VENV)))
        packages = client.GetRequiredPackages(request).packages
    assert [(package.name, package.version) for package in packages] == [
        ("aws", "7.51.1"),
        ("kubernetes", "4.34.2"),
    ]


def test_tells_what_is_installed(tmp_path: Path) -> None:
    with host(tmp_path) as (client, _):
        described = info(tmp_path, virtualenv=str(VENV))
        about = client.About(language_pb2.AboutRequest(info=described))
        installed = client.GetProgramDependencies(language_pb2.GetProgramDependenciesRequest(info=described))
    assert about.version == ".".join(map(str, sys.version_info[:3]))
    assert ("pulumi", "3.259.0") in {(package.name, package.version) for package in installed.dependencies}


def test_installs_nothing(tmp_path: Path) -> None:
    with host(tmp_path) as (client, _), pytest.raises(grpc.RpcError) as refused:
        list(client.InstallDependencies(language_pb2.InstallDependenciesRequest(info=info(tmp_path))))
    assert "pinned by hash" in refused.value.details()


def test_a_cancelled_plugin_is_ended_with_what_it_started(tmp_path: Path) -> None:
    with host(tmp_path) as (client, _):
        call = client.RunPlugin(plugin(tmp_path, STAYS))
        pids = [int(pid) for pid in next(call).stdout.split()]
        call.cancel()
        assert eventually(lambda: all(map(gone, pids)))


def test_a_plugin_that_ends_takes_what_it_started_along(tmp_path: Path) -> None:
    with host(tmp_path) as (client, _):
        said = list(client.RunPlugin(plugin(tmp_path, STAYS.replace("time.sleep(600)\n", "os._exit(0)\n"))))
        pids = [int(pid) for pid in said[0].stdout.split()]
        assert said[-1].exitcode == 0
        assert eventually(lambda: all(map(gone, pids)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_it_quietly_with_all_that_it_runs(tmp_path: Path, number: signal.Signals) -> None:
    with host(tmp_path) as (client, process):
        pids = [int(pid) for pid in next(client.RunPlugin(plugin(tmp_path, STAYS))).stdout.split()]
        os.killpg(process.pid, number)
        output, errors = process.communicate(timeout=10)
        assert (process.returncode, output, errors) == (0, "", "")
        assert eventually(lambda: all(map(gone, pids)))


def test_it_ends_with_its_engine(tmp_path: Path) -> None:
    shutil.copy(LAUNCHER, tmp_path / "pulumi-language-python")
    (tmp_path / "engine.py").write_text(
        "import subprocess, sys, time\n"
        f"host = subprocess.Popen([{str(tmp_path / 'pulumi-language-python')!r}, '127.0.0.1:1'],"
        " stdout=subprocess.PIPE, text=True)\n"
        "print(host.pid, host.stdout.readline().strip(), flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, str(tmp_path / "engine.py")],
        env={**os.environ, "SOVEREIGN_PYTHON": sys.executable},
        stdout=subprocess.PIPE,
        text=True,
    ) as engine:
        assert engine.stdout
        pid, port = map(int, engine.stdout.readline().split())
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = LanguageRuntimeStub(channel).RunPlugin(plugin(tmp_path, STAYS))
            pids = [pid, *(int(started) for started in next(call).stdout.split())]
            engine.kill()
            assert eventually(lambda: all(map(gone, pids)))


#: what stands for the SDK's start script: tells what reached it, and ends as its program's name says
SAYS = """
import json, os, sys
print(json.dumps({
    "arguments": sys.argv[1:],
    "config": os.environ["PULUMI_CONFIG"],
    "shown": "hunter2" in open("/proc/self/environ").read(),
    "read": sys.stdin.read(),
    "path": sys.path[0],
    "sdk": "pulumi" in sys.modules,
    "pid": os.getpid(),
}), flush=True)
sys.exit({"fails": 1, "bails": 32}.get(sys.argv[-1], 0))
"""


def program(folder: Path, *args: str) -> Any:
    described = info(folder, virtualenv=str(VENV))
    return language_pb2.RunRequest(
        info=described,
        program=str(folder),
        pwd=str(folder),
        project="p",
        stack="s",
        args=args,
        config={"p:key": "hunter2"},
        dryRun=True,
        parallel=4,
        monitor_address="127.0.0.1:2",
    )


def children(process: subprocess.Popen[str]) -> list[int]:
    """The programs of a host that live, or are being ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            mine = parent == process.pid and b"program.py" in stat.with_name("cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if mine:
            found.append(int(stat.parent.name))
    return found


def required(folder: Path) -> Any:
    return language_pb2.GetRequiredPackagesRequest(info=info(folder, virtualenv=str(VENV)))


def test_a_program_is_started_ahead_and_told_what_to_run_when_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "pulumi-language-python-exec").write_text(SAYS)
    with host(tmp_path) as (client, process):
        assert process.stdout
        client.GetRequiredPackages(required(tmp_path))
        (ahead,) = children(process)
        assert client.Run(program(tmp_path, "more")) == language_pb2.RunResponse()
        said = json.loads(process.stdout.readline())
    assert said["pid"] == ahead
    assert {"--dry_run", "true", "more"} < set(said["arguments"])
    assert said["config"] == '{"p:key": "hunter2"}'
    assert (said["shown"], said["read"], said["path"], said["sdk"]) == (False, "", str(tmp_path), True)


def test_a_program_runs_that_nobody_announced(tmp_path: Path) -> None:
    (tmp_path / "pulumi-language-python-exec").write_text(SAYS)
    with host(tmp_path) as (client, _):
        assert client.Run(program(tmp_path, "fails")).error == "the program ended with exit code 1"
        assert client.Run(program(tmp_path, "bails")).bail


def test_a_program_that_was_started_ahead_for_another_folder_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "pulumi-language-python-exec").write_text(SAYS)
    (tmp_path / "other").mkdir()
    with host(tmp_path) as (client, process):
        assert process.stdout
        client.GetRequiredPackages(required(tmp_path / "other"))
        (ahead,) = children(process)
        client.Run(program(tmp_path))
        assert json.loads(process.stdout.readline())["pid"] != ahead
        assert eventually(lambda: gone(ahead))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_program_that_was_started_ahead_ends_with_the_host(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "pulumi-language-python-exec").write_text(SAYS)
    with host(tmp_path) as (client, process):
        client.GetRequiredPackages(required(tmp_path))
        (ahead,) = children(process)
        os.killpg(process.pid, number)
        assert eventually(lambda: gone(ahead))
        output, errors = process.communicate(timeout=10)
        assert (output, errors) == ("", "")


def test_a_program_that_died_before_it_was_asked_for_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "pulumi-language-python-exec").write_text(SAYS)
    with host(tmp_path) as (client, process):
        client.GetRequiredPackages(required(tmp_path))
        (ahead,) = children(process)
        os.kill(ahead, signal.SIGKILL)
        assert eventually(lambda: gone(ahead))
        assert client.Run(program(tmp_path)).error == "the program ended with signal 9"
