"""The kit's own data files, read by libyaml where PyYAML has it: a fraction of the time, which every pack
spends before it can start."""

from pathlib import Path
from typing import Any

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(file: Path) -> Any:
    """The data of a YAML file that the kit brings. Not for a file that others write: libyaml ends the process
    where it is nested too deeply (policies/documents.py checks that). Raises OSError, yaml.YAMLError."""
    return yaml.load(file.read_text(encoding="utf-8"), Loader=_LOADER)
