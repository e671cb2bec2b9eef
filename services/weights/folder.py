"""The files of a folder of weights: found without following a link, read once each, several at a time."""

import hashlib
import os
import stat
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from threading import Lock

from services.weights.errors import WeightsError
from services.weights.manifest import MANIFEST, SIGNATURE, safe

#: bytes of one read: large enough that the disk, not Python, sets the pace
_CHUNK = 8 * 2**20

#: told how many bytes were read since the last time
Progress = Callable[[int], None]


def sizes(folder: Path) -> dict[str, int]:
    """Sizes in bytes of all files but manifest and signature, by relative path. Raises WeightsError."""
    found: dict[str, int] = {}
    faults: list[str] = []
    for place, folders, names in os.walk(folder, onerror=_unreadable):
        for name in [*folders, *names]:
            full = Path(place, name)
            path = full.relative_to(folder).as_posix()
            mode = full.lstat()
            if stat.S_ISLNK(mode.st_mode):
                faults.append(
                    f"{path} is a symbolic link: copy the files themselves into the folder, such as with "
                    "`cp -rL`."
                )
            elif name in folders and stat.S_ISDIR(mode.st_mode):
                continue
            elif not stat.S_ISREG(mode.st_mode):
                faults.append(f"{path} is no ordinary file: remove it from the folder.")
            elif path not in (MANIFEST, SIGNATURE):
                if not safe(path):
                    faults.append(f"{path!r} is no name that a manifest can hold: rename it.")
                found[path] = mode.st_size
    if faults:
        raise WeightsError("\n".join(sorted(faults)))
    return dict(sorted(found.items()))


def digests(
    folder: Path,
    files: Mapping[str, int],
    parallel: int,
    progress: Progress,
    copy_to: Path | None = None,
) -> dict[str, str]:
    """SHA-256 of each file in hex; with `copy_to`, what was read is also written there.

    The largest are begun first, so that no core is left with one of them at the end.
    """
    lock = Lock()

    def told(count: int) -> None:
        with lock:
            progress(count)

    def one(path: str) -> str:
        target = copy_to / path if copy_to else None
        return _digest(folder / path, path, files[path], told, target)

    largest_first = sorted(files, key=lambda path: -files[path])
    pool = ThreadPoolExecutor(max(1, parallel))
    try:
        return dict(zip(largest_first, pool.map(one, largest_first), strict=True))
    finally:
        pool.shutdown(cancel_futures=True)


def _digest(file: Path, path: str, size: int, progress: Progress, target: Path | None) -> str:
    buffer = bytearray(_CHUNK)
    view, hashed, read = memoryview(buffer), hashlib.sha256(), 0
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", buffering=0) as source:
        before = os.fstat(descriptor)
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        with open(target, "xb", buffering=0) if target else nullcontext() as copy:
            while count := source.readinto(buffer):
                hashed.update(view[:count])
                if copy:
                    copy.write(view[:count])
                read += count
                progress(count)
            if copy:
                os.fsync(copy.fileno())
        after = os.fstat(descriptor)
    if read != size or (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise WeightsError(
            f"{path} changed while it was read: let nobody write to the folder, and try again."
        )
    return hashed.hexdigest()


def _unreadable(error: OSError) -> None:
    raise error
