"""`sovereign toolchain build`: makes the engine and the cluster's programs ahead of time, as for a cache."""

import click

from cli import output
from cli.errors import EXIT_CODES
from cli.progress import Progress


@click.group("toolchain", short_help="Build the programs ahead of time.", epilog=EXIT_CODES)
def group() -> None:
    """The programs that a bare machine lacks, built from pinned sources."""


@group.command("build", epilog=EXIT_CODES)
@click.option("--json", "as_json", is_flag=True, help="Print the programs as JSON.")
def build(as_json: bool) -> None:
    """Builds what is missing and prints where each program lies. `up` does the same by itself.

    \b
    Example:
      sovereign toolchain build
    """
    from toolchain import build as builder

    programs = {name: str(path) for name, path in builder.ensure(report=Progress(quiet=as_json)).items()}
    if as_json:
        output.emit_json(programs)
    else:
        click.echo(output.table(("PROGRAM", "PATH"), programs.items()))
