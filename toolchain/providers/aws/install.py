"""Puts the stand-in where the engine looks for the plugin: in the plugins folder of a private PULUMI_HOME."""

from pathlib import Path

from toolchain.providers.aws.version import PACKAGE, VERSION
from toolchain.providers.core.install import install as _install


def install(pulumi_home: Path, python: Path, root: Path) -> Path:
    """Writes the stand-in's launcher and gives its path; see core/install.py. Facts come from `root`."""
    facts = root.resolve() / "facts" / "aws.yaml"
    return _install(pulumi_home, python, root, PACKAGE, VERSION, (f"--facts={facts}",))
