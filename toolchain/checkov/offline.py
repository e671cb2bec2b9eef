"""Runs checkov over folders in one process, and keeps it off the network; checkov's own Python runs this.

The tasks come as JSON on standard input, one report for each goes as a line of JSON to standard output. Each
folder is scanned in a fork: checkov keeps what it has read in its runners, and would mix the folders up.
"""

import gc
import importlib
import json
import os
import sys
import tempfile
import traceback
from typing import IO, Any

#: what a program does that reaches a network, as CPython tells its audit hooks
REACHING = frozenset({"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"})


def main() -> int:
    """Exit code: 0, also where a scan failed (its line says so)."""
    sys.addaudithook(_refuse)
    waiting = list(enumerate(json.load(sys.stdin)))
    checkov = importlib.import_module("checkov.main")
    gc.freeze()  # what is loaded stays shared with the forks
    running: dict[int, tuple[int, IO[str], IO[str]]] = {}
    answers: dict[int, dict[str, Any]] = {}
    count = len(waiting)
    for number in range(count):
        while number not in answers:
            while waiting and len(running) < (os.cpu_count() or 1):
                place, task = waiting.pop(0)
                pid, output, errors = _start(checkov, task)
                running[pid] = place, output, errors
            place, output, errors = running.pop(os.wait()[0])
            answers[place] = _answer(output, errors)
        print(json.dumps(answers.pop(number)), flush=True)
    return 0


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event in REACHING:
        raise PermissionError(f"{event}: the scan stays on this machine")


def _start(checkov: Any, task: dict[str, Any]) -> tuple[int, IO[str], IO[str]]:
    """The process that scans, and where it writes."""
    output, errors = (tempfile.TemporaryFile("w+") for _ in range(2))  # noqa: SIM115 - _answer closes them
    pid = os.fork()
    if not pid:
        os.dup2(output.fileno(), 1)
        os.dup2(errors.fileno(), 2)
        _scan(checkov, task)
    return pid, output, errors


def _scan(checkov: Any, task: dict[str, Any]) -> None:
    """Scans as checkov's own command does, and ends the process."""
    arguments = ["--directory", task["folder"], "--output", "json", "--compact", "--skip-download"]
    arguments += ["--framework", task["framework"]]
    if task["skip"]:
        arguments += ["--skip-check", ",".join(task["skip"])]
    try:
        checkov.Checkov(arguments).run(banner="")
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _answer(output: IO[str], errors: IO[str]) -> dict[str, Any]:
    """checkov's report, or the end of what it said instead."""
    with output, errors:
        output.seek(0)
        errors.seek(0)
        try:
            report = json.load(output)
        except ValueError:
            return {"error": errors.read()[-2000:]}
        answer: dict[str, Any] = report[0] if isinstance(report, list) else report
        return answer


if __name__ == "__main__":
    sys.exit(main())
