"""Processes of the local cluster: recognised and stopped for sure, found again without a pid file."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from toolchain.cluster import processes
from toolchain.cluster.processes import Process, identify, last_error, stop, strays

SLEEP = ["/bin/sleep", "300"]


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    for name in ("logs", "pids"):
        (tmp_path / name).mkdir()
    process = Process(tmp_path, "sleeper")
    yield process
    identity = process.identity()
    if identity:
        stop([identity], 0)


def test_it_runs_in_a_session_of_its_own_and_knows_its_digest(process: Process) -> None:
    identity = process.start(SLEEP, "one")
    assert process.identity() == identity
    assert process.runs()
    assert process.runs("one")
    assert not process.runs("another")
    assert os.getsid(identity.pid) == identity.pid != os.getsid(0)


def test_a_stopped_process_is_gone(process: Process) -> None:
    identity = process.start(SLEEP, "")
    stop([identity], 5)
    assert not process.runs()
    assert identify(identity.pid) is None


def test_one_that_ignores_the_request_is_killed(process: Process) -> None:
    ready = process.folder / "ready"
    identity = process.start(
        ["/bin/sh", "-c", f"trap '' TERM; : > {ready}; while :; do sleep 0.05; done"], ""
    )
    while not ready.exists():
        time.sleep(0.01)
    start = time.monotonic()
    stop([identity], 0.5)
    assert 0.5 <= time.monotonic() - start < 5
    assert not process.runs()


def test_one_that_is_suspended_ends_too(process: Process) -> None:
    identity = process.start(SLEEP, "")
    os.kill(identity.pid, signal.SIGSTOP)
    start = time.monotonic()
    stop([identity], 5)
    assert time.monotonic() - start < 4
    assert not process.runs()


@pytest.mark.parametrize("change", [{"started": 1}, {"boot": "another-boot"}])
def test_a_recycled_pid_is_neither_believed_nor_killed(process: Process, change: dict[str, object]) -> None:
    with subprocess.Popen(SLEEP) as bystander:
        try:
            now = identify(bystander.pid)
            assert now
            stale = replace(now, **change)  # type: ignore[arg-type]
            process.pid_file.write_text(json.dumps({**asdict(stale), "digest": ""}))
            assert not process.runs()
            stop([stale], 0.1)
            assert identify(bystander.pid) == now
        finally:
            bystander.kill()


@pytest.mark.parametrize("content", ["", "1234", "{}", '{"pid": "x"}', "[1]", '{"pid": 1, "started": null}'])
def test_a_damaged_pid_file_is_no_process(process: Process, content: str) -> None:
    process.pid_file.write_text(content)
    assert not process.runs()


def test_a_killed_process_of_this_very_process_counts_as_dead(process: Process) -> None:
    identity = process.start(SLEEP, "")
    os.kill(identity.pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while process.runs() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not process.runs()


def test_a_missing_program_is_an_error_and_leaves_nothing(process: Process) -> None:
    with pytest.raises(FileNotFoundError):
        process.start(["/nowhere/at/all"], "")
    assert not process.pid_file.exists()


def test_one_that_ends_at_once_is_recorded_and_dead(process: Process) -> None:
    for _ in range(20):
        process.start(["/bin/false"], "")
    eventually_dead = time.monotonic() + 5
    while process.runs() and time.monotonic() < eventually_dead:
        time.sleep(0.01)
    assert process.pid_file.exists()
    assert not process.runs()


def test_if_the_pid_file_cannot_be_written_nothing_is_left(process: Process) -> None:
    shutil.rmtree(process.folder / "pids")
    with pytest.raises(FileNotFoundError):
        process.start(SLEEP, "")
    assert strays(process.folder) == {}


def test_one_whose_pid_file_is_lost_is_found(process: Process) -> None:
    identity = process.start(SLEEP, "")
    assert strays(process.folder, [identity]) == {}
    process.forget()
    assert strays(process.folder) == {"sleeper": [identity]}
    assert strays(process.folder.parent) == {}
    stop([identity], 5)


def test_one_is_found_after_its_folder_was_moved_and_after_it_was_removed(tmp_path: Path) -> None:
    old, new = tmp_path / "a b", tmp_path / "c"
    for name in ("logs", "pids"):
        (old / name).mkdir(parents=True)
    identity = Process(old, "sleeper").start(SLEEP, "")
    try:
        old.rename(new)
        assert strays(old) == {}
        assert strays(new) == {"sleeper": [identity]}
        shutil.rmtree(new)
        assert strays(new) == {"sleeper": [identity]}
    finally:
        stop([identity], 5)


def test_an_ordinary_process_in_the_folder_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(SLEEP, cwd=tmp_path) as bystander:
        try:
            assert strays(tmp_path) == {}
        finally:
            bystander.kill()


def test_the_environment_holds_nothing_of_the_users(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/somebody/elses")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    done = process.folder / "done"
    process.start(["/bin/sh", "-c", f"env; : > {done}"], "")
    while not done.exists():
        time.sleep(0.01)
    names = {line.partition("=")[0] for line in process.log.read_text().splitlines()}
    assert names <= {"PATH", "HOME", "LANG", "PWD", "OLDPWD", "SHLVL", "_", processes.MARK}


def test_a_large_log_is_put_aside_at_the_next_start(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "LOG_LIMIT", 10)
    process.log.write_text("old " * 10)
    process.start(["/bin/sh", "-c", "echo new; sleep 300"], "")
    deadline = time.monotonic() + 5
    while "new" not in process.log.read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.log.read_text() == "new\n"
    assert process.log.with_suffix(".log.1").read_text() == "old " * 10


def test_components_outlive_the_command_that_started_them(tmp_path: Path) -> None:
    for name in ("logs", "pids"):
        (tmp_path / name).mkdir()
    program = (
        "from pathlib import Path; from toolchain.cluster.processes import Process; "
        f"Process(Path({str(tmp_path)!r}), 'sleeper').start({SLEEP!r}, '')"
    )
    root = Path(__file__).resolve().parent.parent.parent
    subprocess.run([sys.executable, "-c", program], check=True, cwd=root)
    identity = Process(tmp_path, "sleeper").identity()
    assert identity
    stop([identity], 5)
    assert not identity.alive()


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("", "it logged nothing"),
        ("one\ntwo\n\n", "two"),
        (
            'I1124 03:48:18.1 7 a.go:1] ok\nE1124 03:48:19.12345    1470 run.go:72] "failed" err="x"\n'
            "I1124 03:48:20.1 7 b.go:2] shutting down",
            '"failed" err="x"',
        ),
        (
            '{"level":"warn","msg":"rejected connection"}\n'
            '{"level":"fatal","caller":"a.go:1","msg":"discovery failed","error":"disk full"}\n'
            '{"level":"warn","msg":"closing"}',
            "discovery failed: disk full",
        ),
        (
            '{"level":"panic","msg":"failed to create WAL","error":"no space left on device"}\n'
            "panic: failed to create WAL\n\ngoroutine 1 [running]:\nmain.main()",
            "failed to create WAL: no space left on device",
        ),
        ("panic: runtime error\n\ngoroutine 1 [running]:\nmain.main()", "runtime error"),
        ("Error: unknown flag: --nonsense\nUsage: x", "unknown flag: --nonsense"),
        ("{not json\n", "{not json"),
    ],
)
def test_the_cause_is_taken_from_the_log(log: str, expected: str) -> None:
    assert last_error(log) == expected


def test_a_cause_is_kept_short() -> None:
    assert len(last_error("E1124 03:48:19.1 1 a.go:1] " + "x" * 5000)) < 500
