"""`sovereign plan STACK`: what would change, and whether it may."""

import click

from cli import drive, output, prepare, size, workspace
from cli.errors import EXIT_CODES, PASS, REFUSED
from cli.events import Outcome
from cli.progress import Progress
from cli.up import failure
from cli.verdict import contract, forget, of_run


@click.command("plan", short_help="What would change, and may it?", epilog=EXIT_CODES)
@click.option(
    "--json", "as_json", is_flag=True, help="Print verdict, findings, resources and digest as JSON."
)
@click.argument("stack")
@click.pass_context
def command(ctx: click.Context, stack: str, as_json: bool) -> None:
    """Previews STACK against its cluster, has the plan judged, and changes nothing.

    \b
    Example:
      sovereign plan local
      sovereign plan local --json | jq -r .verdict
    """
    report = Progress(quiet=as_json)
    chosen = workspace.stack(workspace.current(), stack)
    with prepare.held(chosen):
        prepared = prepare.prepare(chosen, report)
        sized = size.of_stack(prepared.settings, chosen.site)
        size.tell(sized, report)
        forget(chosen)
        report(f"planning {stack}")
        rc, outcome = drive.run(prepared, "preview", drive.PACK, report)
        verdict = of_run(chosen, outcome)
    if verdict is None or (rc and verdict["verdict"] == "pass"):
        raise failure(stack, outcome)
    changes = steps(outcome)
    if as_json:
        output.emit_json({**contract(verdict), "changes": changes, "sizing": sized})
    else:
        click.echo(table(changes))
        click.echo(output.verdict_text(verdict, output.counted(verdict["resources"] or 0, "resource")))
    ctx.exit(PASS if verdict["verdict"] == "pass" else REFUSED)


def steps(outcome: Outcome) -> list[dict[str, str]]:
    """What would be done to which resource, without what stays as it is."""
    return [
        {"op": op, "type": urn.split("::")[2].rpartition("$")[2], "urn": urn}
        for urn, op in outcome.steps.items()
    ]


def table(changes: list[dict[str, str]]) -> str:
    if not changes:
        return "Nothing would change."
    rows = [(change["op"], output.resource_name(change["urn"])) for change in changes]
    return output.table(("CHANGE", "RESOURCE"), rows)
