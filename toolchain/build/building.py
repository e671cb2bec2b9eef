"""Makes programs: looks in the cache, builds what is missing, and believes a program only when it runs."""

import json
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from toolchain.build import golang
from toolchain.build.programs import ALL, PROGRAMS, Extra, Program
from toolchain.build.store import FLAGS, Entry, cache, checkout_file, entry, remove
from toolchain.commands import Report, clock, run
from toolchain.errors import BuildError


def _silent(sentence: str) -> None:
    pass


def ensure(names: Sequence[str] = ALL, report: Report = _silent) -> dict[str, Path]:
    """The absolute path of each program, built where it is missing; a warm call needs no Go.

    `report` is told of each build, and every ten seconds that it still goes on. Two calls at once build once.
    Raises BuildError; KeyboardInterrupt passes on, and the next call goes on from what Go has compiled.
    """
    places = {name: entry(PROGRAMS[name]) for name in names}
    missing = [name for name, place in places.items() if not place.complete]
    for count, name in enumerate(missing, 1):
        with places[name].locked(name, report):
            if not places[name].complete:
                _build(PROGRAMS[name], places[name], report, f"{count} of {len(missing)}")
    return {name: place.path / name for name, place in places.items()}


def kwok_stages(report: Report = _silent) -> list[Path]:
    """KWOK's own Stage files for nodes and pods, of the version that is built. Raises BuildError."""
    stages = ensure(("kwok",), report)["kwok"].parent / "stages"
    return sorted(stages.glob("*.yaml"))


def _build(program: Program, place: Entry, report: Report, count: str) -> None:
    start = time.monotonic()
    go = golang.find(report)
    logs = cache() / "logs"
    try:
        logs.mkdir(parents=True, exist_ok=True)
        with place.filling() as folder:
            what = f"building {program.name} ({count})"
            if program.package:
                _compile(program, folder, go, logs / f"{program.name}.log", what, report)
            else:
                report(what)
            for extra in program.extras:
                _place(extra, folder, program, go)
            if program.package:
                _check(program, folder / program.name)
            seconds = time.monotonic() - start
            about = {
                "program": program.name,
                "answer": program.answer,
                "go": go.version,
                "seconds": round(seconds),
            }
            (folder / "build.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise BuildError(
            f"{program.name} can't be put into the cache {cache()} ({error.strerror}). Make room or set "
            "SOVEREIGN_CACHE to another folder, then run the same command again."
        ) from error
    report(f"built {program.name} in {clock(seconds)}")


def _compile(program: Program, folder: Path, go: golang.Go, log: Path, what: str, report: Report) -> None:
    scratch = folder / "scratch"
    scratch.mkdir()
    # a killed build leaves its scratch where the next one removes it
    environment = {**go.environment(), "GOTMPDIR": str(scratch)}
    command = [go.executable, "build", *FLAGS, "-ldflags", program.ldflags]
    command += ["-o", str(folder / program.name), program.package]
    run(command, program.folder, environment, log, what, report)
    remove(scratch)


def _place(extra: Extra, folder: Path, program: Program, go: golang.Go) -> None:
    source = (
        _module(extra.module, program, go) / extra.source if extra.module else checkout_file(extra.source)
    )
    target = folder / extra.target
    target.parent.mkdir(exist_ok=True)
    if extra.made:
        target.write_text(extra.made(source), encoding="utf-8")
    else:
        shutil.copyfile(source, target)
    target.chmod(0o755 if extra.executable else 0o644)


def _module(module: str, program: Program, go: golang.Go) -> Path:
    """Where Go keeps a module's files: downloaded where they are missing, and checked against go.sum."""
    found = subprocess.run(
        [go.executable, "mod", "download", "-json", module],
        cwd=program.folder,
        env=go.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    told = json.loads(found.stdout or "{}")
    if "Dir" not in told:
        said = told.get("Error") or found.stderr.strip() or "no folder"
        raise BuildError(
            f"The files of the Go module {module} can't be had: {said}. Check GOPROXY, then run the same "
            "command again."
        )
    return Path(told["Dir"])


def _check(program: Program, path: Path) -> None:
    """Asks the program for its version. Raises BuildError where it doesn't run or is another one."""
    try:
        said = subprocess.run(
            [path, *program.ask],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{program.name} was built and doesn't run: {error}.") from error
    if program.answer not in said.stdout + said.stderr:
        heard = (said.stdout + said.stderr).strip().splitlines()
        raise BuildError(
            f"{program.name} was built and is not the one that is pinned: it says "
            f"{heard[0] if heard else 'nothing'!r} where {program.answer!r} is wanted. The pins in "
            f"{program.folder} don't fit toolchain/build/programs.py."
        )
