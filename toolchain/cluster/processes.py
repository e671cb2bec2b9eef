"""Processes that outlive the command that started them: start, recognise, stop. Linux only.

A process is known by its pid, the time it started at and the boot it started in, so that a pid that the
system has given to someone else is neither believed nor killed. Signals go through a pidfd, which can't
change hands meanwhile. Processes whose pid file is gone are found again by their working folder, which the
kernel keeps up to date when a checkout is moved or removed, and by a mark in their environment.
"""

import json
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from toolchain.cluster.files import write

#: environment variable that marks a component, with its name
MARK = "SOVEREIGN_LOCAL_CLUSTER"
LOG_LIMIT = 8 * 1024 * 1024  # bytes; a larger log is put aside when its component starts

#: children of this very process, to reap them when they end
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class Identity:
    """One process for good: pid, start (clock ticks after boot, /proc/PID/stat field 22), the boot's id."""

    pid: int
    started: int
    boot: str

    def alive(self) -> bool:
        """Whether this very process runs; a zombie doesn't."""
        child = _children.get(self.pid)
        if child is not None and child.poll() is not None:
            del _children[self.pid]
        return identify(self.pid) == self


@dataclass(frozen=True)
class Process:
    """One named component in a cluster's folder: its pid file, its log, and what it was last started with."""

    folder: Path
    name: str

    @property
    def pid_file(self) -> Path:
        return self.folder / "pids" / f"{self.name}.pid"

    @property
    def log(self) -> Path:
        return self.folder / "logs" / f"{self.name}.log"

    def identity(self) -> Identity | None:
        """The running process, or None."""
        recorded = self._recorded()
        return recorded[0] if recorded and recorded[0].alive() else None

    def runs(self, digest: str | None = None) -> bool:
        """Whether it runs; given a digest, whether what runs was started with it."""
        recorded = self._recorded()
        return bool(recorded and recorded[0].alive() and digest in (None, recorded[1]))

    def start(self, command: Sequence[str], digest: str) -> Identity:
        """Starts `command` in a session of its own, in the cluster's folder. On OSError nothing runs."""
        self._put_aside_large_log()
        environment = {"PATH": os.defpath, "HOME": str(self.folder), "LANG": "C.UTF-8", MARK: self.name}
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        _children[child.pid] = child
        try:
            state = _state(child.pid)
            if state is None:
                raise OSError(f"/proc/{child.pid} can't be read")
            identity = state[1]
            record = {**asdict(identity), "digest": digest}
            write(self.pid_file, json.dumps(record).encode())
        except BaseException:
            child.kill()
            child.wait()
            raise
        return identity

    def forget(self) -> None:
        """Removes the pid file."""
        self.pid_file.unlink(missing_ok=True)

    def log_size(self) -> int:
        """Bytes in the log, to tell this start's lines from older ones."""
        return self.log.stat().st_size if self.log.exists() else 0

    def last_error(self, since: int = 0) -> str:
        """The line of the log, from byte `since` on, that most likely says why it ended."""
        try:
            with self.log.open("rb") as log:
                log.seek(0, os.SEEK_END)
                log.seek(min(max(since, log.tell() - 256 * 1024), log.tell()))
                return last_error(log.read().decode("utf-8", "replace"))
        except OSError as error:
            return f"its log can't be read ({error.strerror})"

    def _recorded(self) -> tuple[Identity, str] | None:
        try:
            record = json.loads(self.pid_file.read_bytes())
            return Identity(int(record["pid"]), int(record["started"]), str(record["boot"])), str(
                record["digest"]
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _put_aside_large_log(self) -> None:
        if self.log_size() > LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))


def identify(pid: int) -> Identity | None:
    """Who has this pid now; None for nobody and for a zombie."""
    state = _state(pid)
    return state[1] if state and state[0] not in "ZX" else None


def _state(pid: int) -> tuple[str, Identity] | None:
    """The state letter of a pid and who has it, be it a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # the second field is the program's name in brackets, which may itself hold brackets and spaces
    fields = stat.rpartition(")")[2].split()
    return (fields[0], Identity(pid, int(fields[19]), _boot())) if len(fields) > 19 else None


def strays(folder: Path, known: Iterable[Identity] = ()) -> dict[str, list[Identity]]:
    """Marked processes in `folder` that aren't `known`, by component: left over from a killed command."""
    places = {str(folder), f"{folder} (deleted)"}
    excluded = set(known)
    found: dict[str, list[Identity]] = {}
    for pid, name in _marked():
        try:
            place = os.readlink(f"/proc/{pid}/cwd")
        except OSError:
            continue
        identity = identify(pid)
        if place in places and identity and identity not in excluded:
            found.setdefault(name, []).append(identity)
    return found


def stop(identities: Iterable[Identity], grace: float) -> None:
    """Asks all to end, waits up to `grace` seconds for all together, then kills what is left."""
    descriptors = {}
    for identity in identities:
        try:
            descriptor = os.pidfd_open(identity.pid)
        except ProcessLookupError:
            continue
        if identify(identity.pid) == identity:
            descriptors[identity] = descriptor
        else:
            os.close(descriptor)
    try:
        left = _signal_and_wait(descriptors, signal.SIGTERM, grace)
        _signal_and_wait(left, signal.SIGKILL, 10.0)
    finally:
        for identity, descriptor in descriptors.items():
            os.close(descriptor)
            identity.alive()  # reaps it where it was a child of ours


def _signal_and_wait(
    descriptors: Mapping[Identity, int], number: signal.Signals, seconds: float
) -> dict[Identity, int]:
    """Sends the signal; gives those that still run after `seconds`."""
    poll = select.poll()
    left = {descriptor: identity for identity, descriptor in descriptors.items()}
    for descriptor in list(left):
        poll.register(descriptor, select.POLLIN)
        try:
            signal.pidfd_send_signal(descriptor, number)
            signal.pidfd_send_signal(
                descriptor, signal.SIGCONT
            )  # a stopped process ends only when it goes on
        except ProcessLookupError:
            pass
    deadline = time.monotonic() + seconds
    while left and (remaining := deadline - time.monotonic()) > 0:
        for descriptor, _ in poll.poll(remaining * 1000):
            poll.unregister(descriptor)
            left.pop(descriptor)
    return {identity: descriptor for descriptor, identity in left.items()}


def last_error(text: str) -> str:
    """The last line that a component logged as an error, in plain words; else its last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # etcd ends with a panic that says less than the record before it
    for read in (_record_error, _line_error):
        for line in reversed(lines):
            if message := read(line):
                return _short(message)
    return _short(lines[-1]) if lines else "it logged nothing"


_KLOG = re.compile(r"^[EF]\d{4} [\d:.]+ +\d+ [^\]]+\] (.+)")
_PLAIN = re.compile(r"^(?:[Ee]rror|panic|fatal error|FATAL|ERROR)\b:? *(.+)")


def _record_error(line: str) -> str | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    if not isinstance(entry, dict) or entry.get("level") not in ("error", "fatal", "panic", "ERROR"):
        return None
    return ": ".join(str(entry[key]) for key in ("msg", "error", "err") if entry.get(key))


def _line_error(line: str) -> str | None:
    match = _KLOG.match(line) or _PLAIN.match(line)
    return match.group(1) if match else None


def _short(line: str, limit: int = 400) -> str:
    return line if len(line) <= limit else f"{line[:limit]}..."


def _marked() -> Iterator[tuple[int, str]]:
    prefix = f"{MARK}=".encode()
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            environment = Path("/proc", entry, "environ").read_bytes()
        except OSError:  # another user's, or just gone
            continue
        for variable in environment.split(b"\0"):
            if variable.startswith(prefix):
                yield int(entry), variable[len(prefix) :].decode("utf-8", "replace")


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
