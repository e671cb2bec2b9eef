"""`sovereign up STACK`: everything from a bare checkout to Ready services, and nothing where all is done."""

from typing import Any, NoReturn

import click

from cli import drive, events, output, prepare, release, releases, size, workspace
from cli.errors import EXIT_CODES, REFUSED, OperationFailed, Refused
from cli.progress import Progress
from cli.verdict import contract, forget, of_run

#: how the engine says that a run leaves its saved plan (pkg/resource/deploy, pulumi v3.259.0)
_OTHER_THAN_PLANNED = ("violates plan", "not allowed by the plan", "expected resource operations for")


@click.command("up", short_help="Stand a stack up, or bring it up to date.", epilog=EXIT_CODES)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON; no progress.")
@click.option(
    "-y", "--yes", is_flag=True, hidden=True, help="Taken for granted: what may go ahead is the rules' word."
)
@click.option("--release", "to_release", is_flag=True, help="Do what was planned as a release, and no more.")
@click.argument("stack")
@click.pass_context
def command(ctx: click.Context, stack: str, as_json: bool, yes: bool, to_release: bool = False) -> None:
    """Plans STACK, has the plan judged, and applies it when it passes. Running it again changes nothing.

    Builds what the machine lacks, starts the embedded cluster where the stack is for it, and waits until the
    workloads are ready. A plan that leaks is refused before anything is made.

    With --release, and always on a cloud, it does what `sovereign plan STACK --release` planned, and refuses
    where anything that this was planned from is another now.

    \b
    Example:
      sovereign up local
      sovereign --site ~/our-site up lyon --json
    """
    report = Progress(quiet=as_json)
    chosen = workspace.stack(workspace.current(), stack)
    with prepare.held(chosen):
        prepared = prepare.prepare(chosen, report)
        sized = size.of_stack(prepared.settings, chosen.site)
        size.tell(sized, report)
        planned = to_release or release.asked(prepared.settings)
        if planned:
            release.require(prepared)
        forget(chosen)
        report(f"planning {stack}")
        plan = ("--plan", str(release.plan_of(chosen))) if planned else ()
        rc, outcome = drive.run(
            prepared, "up", ("--yes", *drive.PACK, *plan), report, drive.TO_PLAN if planned else {}
        )
        said = of_run(chosen, outcome)
        if said is not None and said["verdict"] == "refuse":
            refuse(ctx, said, f"{stack}; {made(outcome)}", as_json)
        if rc:
            raise violation(stack, outcome) or failure(stack, outcome)
        releases.remember(chosen, prepared.settings)
        summary = {**summary_of(prepared, outcome, report.elapsed()), "sizing": sized}
    if as_json:
        output.emit_json(summary)
    else:
        click.echo(summary_text(summary))


def refuse(ctx: click.Context, said: dict[str, Any], what: str, as_json: bool) -> NoReturn:
    """Shows a refusal and ends the command with its exit code."""
    if as_json:
        output.emit_json(contract(said))
    else:
        click.echo(output.verdict_text(said, what))
    ctx.exit(REFUSED)


def violation(stack: str, outcome: events.Outcome) -> Refused | None:
    """Where the engine stopped because a release planned something else, what that is."""
    errors = dict.fromkeys(outcome.errors)
    found = [error for error in errors if any(words in error for words in _OTHER_THAN_PLANNED)]
    if not found:
        return None
    said = "\n".join(f"  {line.strip()}" for error in found for line in error.splitlines() if line.strip())
    return Refused(
        f"{stack}: what would be done now is not what the release planned; {made(outcome)}.\n{said}\n"
        f"Plan and approve it again: sovereign plan {stack} --release."
    )


def failure(stack: str, outcome: events.Outcome) -> OperationFailed:
    """Why the engine could not do what it was asked."""
    # what the engine says of an error's consequences is not another error
    echoes = ("context canceled", "the program ended with exit code", "preview failed", "update failed")
    errors = [error for error in outcome.errors if not any(echo in error for echo in echoes)]
    errors = errors or outcome.errors
    reasons = (line.strip() for error in dict.fromkeys(errors) for line in error.splitlines())
    return OperationFailed(
        "\n".join(
            [
                f"{stack}: the engine stopped; {made(outcome)}.",
                *(f"  {reason}" for reason in reasons if reason),
                "The state is kept. Put the cause right, then run the same command again.",
            ]
        )
    )


def made(outcome: events.Outcome) -> str:
    """What a run that ended badly had changed by then."""
    made = {op: count for op, count in outcome.changes.items() if op != "same"}
    return f"before that: {events.done_line(made)}" if made else "nothing was changed"


def summary_of(prepared: prepare.Prepared, outcome: events.Outcome, seconds: float) -> dict[str, Any]:
    """What the run came to, as JSON has it."""
    state = drive.state(prepared)
    return {
        "stack": prepared.stack.name,
        "zone": prepared.zone.name,
        "changes": outcome.changes,
        "workloads": workloads(state),
        "outputs": outputs(state),
        "seconds": round(seconds, 1),
    }


def summary_text(summary: dict[str, Any]) -> str:
    ready = [item for item in summary["workloads"] if item["ready"] >= item["wanted"]]
    parts = [
        f"{summary['stack']} in zone {summary['zone']}: {events.done_line(summary['changes'])}",
        output.table(
            ("WORKLOAD", "NAMESPACE", "READY"),
            [(w["name"], w["namespace"], f"{w['ready']}/{w['wanted']}") for w in summary["workloads"]],
        )
        if summary["workloads"]
        else "",
        output.table(("OUTPUT", "VALUE"), summary["outputs"].items()) if summary["outputs"] else "",
        f"{len(ready)} of {len(summary['workloads'])} workloads ready, {summary['seconds']:.0f} s",
    ]
    return "\n".join(part for part in parts if part)


def workloads(state: dict[str, Any]) -> list[dict[str, Any]]:
    """Deployments and the like in the state, with how many of their pods are ready."""
    found = []
    for resource in (state.get("deployment") or {}).get("resources") or ():
        kind = str(resource.get("type", "")).rpartition(":")[2]
        if not str(resource.get("type", "")).startswith("kubernetes:apps/") or resource.get("delete"):
            continue
        outputs = resource.get("outputs") or {}
        if kind not in ("Deployment", "StatefulSet", "DaemonSet"):
            continue
        status, meta = outputs.get("status") or {}, outputs.get("metadata") or {}
        wanted = status.get("desiredNumberScheduled") or (outputs.get("spec") or {}).get("replicas") or 0
        ready = status.get("readyReplicas") or status.get("numberReady") or 0
        found.append(
            {
                "kind": kind,
                "namespace": meta.get("namespace", ""),
                "name": meta.get("name", ""),
                "ready": int(ready),
                "wanted": int(wanted),
            }
        )
    return found


def outputs(state: dict[str, Any]) -> dict[str, Any]:
    """The stack's outputs; a secret one shows as such."""
    for resource in (state.get("deployment") or {}).get("resources") or ():
        if resource.get("type") == "pulumi:pulumi:Stack":
            return {
                name: "[secret]" if isinstance(value, dict) and "ciphertext" in value else value
                for name, value in (resource.get("outputs") or {}).items()
            }
    return {}
