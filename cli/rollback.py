"""`sovereign rollback STACK MODEL`: the model as it was released before, by one command."""

from typing import Any

import click

from cli import output, releases, workspace
from cli.errors import EXIT_CODES, BadInput
from cli.up import command as up


@click.command("rollback", short_help="Bring a model's earlier release back.", epilog=EXIT_CODES)
@click.argument("stack")
@click.argument("model")
@click.option("--to", type=click.IntRange(1), help="The release's number. Default: the one before the last.")
@click.option("--end", is_flag=True, help="Take the rollback away: the settings count again.")
@click.option("--list", "show", is_flag=True, help="List the recorded releases and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def command(
    ctx: click.Context, stack: str, model: str, to: int | None, end: bool, show: bool, as_json: bool
) -> None:
    """Applies an earlier release of MODEL to STACK: its image, arguments, weights and sizing, all as one.

    Each `sovereign up` records what it applied. The release goes through the same rules as any plan. It is
    named in the site's rollback.STACK.yaml and stands there in the place of the settings until `--end`, so
    that the next `sovereign up` doesn't undo it; commit that file with the settings.

    \b
    Example:
      sovereign rollback local llama-3.3-70b --list
      sovereign rollback local llama-3.3-70b
      sovereign rollback local llama-3.3-70b --end
    """
    from stacks.settings import load

    chosen = workspace.stack(workspace.current(), stack)
    names = [one.name for one in load(chosen.source).models]
    if model not in names:
        raise BadInput(f"{stack} has no model {model}: it has {', '.join(names)}.")
    known = releases.of_model(chosen, model)
    if show:
        if as_json:
            output.emit_json(known)
        else:
            click.echo(table(known) if known else f"No release of {model} in {stack} is recorded: `up` does.")
        return
    before = releases.saved(chosen)
    try:
        if end:
            releases.end(chosen, model)
        else:
            release = releases.roll_back(chosen, model, to)
            click.echo(f"{model}: back to release {release['release']} of {release['applied']}", err=True)
        ctx.invoke(up, stack=stack, as_json=as_json)
    except BaseException as stopped:
        # refused or failed: what the files say is again what it was, and `up` goes on from there
        if not (isinstance(stopped, click.exceptions.Exit) and stopped.exit_code == 0):
            releases.restore(chosen, before)
        raise


def table(known: list[dict[str, Any]]) -> str:
    """The releases of a model, oldest first."""
    rows = [
        (
            one["release"],
            one["applied"],
            one["model"]["image"].rpartition("@")[2][:19],
            one["model"]["weights"]["digest"][:19],
            f"{one['model']['gpus']} GPUs, {one['model']['maxLength']} tokens",
        )
        for one in known
    ]
    return output.table(("RELEASE", "APPLIED", "IMAGE", "WEIGHTS", "SIZE"), rows)
