"""`sovereign env STACK`: the environment in which a plain `pulumi` works on the stack."""

import os
import shlex
from collections.abc import Iterator, Mapping

import click

from cli import prepare, workspace
from cli.errors import EXIT_CODES
from cli.progress import Progress


@click.command("env", short_help="The environment for a plain pulumi.", epilog=EXIT_CODES)
@click.argument("stack")
def command(stack: str) -> None:
    """Prepares STACK as `up` does, and prints the environment in which plain `pulumi` works on it.

    \b
    Example:
      eval "$(sovereign env local)"
      pulumi preview -s local --policy-pack policies/sovereign
      pulumi up -s local --policy-pack policies/sovereign

    It points to the kit's engine, state, settings and passphrase file (never a passphrase itself), and unsets
    kubeconfig and cloud credentials. After a change of the settings, run it again.
    """
    chosen = workspace.stack(workspace.current(), stack)
    with prepare.held(chosen):
        prepared = prepare.prepare(chosen, Progress())
    click.echo("\n".join(shell_lines(prepared.engine.environment(), os.environ)))


def shell_lines(wanted: Mapping[str, str], present: Mapping[str, str]) -> Iterator[str]:
    """Shell lines that turn the present environment into the wanted one."""
    for name in sorted(present.keys() - wanted.keys()):
        yield f"unset {name}"
    for name in sorted(wanted):
        if present.get(name) != wanted[name]:
            yield f"export {name}={shlex.quote(wanted[name])}"
