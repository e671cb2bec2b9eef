"""The cache of built programs: one folder each, complete or not there, shared by all checkouts of a user."""

import fcntl
import hashlib
import inspect
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from toolchain.build.programs import HERE, Program
from toolchain.commands import INTERVAL, Report, clock
from toolchain.errors import BuildError

#: how every program is built
FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false")


def cache() -> Path:
    """$SOVEREIGN_CACHE, else `sovereign` in the user's cache folder."""
    if given := os.environ.get("SOVEREIGN_CACHE"):
        return Path(given).expanduser().resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").resolve() / "sovereign"


@dataclass(frozen=True)
class Entry:
    """Where one thing lies in the cache once it is there."""

    path: Path

    @property
    def complete(self) -> bool:
        """Whether it is there. It is put there in one step, so there is no in between."""
        return self.path.is_dir()

    @contextmanager
    def locked(self, what: str, report: Report) -> Iterator[None]:
        """Holds the entry, so that it is made once; says so when it has to wait. Raises BuildError."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = self.path.with_name(f"{self.path.name}.lock").open("a")
        except OSError as error:
            raise BuildError(
                f"The cache {self.path.parent} can't be written ({error.strerror}): "
                "set SOVEREIGN_CACHE to a folder that can."
            ) from error
        with lock:
            _wait_for(lock.fileno(), what, report)
            yield

    @contextmanager
    def filling(self) -> Iterator[Path]:
        """A folder that becomes the entry at the end; an error leaves nothing. For the lock's holder."""
        for left in self.path.parent.glob(f"{self.path.name}.new-*"):
            remove(left)  # by a run that was killed
        folder = self.path.with_name(f"{self.path.name}.new-{os.getpid()}")
        folder.mkdir(mode=0o755)
        try:
            yield folder
            os.sync()
            folder.rename(self.path)
        finally:
            remove(folder)


def entry(program: Program) -> Entry:
    """The place of a program in the cache, by all that decides what it is."""
    return Entry(cache() / "toolchain" / f"{program.name}-{key(program)}")


def key(program: Program) -> str:
    """Digest of module files, package, flags, files beside it, and platform.

    The Go that builds it is no part of it: go.mod names the least that will do, a warm start needs none.
    """
    digest = hashlib.sha256()
    for part in (program.package, program.ldflags, *FLAGS, sys.platform, platform.machine()):
        digest.update(part.encode() + b"\0")
    for name in ("go.mod", "go.sum"):
        digest.update((program.folder / name).read_bytes() + b"\0")
    for extra in program.extras:
        digest.update(f"{extra.module}/{extra.source}:{extra.target}\0".encode())
        if not extra.module:
            digest.update(checkout_file(extra.source).read_bytes() + b"\0")
        if extra.made:
            digest.update(Path(inspect.getfile(extra.made)).read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def checkout_file(source: str) -> Path:
    """A file of the checkout, by its path from the root."""
    return HERE.parent.parent / source


def remove(folder: Path) -> None:
    """Removes a folder, read-only parts and all; content with there being none."""
    shutil.rmtree(folder, ignore_errors=True)


def _wait_for(descriptor: int, what: str, report: Report) -> None:
    start = told = time.monotonic()
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            now = time.monotonic()
            if told == start or now - told >= INTERVAL:
                waited = f" ({clock(now - start)} so far)" if told != start else ""
                report(f"waiting for another build of {what}{waited}")
                told = now
            time.sleep(0.2)
