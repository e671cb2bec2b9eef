"""`sovereign policy impact`: what a change of the rules changes for an estate, before it is released."""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import click

from cli import output, workspace
from cli.errors import BAD_INPUT, EXIT_CODES, PASS, REFUSED, BadInput, OperationFailed
from facts.site import ROOT

#: what of a checkout judges files; stacks/ is the site whose types and rules count
_JUDGES = ("Pulumi.yaml", "cli", "facts", "policies", "services", "stacks")


@click.command("impact", short_help="What a change of the rules changes.", epilog=EXIT_CODES)
@click.option(
    "--base", default="HEAD", show_default=True, help="The rules before: a git commit, or a checkout."
)
@click.option(
    "--zone", "zone_file", type=click.Path(exists=True, path_type=Path), help="The zone to judge by."
)
@click.option("--whole", is_flag=True, help="The files are all there is: judge what they lack, too.")
@click.option("--at", type=click.DateTime(["%Y-%m-%d"]), help="Judge as on this day. Default: today.")
@click.option("--json", "as_json", is_flag=True, help="Print what changes as JSON.")
@click.argument("files", metavar="EXPORT...", nargs=-1, required=True)
@click.pass_context
def command(
    ctx: click.Context,
    base: str,
    zone_file: Path | None,
    whole: bool,
    at: datetime | None,
    as_json: bool,
    files: tuple[str, ...],
) -> None:
    """Judges the exports of an estate by the rules before and by those of this checkout, and lists what is
    newly refused and what is newly passed. Exit code 1: something is newly refused.

    \b
    Example:
      pulumi stack export > lyon.json
      sovereign policy impact --base v1.2.0 --zone zones/lyon.yaml lyon.json nice.json
    """
    site = workspace.current()
    options = ["--json", *(["--whole"] if whole else [])]
    options += ["--zone", str(zone_file.resolve())] if zone_file else []
    options += ["--at", f"{at:%Y-%m-%d}"] if at else []
    place = [] if site.is_default else ["--site", str(site.folder)]
    asked = [*place, "policy", "eval", *options, *(str(Path(file).resolve()) for file in files)]
    with _checkout(base) as folder:
        after = _judged(ROOT, asked)
        before = _judged(folder, asked)
    refused, passed = _only(after, before), _only(before, after)
    if as_json:
        verdicts = {"before": before["verdict"], "after": after["verdict"]}
        output.emit_json({"verdict": verdicts, "newly_refused": refused, "newly_passed": passed})
    else:
        for what, found in (("newly refused", refused), ("newly passed", passed)):
            click.echo(f"{what}: {output.counted(len(found), 'finding')}")
            if found:
                rows = [
                    (one["route"], one["rule"], output.resource_name(one["urn"]), one["path"])
                    for one in found
                ]
                click.echo(output.table(("ROUTE", "RULE", "RESOURCE", "PATH"), rows))
        click.echo(f"verdict: {before['verdict']} before, {after['verdict']} after")
    ctx.exit(REFUSED if refused else PASS)


@contextmanager
def _checkout(base: str) -> Iterator[Path]:
    """The kit at a commit, in a folder that goes away again; or the folder itself. Raises BadInput."""
    folder = Path(base)
    if (folder / "policies").is_dir():
        yield folder.resolve()
        return
    parts = [part for part in _JUDGES if _git("cat-file", "-e", f"{base}:{part}").returncode == 0]
    if "policies" not in parts:
        raise BadInput(
            f"--base {base} is neither a commit of {ROOT} that has rules nor a checkout of the kit."
        )
    packed = _git("archive", "--format=tar", base, *parts)
    with tempfile.TemporaryDirectory(prefix="sovereign-impact-") as made:
        with tarfile.open(fileobj=BytesIO(packed.stdout)) as archive:
            archive.extractall(made, filter="data")
        yield Path(made)


def _git(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, check=False)


def _judged(folder: Path, asked: Sequence[str]) -> dict[str, Any]:
    """What the kit in a folder says of the files. Raises BadInput where this checkout can't read them, else
    OperationFailed, with its own words."""
    done = subprocess.run(
        [sys.executable, "-c", "from cli.main import main; main()", *asked],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == BAD_INPUT and folder == ROOT:
        raise BadInput(done.stderr.strip())
    if done.returncode not in (PASS, REFUSED):
        raise OperationFailed(f"The kit in {folder} can't judge these files: {done.stderr.strip()}")
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def _only(said: dict[str, Any], other: dict[str, Any]) -> list[dict[str, Any]]:
    """The findings of one that the other doesn't have: by rule, resource and path."""
    known = {_key(one) for one in other["findings"]}
    return [one for one in said["findings"] if _key(one) not in known]


def _key(finding: dict[str, Any]) -> tuple[str, str, str]:
    return finding["rule"], finding["urn"], finding["path"]
