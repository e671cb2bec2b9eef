"""What the rules said of a run: the verdict that the pack stored, or its words in the events."""

import json
from typing import Any

from cli.events import Outcome
from cli.workspace import Stack


def forget(stack: Stack) -> None:
    """Takes back an older verdict, so that it isn't taken for that of the run to come."""
    from policies import verdict

    verdict.withdraw(stack.verdict)


def of_run(stack: Stack, outcome: Outcome) -> dict[str, Any] | None:
    """The verdict of the run that just ended; None where the rules did not get to speak.

    A plan that passed can still be refused before a create, when a value has become known: that shows in the
    events only.
    """
    stored = _stored(stack)
    if not outcome.refusals or (stored is not None and stored["verdict"] == "refuse"):
        return stored
    findings = [_finding(refusal) for refusal in outcome.refusals]
    return {**(stored or {"resources": None, "digest": None}), "verdict": "refuse", "findings": findings}


def contract(verdict: dict[str, Any]) -> dict[str, Any]:
    """The keys that other people's pipelines build on."""
    return {key: verdict.get(key) for key in ("verdict", "findings", "resources", "digest")}


def _stored(stack: Stack) -> dict[str, Any] | None:
    try:
        said = json.loads(stack.verdict.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return said if isinstance(said, dict) and said.get("verdict") in ("pass", "refuse") else None


def _finding(refusal: dict[str, str]) -> dict[str, Any]:
    """A finding from a policy's event, which has its parts in one sentence."""
    from policies.sentence import finding_of

    said = finding_of(refusal["message"], refusal["urn"])
    if said is not None:
        return said.to_json()
    return {
        "rule": refusal["rule"],
        "route": "",
        "controls": [],
        "urn": refusal["urn"],
        "path": "",
        "seen": "",
        "why": refusal["message"],
        "fix": "",
        "verdict": "refuse",
    }
