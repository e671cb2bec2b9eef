"""`sovereign bootstrap STACK`: the bucket and the keys that a stack's state needs before there is a stack."""

from dataclasses import asdict
from typing import Any

import click

from cli import account, output, prepare, state_home, workspace
from cli.errors import EXIT_CODES, PASS, REFUSED
from cli.progress import Progress
from cli.state_home import Found


@click.command("bootstrap", short_help="Make the bucket and keys of a stack's state.", epilog=EXIT_CODES)
@click.option("--dry-run", "dry", is_flag=True, help="Say what would be made, and make nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print what was made, and what differs, as JSON.")
@click.argument("stack")
@click.pass_context
def command(ctx: click.Context, stack: str, dry: bool, as_json: bool) -> None:
    """Makes, first of all in an AWS account, what STACK keeps its state in: the bucket of `state.backend`
    with a key of its own, and the key of `state.secretsProvider`.

    Both are judged by the stack's zone before anything is asked of AWS, with your own credentials, which have
    to be the account's. What is there already is read and never changed: what differs is listed, with exit
    code 1. Running it again completes what was interrupted.

    \b
    Example:
      sovereign bootstrap aws-paris-hds --dry-run
      AWS_PROFILE=paris sovereign bootstrap aws-paris-hds
    """
    report = Progress(quiet=as_json)
    chosen = workspace.stack(workspace.current(), stack)
    settings = prepare.settings_of(chosen)
    zone = prepare.zone_of(chosen, settings)
    given = account.ground_of(stack, settings, zone)
    prepare.refuse_foreign_state(chosen, settings, zone)
    home = state_home.home_of(stack, settings, given)
    caller = None
    try:
        entered = account.enter(given)
    except account.NoCredentials as error:
        if not dry:
            raise
        report(f"{error} Nothing was read: this is what is made where nothing is there.")
        found = state_home.expected(home)
    else:
        caller = entered.caller
        report(f"asking account {entered.number} as {caller}")
        found = list(state_home.bring(home, entered, dry=dry))
    good = all(one.good for one in found)
    if as_json:
        parts = [asdict(one) for one in found]
        output.emit_json({"stack": stack, "account": given.account, "as": caller, "dry": dry, "parts": parts})
    else:
        click.echo(table(found))
    ctx.exit(PASS if good else REFUSED)


def table(found: list[Found]) -> str:
    """What came of it, and each thing that differs on a line of its own."""
    rows = [(one.what, one.name, one.region, one.outcome) for one in found]
    lines = [output.table(("PART", "NAME", "REGION", "OUTCOME"), rows)]
    for one in found:
        lines += [f"{one.what}: set {name}" for name in one.made if one.outcome != "made"]
        lines += [
            f"{one.what}: {each['setting']} is {_short(each['seen'])}, wanted is {_short(each['wanted'])}: "
            "decide which is right; nothing was changed."
            for each in one.differs
        ]
    return "\n".join(lines)


def _short(value: Any) -> str:
    """A value on a line; a document by the names of its statements."""
    if isinstance(value, dict) and "Statement" in value:
        stated = value["Statement"] if isinstance(value["Statement"], list) else [value["Statement"]]
        return f"a policy with {', '.join(str(one.get('Sid', 'a nameless statement')) for one in stated)}"
    return "not set" if value is None else str(value)
