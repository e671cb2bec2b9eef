"""`python3 -m toolchain.set_up`: makes the checkout's own environment, .venv, unless it is there already.

Runs under the system's Python, before anything is installed: standard library only.
"""

import fcntl
import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from toolchain.commands import Report, reporter, run
from toolchain.errors import BuildError

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
#: what .venv was made from; "done" follows when it is complete
STAMP = VENV / "set-up"


def main() -> int:
    """Exit code: 0 done, 3 it can't be made, 130 interrupted."""
    try:
        set_up(reporter())
    except BuildError as error:
        print(error, file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("Interrupted. Run the same command again: it goes on where this one stopped.", file=sys.stderr)
        return 130
    return 0


def set_up(report: Report) -> None:
    """Brings .venv to what requirements.txt and pyproject.toml say. Raises BuildError."""
    digest = _digest()
    if _stamp() == f"{digest} done":
        return
    logs = ROOT / ".sovereign" / "logs"
    try:
        logs.mkdir(parents=True, exist_ok=True)
        with (ROOT / ".sovereign" / "set-up.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _stamp() != f"{digest} done":
                _make(digest, logs / "set-up.log", report)
    except OSError as error:
        raise BuildError(
            f"The environment {VENV} can't be made ({error.strerror}). Put that right, then run it again."
        ) from error


def _make(digest: str, log: Path, report: Report) -> None:
    if not _usable() or not (_stamp() or digest).startswith(digest):
        if importlib.util.find_spec("ensurepip") is None:
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            raise BuildError(
                f"{sys.executable} can't make virtual environments: install the package python{version}-venv "
                "(apt install python3-venv), then run it again."
            )
        venv = [sys.executable, "-m", "venv", "--clear", str(VENV)]
        run(venv, ROOT, os.environ, log, "making the environment .venv", report)
    STAMP.write_text(f"{digest} begun", encoding="utf-8")
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check"]
    # Python compiles what it imports; of the clouds' thousands of modules that is little
    pip.append("--no-compile")
    for what, arguments in (
        ("installing what requirements.txt pins", ["--require-hashes", "--requirement", "requirements.txt"]),
        ("installing the command sovereign", ["--no-deps", "--no-build-isolation", "--editable", "."]),
    ):
        run([*pip, *arguments], ROOT, os.environ, log, what, report)
    STAMP.write_text(f"{digest} done", encoding="utf-8")


def _digest() -> str:
    """Of all that .venv follows from. It holds absolute paths, so a moved checkout needs a new one."""
    parts = [str(ROOT).encode(), sys.version.encode()]
    parts += [(ROOT / name).read_bytes() for name in ("requirements.txt", "pyproject.toml")]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _stamp() -> str:
    try:
        return STAMP.read_text(encoding="utf-8")
    except OSError:
        return ""


def _usable() -> bool:
    """Whether .venv has a Python that runs and is of this version."""
    try:
        said = subprocess.run(
            [VENV / "bin" / "python", "-c", "import sys, pip; print(sys.version)"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return False
    return said.returncode == 0 and said.stdout.rstrip("\n") == sys.version


if __name__ == "__main__":
    sys.exit(main())
