"""Puts a plugin where the engine looks for it: in the plugins folder of a private PULUMI_HOME."""

import os
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

_LAUNCHER = """#!/bin/sh
# Started by the Pulumi engine; written by the kit.
PYTHONPATH={root}${{PYTHONPATH:+:$PYTHONPATH}} exec {command} "$@"
"""
_NO_LOGS = """This is a file, so that the engine can't make a folder here. In that it would keep a log of every run: the
properties of all resources, in the clear until the stack's key is known, for a week.
"""


def install(
    pulumi_home: Path, python: Path, root: Path, package: str, version: str, arguments: Sequence[str] = ()
) -> Path:
    """Writes the launcher of the plugin `toolchain.providers.<package>` and gives its path; run again, it
    changes nothing. A home that a plugin of the kit's is put into is the kit's own: the engine keeps no logs
    there.

    `python` is the interpreter that has the kit's dependencies, `root` the kit's root folder; both are made
    absolute. `arguments` come before those of the engine. The plugin never goes on PATH: there it would
    shadow an official one. Raises OSError when it can't be written.
    """
    _without_logs(pulumi_home)
    folder = pulumi_home.absolute() / "plugins" / f"resource-{package}-v{version}"
    launcher = folder / f"pulumi-resource-{package}"
    # not resolved: a virtualenv's python is a link, and what it leads to lacks the packages
    command = [str(python.absolute()), "-m", f"toolchain.providers.{package.replace('-', '_')}", *arguments]
    text = _LAUNCHER.format(root=shlex.quote(str(root.resolve())), command=shlex.join(command))
    if launcher.is_file() and launcher.read_bytes() == text.encode() and os.access(launcher, os.X_OK):
        return launcher
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".launcher-")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        os.chmod(name, 0o755)
        os.replace(name, launcher)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return launcher


def _without_logs(pulumi_home: Path) -> None:
    """Keeps the engine from its automatic logs, for which it has no switch; where it can't keep them it goes
    on (pkg/logging/encrypted.go and cmd/pulumi/pulumi.go, v3.259.0). They take half of its processor time.
    """
    logs = pulumi_home / "logs"
    if logs.is_dir():
        shutil.rmtree(logs)
    if not logs.is_file():
        pulumi_home.mkdir(parents=True, exist_ok=True)
        logs.write_text(_NO_LOGS, encoding="utf-8")
