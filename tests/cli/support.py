"""The command as tests run it: in this process, or as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from click.testing import Result

ROOT = Path(__file__).resolve().parents[2]

#: the command of this checkout, wherever it is run
COMMAND = [sys.executable, "-c", "from cli.main import main; main()"]

Sovereign = Callable[..., Result]


def run_out(
    *arguments: object, cwd: Path = Path("/"), timeout: float = 60, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own, from another folder."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env={**(os.environ if environ is None else environ), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
