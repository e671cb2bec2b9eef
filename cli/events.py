"""The engine's event stream (`--json`), folded into what a person wants: progress, changes, errors."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cli.output import resource_name

DONE = {
    "create": "created",
    "update": "updated",
    "delete": "deleted",
    "replace": "replaced",
    "create-replacement": "created anew",
    "delete-replaced": "deleted the old",
    "import": "imported",
    "read": "read",
    "refresh": "refreshed",
}
DOING = {
    "create": "creating",
    "update": "updating",
    "delete": "deleting",
    "create-replacement": "creating anew",
    "delete-replaced": "deleting the old",
    "import": "importing",
    "read": "reading",
}

#: the parts of one replacement, in the order in which they are done
REPLACING = ("delete-replaced", "replace", "create-replacement")


@dataclass
class Outcome:
    """What a run came to.

    `changes` counts resources by operation in the real half, `planned` in the preview half; `steps` has the
    operation planned for each URN, without those that stay. `refusals` are the pack's words.
    """

    changes: dict[str, int] = field(default_factory=dict)
    planned: dict[str, int] = field(default_factory=dict)
    steps: dict[str, str] = field(default_factory=dict)
    refusals: list[dict[str, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def unchanged(self) -> int:
        return self.changes.get("same", 0)

    @property
    def changed(self) -> dict[str, int]:
        """Counts by operation, without those that stayed as they were."""
        return {op: count for op, count in self.changes.items() if op != "same" and count}


def follow(lines: Iterable[str], report: Callable[[str], None]) -> Outcome:
    """Folds the stream, reporting each resource as it is begun and done. Any other line is an error."""
    outcome = Outcome()
    for line in lines:
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except ValueError:
            outcome.errors.append(line.strip())
            continue
        if isinstance(event, Mapping):
            _take(event, outcome, report)
    return outcome


def _take(event: Mapping[str, Any], outcome: Outcome, report: Callable[[str], None]) -> None:
    match event:
        case {"resourcePreEvent": {"metadata": metadata, "planning": True}}:
            if (op := metadata["op"]) != "same":
                outcome.steps[metadata["urn"]] = "replace" if op in REPLACING else op
        case {"resourcePreEvent": {"metadata": metadata}}:
            if (doing := DOING.get(metadata["op"])) and _shown(metadata):
                report(f"{doing} {resource_name(metadata['urn'])}")
        case {"resOutputsEvent": {"metadata": metadata, **rest}} if not rest.get("planning"):
            if (done := DONE.get(metadata["op"])) and metadata["op"] != "replace" and _shown(metadata):
                report(f"{done} {resource_name(metadata['urn'])}")
        case {"resOpFailedEvent": {"metadata": metadata}}:
            report(f"failed: {resource_name(metadata['urn'])}")
        case {"policyEvent": policy} if policy.get("enforcementLevel") == "mandatory":
            outcome.refusals.append(
                {
                    "rule": policy["policyName"],
                    "urn": policy.get("resourceUrn", ""),
                    "message": _plain(policy["message"]),
                }
            )
        case {"diagnosticEvent": diagnostic}:
            _diagnostic(diagnostic, outcome, report)
        case {"summaryEvent": {"resourceChanges": changes, **rest}}:
            counts = {op: int(count) for op, count in (changes or {}).items()}
            if rest.get("isPreview"):
                outcome.planned = counts
                if rest.get("result") != "failed":
                    report(f"planned: {count_line(counts)}")
            else:
                outcome.changes = counts


def _diagnostic(event: Mapping[str, Any], outcome: Outcome, report: Callable[[str], None]) -> None:
    message, severity = _plain(event.get("message", "")), event.get("severity")
    name = resource_name(event["urn"]) if event.get("urn") else ""
    said = f"{name}: {message}" if name else message
    if not message:
        return
    if severity == "error":
        outcome.errors.append(said)
    elif severity == "warning" and not message.startswith("using pulumi-language-"):
        report(f"warning: {said.splitlines()[0]}")
    elif severity == "info" and event.get("ephemeral") and name:
        report(said.splitlines()[0])


def count_line(counts: Mapping[str, int]) -> str:
    """`3 to create, 30 unchanged`, or `nothing to do`."""
    words = {"same": "unchanged"}
    parts = [f"{count} {words.get(op, 'to ' + op)}" for op, count in sorted(counts.items()) if count]
    return ", ".join(parts) or "nothing to do"


def done_line(counts: Mapping[str, int]) -> str:
    """`created 3, unchanged 30`."""
    words = {"same": "unchanged", **DONE}
    parts = [f"{words.get(op, op)} {count}" for op, count in sorted(counts.items()) if count]
    return ", ".join(parts) or "nothing"


def _shown(metadata: Mapping[str, Any]) -> bool:
    """Components have nothing to wait for; they'd only double the lines."""
    type_token = str(metadata.get("type", ""))
    return not type_token.startswith(("pulumi:pulumi:", "pulumi:providers:", "sovereign:"))


def _plain(message: str) -> str:
    """The engine's colour marks (<{%fg 1%}>) and control sequences taken out."""
    return re.sub(r"<\{%.*?%\}>|\x1b\[[0-9;]*m", "", message).strip()
