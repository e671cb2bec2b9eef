"""`sovereign down STACK`: takes away what `up` made; works on half-made state, and twice."""

import shutil
import sys
from contextlib import suppress

import click

from cli import cluster, drive, output, prepare, workspace
from cli.errors import EXIT_CODES, BadInput, OperationFailed, for_user
from cli.events import done_line
from cli.progress import Progress
from cli.up import failure
from cli.workspace import Stack


@click.command("down", short_help="Take a stack away, and its cluster with --cluster.", epilog=EXIT_CODES)
@click.option("-y", "--yes", is_flag=True, help="Don't ask about a cluster of your own.")
@click.option("--cluster", "with_cluster", is_flag=True, help="Stop and remove the embedded cluster, too.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.argument("stack")
def command(stack: str, yes: bool, with_cluster: bool, as_json: bool) -> None:
    """Deletes every object of STACK, through the engine. Where there is none, it says so and is content.

    On a cluster of your own it asks first. With --cluster the embedded cluster goes, too, and with it the
    stack's state, passphrase and settings.

    \b
    Example:
      sovereign down local --cluster
      sovereign --site ~/our-site down lyon --yes
    """
    report = Progress(quiet=as_json)
    chosen = workspace.stack(workspace.current(), stack)
    settings = prepare.settings_of(chosen)
    if with_cluster and not settings.cluster.embedded:
        raise BadInput(
            f"{stack} stands on a cluster of your own, which is not the kit's to remove: leave --cluster out."
        )
    _ask(stack, yes or settings.cluster.embedded)
    with prepare.held(chosen):
        try:
            changes = _destroy(chosen, with_cluster, report)
        except Exception as error:
            if not with_cluster:
                raise
            report(for_user(error).format_message())
            report("what is left goes with the cluster")
            changes = {}
        if with_cluster:
            cluster.of(chosen.site).down(report=report, delete=True)
            _remove_traces(chosen)
    if as_json:
        output.emit_json(
            {"stack": stack, "changes": changes, "cluster": "removed" if with_cluster else "kept"}
        )
    else:
        click.echo(f"{stack}: {done_line(changes)}{', cluster removed' if with_cluster else ''}")


def _ask(stack: str, sure: bool) -> None:
    if sure:
        return
    if not sys.stdin.isatty():
        raise BadInput(f"Deleting {stack} asks for a yes, and nobody is there to give it: add --yes.")
    click.confirm(f"Delete {stack} and all that it runs?", abort=True, err=True)


def _destroy(stack: Stack, with_cluster: bool, report: Progress) -> dict[str, int]:
    """Deletes the stack's objects; counts by operation."""
    settings = prepare.settings_of(stack)
    if not prepare.has_resources(stack, settings):
        report(f"{stack.name} has nothing to delete")
        return {}
    if settings.cluster.embedded and not cluster.of(stack.site).status().running:
        if with_cluster:
            report("the cluster does not run: its objects go with its data")
            return {}
        raise OperationFailed(
            f"The embedded cluster of {stack.name} does not run, so its objects can't be deleted. "
            f"Start it (sovereign cluster up) and run this again, or remove both: "
            f"sovereign down {stack.name} --cluster."
        )
    prepared = prepare.reopen(stack, report)
    if not prepared.engine.has_stack(stack.name):
        return {}
    rc, outcome = drive.run(prepared, "destroy", ("--yes",), report)
    if rc:
        raise failure(stack.name, outcome)
    return outcome.changes


def _remove_traces(stack: Stack) -> None:
    """Removes the stack's folder, and what nobody else needs then."""
    shutil.rmtree(stack.folder, ignore_errors=True)
    stacks = stack.folder.parent
    if not any(stacks.iterdir()):
        stacks.rmdir()
        for home in (workspace.engine_home(stack.site), workspace.review_home(stack.site)):
            shutil.rmtree(home, ignore_errors=True)
        with suppress(OSError):  # others' things lie there
            stacks.parent.rmdir()
