"""`make score`: every leaking and clean example of tests/routes/, given to the kit and to tools of others.

    caught        leaks on whose leaking resource the tool fails a check that concerns the leak's route
    any check     the lenient reading: leaks on which it fails a check of any kind, on any resource
    false alarms  clean examples on which it fails a check that concerns a way out; any check, likewise
    read          examples of which it could read a resource at all

The kit is read as strictly: a finding of the leak's route. The others get what is known of an example, in
their own form, and the zone of the examples where they take parameters. Which of checkov's checks concern a
way out stands in concerns.yaml. conftest ships no rules, and Kyverno's are policies to choose from, so theirs
are written after published ones (conftest/, kyverno/). Everything is written to build/score.json.

The examples are the kit's own, and it is made to catch them: what the score shows is which of these ways out
other tools see, not how the kit does on what nobody has thought of.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cli.output import table
from facts.site import ROOT
from tests.score import material, tools
from tests.score.material import Case
from tests.score.tools import Run, Said
from tests.support.examples import Example
from toolchain.commands import reporter

OUTPUT = ROOT / "build" / "score.json"


def main() -> int:
    """Exit code: 0, or 1 where the kit itself missed a leak or refused an honest plan."""
    report = reporter()
    with tempfile.TemporaryDirectory(prefix="sovereign-score-") as name:
        own, found = tools.kit()
        report(f"the kit judged {len(found)} examples")
        cases = material.show(found, Path(name) / "examples")
        runs = [own, *(run(cases, report) for run in (tools.by_checkov, tools.by_conftest, tools.by_kyverno))]
        scored = score(runs, cases)
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps(scored, indent=2) + "\n", encoding="utf-8")
    print(text(scored, runs))
    kit = scored["tools"]["kit"]
    return 0 if kit["caught"] == kit["leaks"] and not kit["false_alarms"] else 1


def score(runs: Sequence[Run], cases: Sequence[Case]) -> dict[str, Any]:
    """The JSON: counts a tool, and what was caught of each route."""
    own = runs[0]
    leaks = [case for case in cases if case.example.leak]
    routes = sorted({case.example.route for case in cases})
    ran = [run for run in runs if not run.left_out]
    return {
        "routes": len(routes),
        "tools": {run.tool: _counts(run, own, cases) for run in ran},
        "left_out": {run.tool: run.left_out for run in runs if run.left_out},
        "by_route": {
            route: {
                "leaks": sum(case.example.route == route for case in leaks),
                **{
                    run.tool: sum(
                        _caught(run.said[case.example.name], case.example, own)
                        for case in leaks
                        if case.example.route == route
                    )
                    for run in ran
                },
            }
            for route in routes
        },
    }


def _counts(run: Run, own: Run, cases: Sequence[Case]) -> dict[str, Any]:
    leaks = [case for case in cases if case.example.leak]
    clean = [run.said[case.example.name] for case in cases if not case.example.leak]
    known = [case for case in leaks if case.known]
    caught = {case.example.name for case in leaks if _caught(run.said[case.example.name], case.example, own)}
    return {
        "leaks": len(leaks),
        "caught": len(caught),
        "clean": len(clean),
        # the kit passes an honest plan only where it says nothing at all
        "false_alarms": sum(any(one.routes or run is own for one in said.failed) for said in clean),
        "ms": run.ms,
        "about": run.about,
        "judged": sum(bool(run.said[case.example.name].judged) for case in cases),
        "known": {"leaks": len(known), "caught": sum(case.example.name in caught for case in known)},
        "any_check": {
            "caught": sum(bool(run.said[case.example.name].failed) for case in leaks),
            "false_alarms": sum(bool(said.failed) for said in clean),
        },
    }


def _caught(said: Said, example: Example, own: Run) -> bool:
    """Whether it says that the example's route is open, of the resource that leaks."""
    leaking = {one.urn for one in own.said[example.name].failed if one.routes}
    anywhere = not leaking or "" in leaking
    return any(
        example.route in one.routes and (anywhere or not one.urn or one.urn in leaking) for one in said.failed
    )


def text(scored: dict[str, Any], runs: Sequence[Run]) -> str:
    """The table, what each line is of, and which routes only the kit sees."""
    heads = (
        "TOOL",
        "LEAKS",
        "CAUGHT",
        "MISSED",
        "ANY CHECK",
        "CLEAN",
        "FALSE ALARMS",
        "ANY CHECK",
        "READ",
        "MS",
    )
    rows = [
        (
            tool,
            one["leaks"],
            one["caught"],
            one["leaks"] - one["caught"],
            one["any_check"]["caught"],
            one["clean"],
            one["false_alarms"],
            one["any_check"]["false_alarms"],
            one["judged"],
            one["ms"],
        )
        for tool, one in scored["tools"].items()
    ]
    lines = [f"{scored['routes']} routes", table(heads, rows), ""]
    lines += [f"{run.tool}: {run.about}" for run in runs if not run.left_out]
    lines += [f"{run.tool}: left out: {run.left_out}" for run in runs if run.left_out]
    peers = [tool for tool in scored["tools"] if tool != "kit"]
    alone = [route for route, one in scored["by_route"].items() if not any(one[peer] for peer in peers)]
    if peers:
        lines.append(f"no leak caught by {', '.join(peers)}: {len(alone)} of {scored['routes']} routes")
    missed = [route for route, one in scored["by_route"].items() if one["kit"] < one["leaks"]]
    if missed:
        lines.append(
            f"the kit missed a leak of {', '.join(missed)}: see `pytest tests/policies/test_routes.py`"
        )
    lines.append("The examples are the kit's own: it catches them all by construction, or a test fails.")
    return "\n".join([*lines, f"written to {OUTPUT.relative_to(ROOT)}"])


if __name__ == "__main__":
    sys.exit(main())
