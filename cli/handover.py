"""`sovereign handover STACK`: the files for those who make what a stack may not make itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import output, prepare, workspace
from cli.errors import EXIT_CODES, BadInput
from cli.workspace import Stack

if TYPE_CHECKING:
    from facts.zones import Zone
    from stacks.settings import Settings


@click.command("handover", short_help="Files for who owns organisation and cluster.", epilog=EXIT_CODES)
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="The folder that they are written to.",
)
@click.option("--dry-run", "dry", is_flag=True, help="Say what would be written, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
@click.argument("stack")
def command(stack: str, folder: Path, dry: bool, as_json: bool) -> None:
    """Writes what others make for STACK, each file for whoever has the right to.

    \b
    deny-regions.json  for the owner of the AWS organisation: a service control policy that denies every
                       region but the zone's, and what nobody may do; attached once the ground stands.
                       Only the settings' deployers may change the lock of a bucket
    cluster.yaml       for the owner of a shared cluster (cluster.rights: namespaces): namespaces, classes
                       of priority, admission policies, and the rights of whoever applies the stack

    \b
    Example:
      sovereign handover aws-paris-hds --to /tmp/for-others --dry-run
      sovereign handover aws-paris-hds --to /tmp/for-others
    """
    chosen = workspace.stack(workspace.current(), stack)
    settings = prepare.settings_of(chosen)
    zone = prepare.zone_of(chosen, settings)
    files = list(_files(chosen, settings, zone))
    if not files:
        raise BadInput(
            f"{stack} makes all that it needs itself: it stands on no cloud, and its cluster.rights are "
            "those of the whole cluster."
        )
    if not dry:
        folder.mkdir(parents=True, exist_ok=True)
        for name, _, text in files:
            (folder / name).write_text(text, encoding="utf-8")
    if as_json:
        written = [{"file": str(folder / name), "for": owner} for name, owner, _ in files]
        output.emit_json({"stack": stack, "dry": dry, "written": written})
    else:
        click.echo(output.table(("FILE", "FOR"), [(folder / name, owner) for name, owner, _ in files]))


def _files(stack: Stack, settings: "Settings", zone: "Zone") -> Iterator[tuple[str, str, str]]:
    """Name, reader and content of each file. Raises UnknownRegion, GuardError."""
    import yaml

    from components.aws import organisation
    from facts import aws
    from stacks import handover

    if settings.aws is not None:
        partition, people = aws.region(settings.aws.region).partition, settings.aws.people
        text = organisation.text(zone, partition, people.deployers)
        yield "deny-regions.json", "the owner of the organisation", text
    if settings.cluster.rights == "namespaces":
        objects = handover.of_cluster(settings, stack.site, zone, stack.name)
        text = yaml.safe_dump_all(objects, sort_keys=False, allow_unicode=True, width=110)
        yield "cluster.yaml", "the owner of the cluster", text
