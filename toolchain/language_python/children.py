"""Processes that the host starts: each leads a process group, and takes its own along when it ends."""

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import IO

#: seconds that a process gets between being asked to end and being killed
GRACE = 5.0


class Child:
    """One process and all that it starts."""

    def __init__(
        self,
        command: Sequence[str],
        directory: Path,
        environment: Mapping[str, str],
        *,
        piped: bool = False,
        told: bool = False,
    ) -> None:
        """Starts it. `piped`: its output is read here, else it goes where this process's goes. `told`: it waits
        for what `tell` has to say, else there is nothing for it to read.

        OSError passes.
        """
        output = subprocess.PIPE if piped else None
        # a group of its own: the engine interrupts this host's whole group to end it
        self._process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.PIPE if told else subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            process_group=0,
        )
        self._lock = threading.Lock()
        self._gone = False
        #: its exit code once it has ended (negative: the signal), and all that it started with it
        self.exit_code: Future[int] = Future()
        threading.Thread(target=self._reap, daemon=True).start()

    @property
    def stdout(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def stderr(self) -> IO[bytes]:
        assert self._process.stderr is not None
        return self._process.stderr

    def tell(self, text: str) -> None:
        """All that it gets to read; one that has ended doesn't hear it."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError), self._process.stdin as pipe:
            pipe.write(text.encode())

    def stop(self) -> None:
        """Asks it to end, and kills it where it doesn't; returns at once. Leaves one alone that has ended."""
        with self._lock:
            if self._gone:
                return
            self._signal(signal.SIGTERM)
        timer = threading.Timer(GRACE, self.kill)
        timer.daemon = True
        timer.start()

    def kill(self) -> None:
        with self._lock:
            if not self._gone:
                self._signal(signal.SIGKILL)

    def _reap(self) -> None:
        # not reaped yet, so that its process group can't become someone else's
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            self._signal(signal.SIGKILL)
            self._gone = True
        self.exit_code.set_result(self._process.wait())

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)
