"""Puts the plugin where the engine looks for it: in the plugins folder of a private PULUMI_HOME."""

import os
import shlex
import tempfile
from pathlib import Path

from toolchain.providers.kubernetes.version import PACKAGE, VERSION

_LAUNCHER = """#!/bin/sh
# Started by the Pulumi engine; written by the kit.
PYTHONPATH={root}${{PYTHONPATH:+:$PYTHONPATH}} exec {python} -m toolchain.providers.kubernetes "$@"
"""


def install(pulumi_home: Path, python: Path, root: Path) -> Path:
    """Writes the plugin's launcher and gives its path; run again, it changes nothing.

    `python` is the interpreter that has the kit's dependencies, `root` the kit's root folder; both are made
    absolute. The plugin never goes on PATH: there it would shadow an official one. Raises OSError when it
    can't be written.
    """
    folder = pulumi_home.absolute() / "plugins" / f"resource-{PACKAGE}-v{VERSION}"
    launcher = folder / f"pulumi-resource-{PACKAGE}"
    # not resolved: a virtualenv's python is a link, and what it leads to lacks the packages
    text = _LAUNCHER.format(root=shlex.quote(str(root.resolve())), python=shlex.quote(str(python.absolute())))
    if launcher.is_file() and launcher.read_text() == text and os.access(launcher, os.X_OK):
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
