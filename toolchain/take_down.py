"""`python3 -m toolchain.take_down`: removes all that `make` made in this checkout, half of it, or nothing.

Runs under the system's Python, whatever is left of .venv: standard library only. The cache of built programs
is shared with other checkouts, and stays.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from toolchain.build import cache

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".sovereign"
#: the stack of `make up`
STACK = "local"
CACHES = (".pytest_cache", ".mypy_cache", ".ruff_cache", "build", "sovereign.egg-info")
#: seconds that a process gets to end
GRACE = 5.0


def main() -> int:
    """Exit code: 0 done, 3 something had to stay."""
    kept = sorted(stacks_in_use())
    _take_stack_down()
    for pid in _end_processes():
        print(f"process {pid} does not end", file=sys.stderr)
    if kept:
        # what is in use elsewhere is not this checkout's to forget
        print(
            f"Kept, because their resources still exist: {', '.join(kept)} in {WORK / 'stacks'}. "
            f"Delete them first: .venv/bin/sovereign down {kept[0]}.",
            file=sys.stderr,
        )
        return 3
    for folder in (
        WORK,
        *(ROOT / name for name in CACHES),
        *ROOT.glob("[a-z]*/**/__pycache__"),
        ROOT / ".venv",
    ):
        shutil.rmtree(folder, ignore_errors=True)
    left = [str(folder) for folder in (WORK, ROOT / ".venv") if folder.exists()]
    if left:
        print(f"{' and '.join(left)} can't be removed: check who owns the files there.", file=sys.stderr)
        return 3
    print(
        f"Removed. The built programs stay in {cache()} for other checkouts: `make clean-cache` removes them."
    )
    return 0


def stacks_in_use() -> Iterator[str]:
    """Stacks besides `local` whose state, kept in this checkout, says that they have resources."""
    for state in WORK.glob("stacks/*/state/.pulumi/stacks/*/*.json"):
        if state.stem == STACK:
            continue
        try:
            deployment = json.loads(state.read_bytes())["checkpoint"]["latest"] or {}
        except (OSError, ValueError, KeyError, TypeError):
            deployment = {"resources": ["unreadable"]}
        if deployment.get("resources") or deployment.get("pending_operations"):
            yield state.stem


def _take_stack_down() -> None:
    command = ROOT / ".venv" / "bin" / "sovereign"
    if not (WORK / "stacks" / STACK).exists() and not (WORK / "cluster").exists():
        return
    try:
        subprocess.run([command, "--version"], cwd=ROOT, check=True, capture_output=True)
        subprocess.run([command, "down", STACK, "--cluster", "--yes"], cwd=ROOT, check=True)
    except (OSError, subprocess.CalledProcessError):
        print(f"`sovereign down {STACK}` doesn't work: what it started is ended one by one", file=sys.stderr)


def _end_processes() -> list[int]:
    """Ends what still runs in the checkout's working folder; gives what doesn't end."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in _processes():
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + GRACE
        while list(_processes()) and time.monotonic() < deadline:
            time.sleep(0.1)
    return list(_processes())


def _processes() -> Iterator[int]:
    """This user's processes that work in the checkout's working folder or run from its environment."""
    places = (f"{WORK}/", f"{ROOT / '.venv'}/")
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            where, alive = os.readlink(entry / "cwd"), (entry / "cmdline").read_bytes()
        except OSError:
            continue
        ours = alive.startswith(tuple(place.encode() for place in places)) or f"{where}/".startswith(places)
        if alive and ours and int(entry.name) != os.getpid():
            yield int(entry.name)


if __name__ == "__main__":
    sys.exit(main())
