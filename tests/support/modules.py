"""Files of published Go modules, pinned by their checksums and kept in the cache of the toolchain.

A folder of tests pins modules in a go.mod and go.sum of its own. They are read as data; nothing in them is
run.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from toolchain.build import golang, store


class NotThere(Exception):
    """A module or a file in it that can't be had; the text says which and what to do."""


def version(module: str, pinned: Path) -> str:
    """The version of a module that the go.mod in `pinned` names."""
    for line in (pinned / "go.mod").read_text(encoding="utf-8").splitlines():
        words = line.removeprefix("require").split()
        if words[:1] == [module]:
            return words[1]
    raise NotThere(f"{pinned / 'go.mod'} does not require {module}: add it with its version.")


def files(module: str, patterns: Sequence[str], pinned: Path) -> list[Path]:
    """The files of a module that match, pattern by pattern. Raises NotThere."""
    kept = store.cache() / "modules" / f"{module.replace('/', '-')}-{version(module, pinned)}"
    places = {pattern: kept / sha256(pattern.encode()).hexdigest()[:16] for pattern in patterns}
    missing = {pattern: place for pattern, place in places.items() if not place.is_dir()}
    if missing:
        _fetch(module, missing, pinned)
    return [file for place in places.values() for file in sorted(place.rglob("*")) if file.is_file()]


def _fetch(module: str, places: Mapping[str, Path], pinned: Path) -> None:
    """Puts what matches each pattern into its place, in one step, so that it is there whole or not at all."""
    go = golang.find(lambda sentence: None)
    with tempfile.TemporaryDirectory(prefix="sovereign-modules-") as name:
        for copied in ("go.mod", "go.sum"):
            shutil.copyfile(pinned / copied, Path(name) / copied)
        said = subprocess.run(
            [go.executable, "mod", "download", "-modcacherw", "-json", module],
            cwd=name,
            env={**go.environment(), "GOMODCACHE": f"{name}/modules"},
            capture_output=True,
            text=True,
            check=False,
        )
        if said.returncode:
            raise NotThere(f"The Go module {module} can't be fetched: check GOPROXY. {said.stderr.strip()}")
        source = Path(json.loads(said.stdout)["Dir"])
        for pattern, place in places.items():
            found = [file for file in source.glob(pattern) if file.is_file()]
            if not found:
                raise NotThere(f"{module} has no file {pattern}: correct the pattern.")
            draft = place.with_name(f"{place.name}.new-{os.getpid()}")
            for file in found:
                target = draft / file.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
            with suppress(OSError):  # another run was faster
                draft.rename(place)
            store.remove(draft)
