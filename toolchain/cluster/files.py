"""Files of the local cluster: private to their owner, and written whole or not at all."""

import os
from pathlib import Path


def private_folder(path: Path) -> Path:
    """Makes the folder, and its parents, if need be; only its owner may enter it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_mode & 0o077:
        path.chmod(0o700)
    return path


def write(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Puts `data` at `path` atomically: on a full disk the old file stays. A file that holds it is left."""
    if _holds(path, data, mode):
        return
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def _holds(path: Path, data: bytes, mode: int) -> bool:
    try:
        return path.stat().st_mode & 0o777 == mode and path.read_bytes() == data
    except FileNotFoundError:
        return False
