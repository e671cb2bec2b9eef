"""The command `sovereign`. Each verb has a file; here they are put together, and errors become sentences."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from cli import (
    bootstrap,
    cluster,
    down,
    drift,
    env,
    errors,
    handover,
    observe,
    plan,
    policy,
    rollback,
    size,
    toolchain,
    up,
    waiver,
    weights,
)
from cli.errors import EXIT_CODES


class App(click.Group):
    """A group whose errors are one sentence on stderr and an exit code that means the same everywhere."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort):
            raise
        except (Exception, KeyboardInterrupt) as error:
            raise errors.for_user(error) from None


@click.group(
    cls=App,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=EXIT_CODES,
)
@click.option(
    "--site",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="SOVEREIGN_SITE",
    help="A folder laid out like stacks/: your own zones, stacks, types and rules. Default: the checkout's.",
)
@click.version_option(version("sovereign"), message="sovereign %(version)s")
@click.pass_context
def app(ctx: click.Context, site: Path | None) -> None:
    """Stands up a private LLM service for health data, and refuses any plan that leaks.

    \b
    sovereign up local                      stand the embedded stack up
    sovereign plan STACK                    what would change, and may it?
    sovereign plan aws-paris-hds            review a stack on a cloud, without an account
    sovereign size llama-3.3-70b            on which GPUs does it fit?
    sovereign policy eval --zone Z FILE     judge a preview, a state or manifests, in any pipeline
    sovereign policy explain K11            what is refused, why, and how to fix it
    sovereign down local --cluster          take all of it away
    """
    ctx.obj = {"site": site}


for command in (
    up.command,
    down.command,
    plan.command,
    env.command,
    size.command,
    weights.group,
    rollback.command,
    bootstrap.command,
    drift.command,
    handover.command,
    observe.command,
    policy.group,
    waiver.group,
    cluster.group,
    toolchain.group,
):
    app.add_command(command)


def main() -> None:
    """The entry point of the console script."""
    app(prog_name="sovereign")
