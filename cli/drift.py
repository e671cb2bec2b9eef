"""`sovereign drift STACK`: does what runs still match the state, and does the state still pass the rules?"""

import json
from typing import Any

import click

from cli import drive, output, policy, prepare, workspace
from cli.errors import EXIT_CODES, PASS, REFUSED, BadInput
from cli.progress import Progress


@click.command("drift", short_help="Is what runs still what was released?", epilog=EXIT_CODES)
@click.option("--json", "as_json", is_flag=True, help="Print drift, verdict and findings as JSON.")
@click.argument("stack")
@click.pass_context
def command(ctx: click.Context, stack: str, as_json: bool) -> None:
    """Reads every resource of STACK back and lists what another hand changed; judges the state by the rules.

    Neither a plan nor the packs see what `pulumi import`, `refresh` or a hand did since the last `up`: this
    does. Secrets are ciphertexts in a state, so they are listed as not visible. Nothing is changed.

    \b
    Example:
      sovereign drift local
      sovereign drift local --json | jq .drift
    """
    from policies import waivers
    from policies.judge import judge
    from policies.read import state as reader

    report = Progress(quiet=as_json)
    chosen = workspace.stack(workspace.current(), stack)
    with prepare.held(chosen):
        if not prepare.has_state(chosen, prepare.settings_of(chosen)):
            raise BadInput(
                f"{stack} has no state to compare: nothing was stood up by `sovereign up {stack}`."
            )
        prepared = prepare.reopen(chosen, report)
        report(f"reading the resources of {stack} back")
        asked = ["refresh", "--stack", stack, "--preview-only", "--json", "--non-interactive"]
        drift = drifted(json.loads(prepared.engine.checked(asked)))
        state = drive.state(prepared)
    rules = policy.rules_of(chosen.site)
    plan = reader.read(state, stack, policy.allowed_types(chosen.site))
    approved = waivers.load(chosen.site.folder, prepared.zone, rules, plan.at)
    judged = waivers.apply(judge(plan, prepared.zone, rules), approved, plan).to_json()
    if as_json:
        output.emit_json({"stack": stack, "drift": drift, **judged})
    else:
        click.echo(table(drift))
        click.echo(output.verdict_text(judged, output.counted(len(plan.objects), "resource")))
    ctx.exit(PASS if not drift and judged["verdict"] == "pass" else REFUSED)


def drifted(refreshed: dict[str, Any]) -> list[dict[str, Any]]:
    """What a refresh would change in the state: what was changed, or is gone."""
    return [
        {
            "op": "gone" if step["op"] == "delete" else "changed",
            "urn": step["urn"],
            "properties": sorted(step.get("detailedDiff") or step.get("diffReasons") or ()),
        }
        for step in refreshed.get("steps") or ()
        if step["op"] not in ("refresh", "same", "read")
    ]


def table(drift: list[dict[str, Any]]) -> str:
    if not drift:
        return "What runs is what the state says."
    rows = [(one["op"], output.resource_name(one["urn"]), ", ".join(one["properties"])) for one in drift]
    return output.table(("DRIFT", "RESOURCE", "PROPERTIES"), rows)
