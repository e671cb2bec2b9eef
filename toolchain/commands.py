"""Commands that may take long: they tell that they still run, end when told to, and say why they failed."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from toolchain.errors import BuildError
from toolchain.interrupts import as_keyboard_interrupt

Report = Callable[[str], None]

#: seconds between two lines that tell that something still goes on
INTERVAL = 10.0
#: seconds that an interrupted command gets before it is killed
GRACE = 5.0


def run(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path, what: str, report: Report
) -> None:
    """Runs a command that may take long, its output in `log`, and tells every ten seconds that it still does.

    Ctrl-C, SIGTERM and SIGHUP end it with all that it started. Raises BuildError with the end of the log.
    """
    report(what)
    start = told = time.monotonic()
    with as_keyboard_interrupt(), log.open("w+", encoding="utf-8", errors="replace") as output:
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,
            )
        except OSError as error:
            raise BuildError(f"{what} failed: {command[0]} can't be started ({error.strerror}).") from error
        try:
            while process.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=0.5)
                if time.monotonic() - told >= INTERVAL and process.poll() is None:
                    told = time.monotonic()
                    report(f"{what}: {clock(told - start)}")
        finally:
            _end(process)
        if process.returncode:
            output.seek(0)
            raise BuildError(_failure(what, output.read(), log))


def _end(process: "subprocess.Popen[bytes]") -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=GRACE)


#: what a log holds -> what to do about it
_ADVICE = (
    (
        r"no space left on device|disk quota exceeded",
        "The disk is full: make room, then run the same command again",
    ),
    (r"x509|certificate", "Set SSL_CERT_FILE (for pip, PIP_CERT) to your organisation's certificates"),
    (
        r"dial tcp|no such host|lookup |proxyconnect|refused|timed out|find a version|max retries",
        "Check GOPROXY, your pip index settings and HTTPS_PROXY, then run the same command again",
    ),
    (
        r"checksum mismatch|DO NOT MATCH THE HASHES",
        "What was served is not what is pinned: don't use that mirror",
    ),
    (
        r"signal: killed|cannot allocate memory",
        "Memory ran out: close something, then run the same command again",
    ),
)


def _failure(what: str, text: str, log: Path) -> str:
    """One sentence, what to do, and the end of the log."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()][-5:]
    advice = next(
        (advice for pattern, advice in _ADVICE if re.search(pattern, text, re.IGNORECASE)),
        "Put the cause right, then run the same command again",
    )
    return "\n".join(
        [f"{what} failed. {advice}. The whole log is {log}; it ends:", *(f"  {line}" for line in lines)]
    )


def reporter() -> Report:
    """A report to stderr, each line with the time since this call."""
    start = time.monotonic()

    def report(sentence: str) -> None:
        print(f"[{clock(time.monotonic() - start)}] {sentence}", file=sys.stderr, flush=True)

    return report


def clock(seconds: float) -> str:
    """Seconds as `1:05`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"
