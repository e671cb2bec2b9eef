"""Which Python runs a program or pack: the virtual environment that its project file names, else PATH's."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class NoInterpreter(Exception):
    """The project names a virtual environment that isn't there; the text is a sentence for the user."""


@dataclass(frozen=True)
class Interpreter:
    """A Python executable, and the virtual environment that it belongs to, if any."""

    python: Path
    virtualenv: Path | None

    @staticmethod
    def of(root: Path, options: Mapping[str, object], environment: Mapping[str, str]) -> "Interpreter":
        """The interpreter for a project in `root` (the folder of its Pulumi.yaml or PulumiPolicy.yaml).

        `options` are the project file's `runtime.options`; a relative `virtualenv` is relative to `root`.
        Raises NoInterpreter.
        """
        named = options.get("virtualenv")
        if not named:
            return _on_path(environment)
        virtualenv = Path(os.path.normpath(root / Path(str(named)).expanduser()))
        python = virtualenv / "bin" / "python"
        if not python.exists():
            raise NoInterpreter(
                f"The virtual environment {virtualenv}, named by the project file in {root}, has no Python. "
                "Make it (in a checkout of the kit: `make up`), or correct `runtime.options.virtualenv`."
            )
        return Interpreter(python, virtualenv)

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """The environment for its processes, as activating the virtual environment makes it."""
        environment = dict(base)
        if self.virtualenv:
            environment["VIRTUAL_ENV"] = str(self.virtualenv)
            environment["PATH"] = os.pathsep.join(
                part for part in (str(self.virtualenv / "bin"), base.get("PATH")) if part
            )
            environment.pop("PYTHONHOME", None)
        return environment

    def site_packages(self) -> list[str]:
        """Where the virtual environment keeps its packages; empty where there is none."""
        return (
            [str(path) for path in self.virtualenv.glob("lib/python3*/site-packages")]
            if self.virtualenv
            else []
        )


def _on_path(environment: Mapping[str, str]) -> Interpreter:
    for name in (environment.get("PULUMI_PYTHON_CMD"), "python3", "python"):
        found = shutil.which(name, path=environment.get("PATH")) if name else None
        if found:
            return Interpreter(Path(found), None)
    raise NoInterpreter(
        "There is no python3 on PATH, and the project file names none: set `runtime.options.virtualenv`."
    )
