"""`sovereign observe STACK`: what AWS itself tells of the parts that the stack only uses."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from cli import account, output, policy, prepare, workspace
from cli.errors import EXIT_CODES, PASS, REFUSED, BadInput
from cli.progress import Progress

if TYPE_CHECKING:
    from cli.observed import Observed


@click.command("observe", short_help="Read the parts back that a stack only uses.", epilog=EXIT_CODES)
@click.option("--json", "as_json", is_flag=True, help="Print what was seen as JSON.")
@click.argument("stack")
@click.pass_context
def command(ctx: click.Context, stack: str, as_json: bool) -> None:
    """Reads back, with your own credentials, every part of AWS that STACK uses and doesn't make: network,
    endpoints, keys, cluster, trail, inventory, detection, account defaults, the organisation's guard.

    The owner's word is what a plan goes by (declared); this is what was seen (observed), by which calls, and
    when. It is judged by the stack's zone and rules, without the word. What differs is exit code 1; what AWS
    doesn't let you look at stays the owner's word. Nothing is changed. observed.json is kept with the stack's
    verdict, for the evidence.

    \b
    Example:
      AWS_PROFILE=auditor sovereign observe aws-paris-hds
    """
    from cli.observed import observe
    from policies.read.settings import used

    report = Progress(quiet=as_json)
    chosen = workspace.stack(workspace.current(), stack)
    settings = prepare.settings_of(chosen)
    zone = prepare.zone_of(chosen, settings)
    given = account.ground_of(stack, settings, zone)
    words = tuple(used(given.model_dump(mode="json", by_alias=True)))
    if not words:
        raise BadInput(f"{stack} uses nothing of a landing zone: what it makes is read by `sovereign drift`.")
    entered = account.enter(given)
    report(f"asking account {entered.number} as {entered.caller}")
    with account.asking():
        found = observe(stack, given, zone, words, entered, policy.rules_of(chosen.site))
    said = contract(stack, zone.name, entered, found)
    chosen.folder.mkdir(parents=True, exist_ok=True)
    file = chosen.folder / "observed.json"
    file.write_text(json.dumps(said, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if as_json:
        output.emit_json(said)
    else:
        click.echo(table(found))
        click.echo(f"kept in {file}")
    ctx.exit(REFUSED if any(one.differs for one in found) else PASS)


def contract(stack: str, zone: str, entered: account.Account, found: "list[Observed]") -> dict[str, Any]:
    """What was seen, as the versioned file has it."""
    from cli.observed import SCHEMA

    return {
        "schema": SCHEMA,
        "stack": stack,
        "zone": zone,
        "account": entered.number,
        "region": entered.region,
        "as": entered.caller,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "verdict": "refuse" if any(one.differs for one in found) else "pass",
        "parts": [
            {
                "part": one.part.key,
                "id": one.part.id,
                "declared": [word.model_dump(mode="json") for word in one.used.declared],
                "calls": one.part.calls,
                "unread": one.part.unread,
                "seen": [
                    {"type": each.type, "name": each.name, "inputs": dict(each.inputs)}
                    for each in one.part.resources
                ],
                "differs": one.part.differs,
                "findings": [each.to_json() for each in one.findings],
                "unclear": [each.to_json() for each in one.unclear],
            }
            for one in found
        ],
    }


def table(found: "list[Observed]") -> str:
    """Each part on a line, and below it what differs and what nobody could see."""
    rows = []
    for one in found:
        state = "differs" if one.differs else "declared only" if one.part.unread else "as declared"
        rows.append((one.part.key, one.part.id, len(one.part.resources), state))
    lines = [output.table(("PART", "ID", "SEEN", "STATE"), rows)]
    for one in found:
        lines += [f"{one.part.key}: {sentence}." for sentence in one.part.differs]
        lines += [output.finding_text(each.to_json()) for each in one.findings]
        lines += [f"{one.part.key}: not to be seen from here: {call}." for call in one.part.unread]
        lines += [
            f"{one.part.key}: {output.resource_name(each.urn)} {each.path}: {each.why} ({each.route})."
            for each in one.unclear
        ]
    return "\n".join(lines)
