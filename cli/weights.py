"""`sovereign weights sign|verify`: whose weights these are, and whether they are still the same."""

import dataclasses
import os
import sys
from pathlib import Path

import click

from cli import output
from cli.errors import EXIT_CODES, PASS, REFUSED, BadInput
from services.weights import signing
from services.weights.__main__ import Meter
from services.weights.errors import KeyFault, WeightsError
from services.weights.folder import sizes

_PARALLEL = min(16, os.cpu_count() or 1)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_KEY = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("weights", short_help="Sign a model's weights, and verify them.", epilog=EXIT_CODES)
def group() -> None:
    """The weights that run are the ones that were signed: sign a folder, verify a folder.

    \b
    openssl genpkey -algorithm ed25519 -out private.pem
    openssl pkey -in private.pem -pubout -out public.pem
    sovereign weights sign ./llama-3.3-70b --key private.pem --model llama-3.3-70b --serial 1
    sovereign weights verify ./llama-3.3-70b --key public.pem
    """


@group.command("sign", short_help="Sign a folder of weights.", epilog=EXIT_CODES)
@click.argument("folder", metavar="DIR", type=_FOLDER)
@click.option("--key", required=True, type=_KEY, help="The private ed25519 key, in PEM.")
@click.option("--model", help="The model's name in requests. Default: the folder's name.")
@click.option(
    "--serial", type=click.IntRange(1), help="Higher with each release. Default: one more than there is."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def sign(folder: Path, key: Path, model: str | None, serial: int | None, as_json: bool) -> None:
    """Hashes every file in DIR and writes sovereign-manifest.json and sovereign-manifest.sig beside them.

    The digest that it prints goes into the stack's settings, as models.weights.digest.
    """
    try:
        meter = Meter(sum(sizes(folder).values()))
        number = serial if serial is not None else signing.next_serial(folder)
        name = model or folder.resolve().name
        manifest = signing.sign(folder, key.read_bytes(), name, number, _PARALLEL, meter)
    except KeyFault as error:
        raise BadInput(f"{key}: {error}") from None
    except WeightsError as error:
        raise BadInput(str(error)) from None
    said = {
        "model": manifest.model,
        "serial": manifest.serial,
        "digest": manifest.digest,
        "files": len(manifest.files),
        "bytes": manifest.size,
    }
    if as_json:
        output.emit_json(said)
    else:
        click.echo(
            f"signed {output.counted(len(manifest.files), 'file')}, {manifest.size / 1e9:.1f} GB, as "
            f"{manifest.model} serial {manifest.serial}\ndigest: {manifest.digest}"
        )


@group.command("verify", short_help="Are they what was signed?", epilog=EXIT_CODES)
@click.argument("folder", metavar="DIR", type=_FOLDER)
@click.option("--key", required=True, type=_KEY, help="The public ed25519 key, in PEM.")
@click.option("--digest", help="The manifest that was released: sha256:...")
@click.option("--model", help="The model that is to be served.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def verify(
    ctx: click.Context, folder: Path, key: Path, digest: str | None, model: str | None, as_json: bool
) -> None:
    """Checks the signature, every name, every size and every byte in DIR.

    Exit code 0: all is as it was signed; 1: it isn't, and each fault is told.
    """
    public = key.read_bytes()
    try:
        meter = Meter(signing.expected(folder, public))
        found = signing.verify(folder, public, _PARALLEL, meter, digest=digest, model=model)
    except KeyFault as error:
        raise BadInput(f"{key}: {error}") from None
    except WeightsError as error:
        if as_json:
            output.emit_json({"verified": False, "faults": str(error).splitlines()})
        else:
            click.echo(f"{output.paint('refuse', 'red')}: {folder}", file=sys.stderr)
            click.echo(str(error), file=sys.stderr)
        ctx.exit(REFUSED)
    if as_json:
        output.emit_json({"verified": True, **dataclasses.asdict(found)})
    else:
        rate = found.bytes / 1e9 / found.seconds if found.seconds else 0.0
        click.echo(
            f"{output.paint('pass', 'green')}: {output.counted(found.files, 'file')}, "
            f"{found.bytes / 1e9:.1f} GB at {rate:.2f} GB/s, are {found.model} serial {found.serial}\n"
            f"digest: {found.digest}"
        )
    ctx.exit(PASS)
