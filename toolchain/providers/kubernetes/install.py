"""Puts the plugin where the engine looks for it: in the plugins folder of a private PULUMI_HOME."""

from pathlib import Path

from toolchain.providers.core.install import install as _install
from toolchain.providers.kubernetes.version import PACKAGE, VERSION


def install(pulumi_home: Path, python: Path, root: Path, api: Path | None = None) -> Path:
    """Writes the plugin's launcher and gives its path; see core/install.py. `api`: the published API's file,
    for reviews."""
    return _install(pulumi_home, python, root, PACKAGE, VERSION, (f"--api={api}",) if api else ())
