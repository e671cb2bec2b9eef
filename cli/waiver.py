"""`sovereign waiver new|sign|list`: findings that may stand for a while, as two people signed for them."""

import base64
import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from cli import output, workspace
from cli.errors import EXIT_CODES, PASS, REFUSED, BadInput

if TYPE_CHECKING:
    from facts.zones import Zone
    from policies.waivers import Waiver

_DAY = click.DateTime(["%Y-%m-%d"])
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("waiver", short_help="Let a finding stand for a while, on two signatures.", epilog=EXIT_CODES)
def group() -> None:
    """A finding that can't be mended today may stand until a day, for a reason, if two people sign for it.

    Each has an ed25519 key, whose public half stands in the zone's `signers`; a waiver is a file in the
    site's folder `waivers`, and shows in every report. How long it may hold goes by the rule's severity:
    critical 30 days, high 90, medium 180; some rules can't be waived.

    \b
    openssl genpkey -algorithm ed25519 -out ana.pem
    sovereign waiver new images.pinned "urn:pulumi:lyon::*::*Deployment::llm-serving/vllm-*" \\
      --owner Ana --approver Jean --expires 2026-12-20 --reason "The vendor's fix is due in January."
    sovereign waiver sign stacks/waivers/images-pinned.yaml --as Ana --key ana.pem
    sovereign waiver sign stacks/waivers/images-pinned.yaml --as Jean --key jean.pem
    sovereign waiver list --zone stacks/zones/lyon.yaml
    """


@group.command("new", short_help="Write a waiver, yet to be signed.", epilog=EXIT_CODES)
@click.argument("rule")
@click.argument("urn")
@click.option("--path", default="*", show_default=True, help="The property, where not every one is meant.")
@click.option("--owner", required=True, help="Who asks and answers for it, as the zone's signers have it.")
@click.option("--approver", required=True, help="Who approves: somebody else, with another key.")
@click.option("--reason", required=True, help="Why it can't be mended today.")
@click.option("--expires", type=_DAY, required=True, help="The last day, such as 2026-12-31.")
@click.option("--asked", type=_DAY, default=lambda: date.today().isoformat(), help="Default: today.")
def new(rule: str, urn: str, path: str, owner: str, approver: str, reason: str, **days: Any) -> None:
    """Writes a waiver for findings of RULE on the resources that URN names; nobody has signed it yet.

    URN has the four parts of a resource's: urn:pulumi:STACK::PROJECT::TYPE::NAME, and `*` stands for any
    text within a part. Findings tell it as `urn` with --json. Plain manifests have none, so what is found in
    them can't be waived.

    \b
    Example:
      sovereign plan lyon --json | jq -r '.findings[] | .rule + " " + .urn'
      sovereign waiver new images.pinned "urn:pulumi:lyon::*::*Deployment::llm-serving/vllm-*" \\
        --owner Ana --approver Jean --expires 2026-12-20 --reason "The vendor's fix is due in January."
    """
    from policies.waivers import parse

    site = workspace.current()
    rules = {one.id: one for one in _rules()}
    if rule not in rules:
        raise BadInput(f"There is no rule {rule!r}: `sovereign policy list` has them all.")
    if not rules[rule].waivable:
        raise BadInput(f"{rule} can't be waived: without it the others prove nothing. Mend the plan.")
    data = {
        "rule": rule,
        "urn": urn,
        "path": path,
        "owner": owner,
        "approver": approver,
        "reason": reason,
        "asked": days["asked"].date(),
        "expires": days["expires"].date(),
    }
    file = _free(site.waivers_folder, rule)
    waiver = parse(data, file)
    file.parent.mkdir(parents=True, exist_ok=True)
    _write(file, waiver)
    click.echo(f"{file}: to be signed by {owner} and by {approver}: `sovereign waiver sign`")


@group.command("sign", short_help="Add your signature to a waiver.", epilog=EXIT_CODES)
@click.argument("file", type=_FILE)
@click.option("--as", "name", required=True, help="Your name, as the waiver and the zone's signers have it.")
@click.option("--key", required=True, type=_FILE, help="Your private ed25519 key, in PEM.")
def sign(file: Path, name: str, key: Path) -> None:
    """Adds your signature to the waiver in FILE: read it first, because you answer for it.

    \b
    Example:
      sovereign waiver sign stacks/waivers/images-pinned.yaml --as Ana --key ana.pem
    """
    from policies.waivers import read

    waiver = read(file)
    if name not in (waiver.owner, waiver.approver):
        raise BadInput(
            f"{file}: {name} is neither its owner {waiver.owner} nor its approver {waiver.approver}."
        )
    try:
        private = load_pem_private_key(key.read_bytes(), None)
    except (ValueError, TypeError):
        private = None
    if not isinstance(private, Ed25519PrivateKey):
        raise BadInput(f"{key} holds no ed25519 private key in PEM without a passphrase.")
    signature = base64.b64encode(private.sign(waiver.signed_bytes())).decode()
    _write(file, waiver.model_copy(update={"signatures": {**waiver.signatures, name: signature}}))
    missing = {waiver.owner, waiver.approver} - {*waiver.signatures, name}
    click.echo(f"{file}: signed by {name}" + (f"; {missing.pop()} has yet to sign" if missing else ""))


@group.command("list", short_help="Which waivers hold, on which day?", epilog=EXIT_CODES)
@click.option("--zone", "zone_file", type=_FILE, required=True, help="The zone whose signers count.")
@click.option("--at", type=_DAY, default=lambda: date.today().isoformat(), help="The day. Default: today.")
@click.option("--json", "as_json", is_flag=True, help="Print the waivers as JSON.")
@click.pass_context
def list_waivers(ctx: click.Context, zone_file: Path, at: Any, as_json: bool) -> None:
    """Lists the site's waivers and whether they hold on a day; exit code 1 where one doesn't.

    \b
    Example:
      sovereign waiver list --zone stacks/zones/lyon.yaml --at 2026-12-31
    """
    from facts import zones
    from policies.waivers import files, read

    zone, day = zones.load(zone_file), at.date()
    site = workspace.current()
    found = [
        {"file": file.name, **read(file).model_dump(mode="json", exclude={"signatures"})}
        | {"state": _state(read(file), zone, day)}
        for file in files(site.folder)
    ]
    if as_json:
        output.emit_json(found)
    elif not found:
        click.echo(f"There are no waivers in {site.waivers_folder}.")
    else:
        rows = [(one["file"], one["rule"], one["owner"], one["expires"], one["state"]) for one in found]
        click.echo(output.table(("WAIVER", "RULE", "OWNER", "EXPIRES", "STATE"), rows))
    ctx.exit(PASS if all(one["state"].startswith("holds") for one in found) else REFUSED)


def _state(waiver: "Waiver", zone: "Zone", at: date) -> str:
    from policies.waivers import AHEAD, problem

    wrong = problem(waiver, zone, {rule.id: rule for rule in _rules()}, at)
    if wrong is not None:
        return f"does not hold: {wrong}"
    if waiver.expires < at:
        return "has ended: unchanged resources may stay, with a warning"
    left = waiver.expires - at
    return f"holds, ends in {left.days} days" if left <= AHEAD else "holds"


def _rules() -> Any:
    from cli.policy import rules_of

    return rules_of(workspace.current())


def _free(folder: Path, rule: str) -> Path:
    name = re.sub(r"[^a-z0-9]+", "-", rule)
    numbers = ["", *(f"-{number}" for number in range(2, 1000))]
    return next(file for number in numbers if not (file := folder / f"{name}{number}.yaml").exists())


def _write(file: Path, waiver: "Waiver") -> None:
    data = waiver.model_dump(mode="json")
    if not data["signatures"]:
        del data["signatures"]
    file.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8")
