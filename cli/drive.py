"""Runs the engine on a prepared stack and reads what it says."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from subprocess import PIPE
from types import MappingProxyType
from typing import Any

from cli.events import Outcome, follow
from cli.prepare import Prepared, Report
from facts.site import ROOT

#: the combined pack: all rules in one process
PACK = ("--policy-pack", str(ROOT / "policies" / "sovereign"))


#: lets the engine keep to a saved plan, which it calls experimental
TO_PLAN = {"PULUMI_EXPERIMENTAL": "true"}


def run(
    prepared: Prepared,
    command: str,
    arguments: Sequence[str],
    report: Report,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> tuple[int, Outcome]:
    """Runs up, preview, refresh or destroy; its exit code, and what it came to. Raises EngineError."""
    engine = prepared.engine
    whole = [command, "--stack", prepared.stack.name, "--json", "--non-interactive", *arguments]
    environment = {**engine.environment(), "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true", **variables}
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        with engine.running(whole, env=environment, stdout=PIPE, stderr=errors) as process:
            assert process.stdout is not None
            outcome = follow(process.stdout, report)
        errors.seek(0)
        outcome.errors.extend(line.strip() for line in errors if line.strip() and not _noise(line))
    return process.returncode, outcome


def state(prepared: Prepared) -> dict[str, Any]:
    """The stack's state, its secrets encrypted. Raises EngineError."""
    exported: dict[str, Any] = json.loads(
        prepared.engine.checked(["stack", "export", "--stack", prepared.stack.name])
    )
    return exported


def _noise(line: str) -> bool:
    return line.startswith("warning: ")
