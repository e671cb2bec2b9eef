"""`sovereign rollback STACK MODEL`: the model as it was released before, by one command."""

from typing import Any

import click

from cli import output, release, releases, workspace
from cli.errors import EXIT_CODES, BadInput
from cli.up import command as up
from cli.workspace import Stack


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

    A stack on a cloud is changed by releases only: there the file is all that is written, and planning and
    applying it are the next two commands, as for any change of the settings.

    \b
    Example:
      sovereign rollback local llama-3.3-70b --list
      sovereign rollback local llama-3.3-70b
      sovereign rollback local llama-3.3-70b --end
    """
    from stacks.settings import load

    chosen = workspace.stack(workspace.current(), stack)
    settings = load(chosen.source)
    names = [one.name for one in settings.models]
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
            back = releases.roll_back(chosen, model, to)
            click.echo(f"{model}: back to release {back['release']} of {back['applied']}", err=True)
        if release.asked(settings):
            load(chosen.source)
            _say_next(chosen, model, as_json)
        else:
            ctx.invoke(up, stack=stack, as_json=as_json)
    except BaseException as stopped:
        # refused or failed: what the files say is again what it was, and `up` goes on from there
        if not (isinstance(stopped, click.exceptions.Exit) and stopped.exit_code == 0):
            releases.restore(chosen, before)
        raise


def _say_next(stack: Stack, model: str, as_json: bool) -> None:
    """What is to be done where a plan of its own comes between the files and what runs."""
    file = stack.site.rollback_file(stack.name)
    steps = [f"sovereign plan {stack.name} --release --approver NAME", f"sovereign up {stack.name} --release"]
    if as_json:
        output.emit_json(
            {"stack": stack.name, "model": model, "file": str(file), "applied": False, "next": steps}
        )
        return
    done = f"{file} says so" if file.is_file() else f"{file} is gone, and the settings count"
    click.echo(
        f"{done}; nothing is applied yet, because {stack.name} is changed by releases only. Go on with:\n"
        + "\n".join(f"  {step}" for step in steps)
    )


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
