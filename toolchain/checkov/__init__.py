"""checkov, a scanner that others made: in an environment of its own, and off the network.

It pins packages that Pulumi has in other versions, so it can't live in .venv. Its environment lies in the
cache of the toolchain, made on demand from the hashes of requirements.txt, once for all checkouts.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolchain.build.store import Entry, cache
from toolchain.commands import Report, run
from toolchain.errors import ToolchainError

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements.txt"
#: the version that is pinned
VERSION = re.findall(r"^checkov==(\S+)", REQUIREMENTS.read_text(encoding="utf-8"), re.MULTILINE)[0]


class ScanError(ToolchainError):
    """checkov can't be run."""


@dataclass(frozen=True)
class Task:
    """One folder to look at, as one of checkov's frameworks; `skip` are ids of checks that it leaves out."""

    folder: Path
    framework: str
    skip: Sequence[str] = ()


def ensure(report: Report) -> Path:
    """The Python of its environment, which is made where it is missing. Raises BuildError."""
    entry = Entry(cache() / f"checkov-{_key()}")
    if not entry.complete:
        with entry.locked("checkov", report):
            if not entry.complete:
                with entry.filling() as folder:
                    _make(folder, report)
    return entry.path / "bin" / "python"


def scan(python: Path, tasks: Sequence[Task]) -> list[dict[str, Any]]:
    """checkov's report on each task, in their order; of a task on which it failed, `error` says how.

    Nothing of the user's environment reaches it: neither settings that switch checks off, nor a key that
    would have it send what it found. Raises ScanError where it can't be run.
    """
    asked = [
        {"folder": str(task.folder), "framework": task.framework, "skip": list(task.skip)} for task in tasks
    ]
    with tempfile.TemporaryDirectory(prefix="sovereign-checkov-") as home:
        environment = {
            **{name: os.environ[name] for name in ("PATH", "TMPDIR", "LANG") if name in os.environ},
            "HOME": home,
            "CHECKOV_PARALLELIZATION_TYPE": "none",
            "CKV_SKIP_PACKAGE_UPDATE_CHECK": "true",
            "LOG_LEVEL": "ERROR",
        }
        done = subprocess.run(
            [python, "-I", HERE / "offline.py"],
            cwd=home,
            env=environment,
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            check=False,
        )
    answers: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    if len(answers) != len(asked):
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise ScanError(
            f"checkov does not run ({last[0]}). Remove its environment, {python.parent.parent}, and run the "
            "same command again; it is made anew."
        )
    return answers


def _key() -> str:
    """Digest of what the environment follows from."""
    parts = (REQUIREMENTS.read_text(encoding="utf-8"), sys.version, os.path.realpath(sys.executable))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _make(folder: Path, report: Report) -> None:
    python = str(folder / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    log = folder.with_name("checkov.log")
    for what, command in (
        ("making an environment for checkov", [sys.executable, "-m", "venv", "--clear", str(folder)]),
        (f"installing checkov {VERSION}", [*pip, "--require-hashes", "--requirement", str(REQUIREMENTS)]),
    ):
        run(command, folder.parent, dict(os.environ), log, what, report)
