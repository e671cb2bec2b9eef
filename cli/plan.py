"""`sovereign plan STACK`: what would change, and whether it may."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import drive, output, prepare, release, review, size, workspace
from cli.errors import EXIT_CODES, PASS, REFUSED, BadInput
from cli.events import Outcome
from cli.prepare import Prepared
from cli.progress import Progress
from cli.up import failure
from cli.verdict import contract, forget, of_run
from cli.workspace import Stack

if TYPE_CHECKING:
    from stacks.settings import Settings

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("plan", short_help="What would change, and may it?", epilog=EXIT_CODES)
@click.option(
    "--json", "as_json", is_flag=True, help="Print verdict, findings, resources and digest as JSON."
)
@click.option("--state", type=_FILE, help="Of a review: the exported state that it starts from.")
@click.option("--ordinary", is_flag=True, help="Of a review: plan beside it with outputs unknown, too.")
@click.option(
    "--release", "to_release", is_flag=True, help="Plan what `up --release` then does, and no more."
)
@click.option("--approver", help="Of a release: who answers for it, as the zone's signers have them.")
@click.option("--key", type=_FILE, help="Of a release: the approver's private ed25519 key, in PEM.")
@click.option(
    "--valid",
    type=click.IntRange(1, 168),
    default=24,
    show_default=True,
    help="Of a release: for how many hours it may be used.",
)
@click.argument("stack")
@click.pass_context
def command(
    ctx: click.Context,
    stack: str,
    as_json: bool,
    state: Path | None,
    ordinary: bool,
    to_release: bool,
    approver: str | None,
    key: Path | None,
    valid: int,
) -> None:
    """Previews STACK, has the plan judged, and changes nothing.

    A stack on a cloud is reviewed: planned by stand-ins, with no account, no cluster and no secret of the
    stack's, ground and service at once. What that says is advice; what is to be applied is planned with
    --release, by the plugins that apply it.

    \b
    Example:
      sovereign plan local
      sovereign plan local --json | jq -r .verdict
      sovereign plan aws-paris-hds
      sovereign plan aws-paris-hds --release --approver "Jean Petit"
    """
    report = Progress(quiet=as_json)
    chosen = workspace.stack(workspace.current(), stack)
    settings = prepare.settings_of(chosen)
    reviewed = settings.cluster.of_ground and not to_release
    if (state or ordinary) and not reviewed:
        raise BadInput(
            "--state and --ordinary are of a review, which is of a stack on a cloud, not released."
        )
    if (approver or key) and not to_release:
        raise BadInput("--approver and --key are of a release: add --release, or leave them out.")
    if to_release and not approver:
        raise BadInput("A release names who answers for it: give --approver NAME.")
    with prepare.held(chosen):
        if reviewed:
            said = _review(chosen, settings, state, ordinary, report)
        elif to_release and approver:
            said = _release(chosen, approver, key, timedelta(hours=valid), report)
        else:
            said = _plan(chosen, report)
    if as_json:
        output.emit_json(said)
    else:
        click.echo(text(said))
    ctx.exit(PASS if said["verdict"] == "pass" else REFUSED)


def _plan(stack: Stack, report: Progress) -> dict[str, Any]:
    """A plan against the stack's own cluster and state."""
    prepared = prepare.prepare(stack, report)
    sized = _sized(stack, prepared.settings, report)
    return {**_previewed(prepared, report), "kind": "plan", "sizing": sized}


def _review(
    stack: Stack, settings: "Settings", state: Path | None, ordinary: bool, report: Progress
) -> dict[str, Any]:
    """A plan by stand-ins. The one with outputs unknown comes first, so that the verdict that stays is the
    other's."""
    beside = {}
    if ordinary:
        with review.prepared(stack, "ordinary", state, report) as prepared:
            beside = {"ordinary": _previewed(prepared, report, "planning {} with outputs unknown")}
    with review.prepared(stack, "symbolic", state, report) as prepared:
        sized = _sized(stack, settings, report)
        said = _previewed(prepared, report, "reviewing {}")
    started = state.name if state else None
    return {**said, "kind": "review", "advisory": True, "state": started, "sizing": sized, **beside}


def _release(
    stack: Stack, approver: str, key: Path | None, valid: timedelta, report: Progress
) -> dict[str, Any]:
    """A plan that `up --release` keeps to, with the record that binds it."""
    release.check_approver(approver, key, prepare.zone_of(stack, prepare.settings_of(stack)))
    release.withdraw(stack)
    prepared = prepare.prepare(stack, report)
    sized = _sized(stack, prepared.settings, report)
    began = release.Bound(prepared).digests()
    said = _previewed(prepared, report, "planning a release of {}", save=release.plan_of(stack))
    if said["verdict"] == "pass":
        said |= {"release": release.record(prepared, began, said, approver, key, valid)}
    else:
        release.withdraw(stack)
    return {**said, "kind": "release", "sizing": sized}


def _sized(stack: Stack, settings: "Settings", report: Progress) -> list[dict[str, Any]]:
    sized = size.of_stack(settings, stack.site)
    size.tell(sized, report)
    return sized


def _previewed(
    prepared: Prepared, report: Progress, sentence: str = "planning {}", save: Path | None = None
) -> dict[str, Any]:
    """What the rules say of a preview, and what it would change; the engine's plan goes to `save`."""
    stack = prepared.stack
    forget(stack)
    report(sentence.format(stack.name))
    saving = ("--save-plan", str(save)) if save else ()
    rc, outcome = drive.run(
        prepared, "preview", (*drive.PACK, *saving), report, drive.TO_PLAN if save else {}
    )
    verdict = of_run(stack, outcome)
    if verdict is None or (rc and verdict["verdict"] == "pass"):
        raise failure(stack.name, outcome)
    return {**contract(verdict), "changes": steps(outcome)}


def steps(outcome: Outcome) -> list[dict[str, str]]:
    """What would be done to which resource, without what stays as it is."""
    return [
        {"op": op, "type": urn.split("::")[2].rpartition("$")[2], "urn": urn}
        for urn, op in outcome.steps.items()
    ]


def text(said: dict[str, Any]) -> str:
    """A plan for a reader, the verdict last."""
    parts = [table(said["changes"])]
    if "ordinary" in said:
        undecided = sum(finding["verdict"] == "undecided" for finding in said["ordinary"]["findings"])
        parts.append(
            f"With outputs unknown: {output.counted(said['ordinary']['resources'], 'resource')}, "
            f"{undecided} of {output.counted(len(said['ordinary']['findings']), 'finding')} undecided."
        )
    parts.append(output.verdict_text(said, output.counted(said["resources"] or 0, "resource")))
    if said["kind"] == "review":
        start = f"against {said['state']}, whose secrets show as changed" if said["state"] else "from nothing"
        parts.append(f"A review, planned {start}: advice, which nothing can apply.")
    if "release" in said:
        kept = said["release"]
        parts.append(
            f"A release, approved by {kept['approver']}, until {kept['expires']}: "
            f"sovereign up {kept['stack']} --release"
        )
    return "\n".join(parts)


def table(changes: list[dict[str, str]]) -> str:
    if not changes:
        return "Nothing would change."
    rows = [(change["op"], output.resource_name(change["urn"])) for change in changes]
    return output.table(("CHANGE", "RESOURCE"), rows)
