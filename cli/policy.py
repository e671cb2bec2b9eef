"""`sovereign policy eval|list|explain`: judge files without an engine, and tell what the rules are.

Nothing here imports Pulumi: `eval` runs in any pipeline, from any folder.
"""

import dataclasses
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import impact, output, workspace
from cli.errors import EXIT_CODES, PASS, REFUSED, BadInput
from facts.site import Site

if TYPE_CHECKING:
    from policies.model import Judgement, Plan
    from policies.rule import Rule


@click.group("policy", short_help="Judge files; list and explain the rules.", epilog=EXIT_CODES)
def group() -> None:
    """What is refused, and why: judge files, list rules, explain one, see what a change of them changes."""


group.add_command(impact.command)


@group.command("eval", short_help="Judge plans, states and manifests.", epilog=EXIT_CODES)
@click.option("--zone", "zone_file", type=click.Path(path_type=Path), help="The zone to judge by (YAML).")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option("--whole", is_flag=True, help="The files are all there is: judge what they lack, too.")
@click.option(
    "--at",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Judge as on this day: of waivers, exceptions and facts with an end. Default: today.",
)
@click.option("--second-opinion", is_flag=True, help="Have checkov look at the same, offline; advisory.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.pass_context
def evaluate(
    ctx: click.Context,
    zone_file: Path | None,
    as_json: bool,
    whole: bool,
    at: datetime | None,
    second_opinion: bool,
    files: tuple[str, ...],
) -> None:
    """Judges plans, states and Kubernetes manifests against a zone; no engine, no network.

    FILE is a `pulumi preview --json --show-sames`, a `pulumi stack export`, or Kubernetes YAML or JSON
    (several documents and Lists too); `-` reads standard input. Manifests given together are one plan.
    Without a zone there is nothing to judge by, and that itself is refused (P27).

    With --second-opinion, checkov looks at the same resources: Kubernetes objects as they are, AWS and Azure
    in the forms of policies/second_opinion/types.yaml. It is installed once, into an environment of its own,
    and reaches no network when it runs. What it says stands beside the findings (`second_opinion` in the
    JSON) and changes neither verdict nor exit code, but for the few checks that
    policies/second_opinion/checks.yaml takes as the kit's own. Checks that ask for the opposite of residency
    are left out; annotations that ask it to look away are ignored; what it has no check for is counted.

    \b
    Example:
      pulumi preview --json --show-sames > plan.json
      sovereign policy eval --zone stacks/zones/local.yaml plan.json
      helm template ./chart | sovereign policy eval --zone zone.yaml -
    """
    from facts import zones
    from policies import waivers
    from policies.judge import judge

    site = workspace.current()
    zone = zones.load(zone_file) if zone_file else None
    rules = rules_of(site)
    types = allowed_types(site)
    day = (at or datetime.now()).date()
    plans = [dataclasses.replace(plan, at=day) for plan in read_all(files, whole, types)]
    approved = waivers.load(site.folder, zone, rules, day) if zone else ()
    judged = merge(waivers.apply(judge(plan, zone, rules), approved, plan) for plan in plans).to_json()
    opinion = None
    if second_opinion:
        from cli import second_opinion as checkov

        opinion = checkov.ask(plans)
        judged |= checkov.to_json(opinion)
        if opinion.refuses:
            judged["verdict"] = "refuse"
    if as_json:
        output.emit_json(judged)
    else:
        what = output.counted(sum(len(plan.objects) for plan in plans), "resource")
        if opinion is not None:
            click.echo(checkov.text(opinion))
            if opinion.refuses:
                what += ", and failed checks of the second opinion that the kit takes as its own"
        click.echo(output.verdict_text(judged, what))
    ctx.exit(PASS if judged["verdict"] == "pass" else REFUSED)


@group.command("list", short_help="List the rules and their routes.", epilog=EXIT_CODES)
@click.option("--json", "as_json", is_flag=True, help="Print the rules as JSON.")
@click.option("--markdown", is_flag=True, help="Print the page docs/rules.md.")
def list_rules(as_json: bool, markdown: bool) -> None:
    """Lists the rules: their id, severity, pack, the routes that they close and what they are for.

    \b
    Example:
      sovereign policy list
      sovereign policy list --json | jq '.[] | select(.pack == "egress") | .id'
    """
    rules = rules_of(workspace.current())
    if as_json:
        output.emit_json([describe(rule) for rule in rules])
    elif markdown:
        click.echo(markdown_page(rules), nl=False)
    else:
        rows = [(rule.id, rule.severity, rule.pack, " ".join(rule.routes), rule.title) for rule in rules]
        click.echo(output.table(("RULE", "SEVERITY", "PACK", "ROUTES", "WHAT"), rows))


@group.command("explain", short_help="What a rule refuses, and how to fix it.", epilog=EXIT_CODES)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.argument("id")
def explain(as_json: bool, id: str) -> None:
    """Explains a rule (isolation.cidr) or a route (K02): what, why, which controls, how to fix.

    \b
    Example:
      sovereign policy explain K02
      sovereign policy explain isolation.cidr
    """
    rules = rules_of(workspace.current())
    route = re.sub(r"^([A-Z])(\d)$", r"\g<1>0\2", id.upper())
    chosen = [rule for rule in rules if rule.id == id.lower() or route in rule.routes]
    if not chosen:
        raise BadInput(_no_such(id, rules))
    if as_json:
        output.emit_json([describe(rule) for rule in chosen])
    else:
        click.echo("\n\n".join(explanation(rule) for rule in chosen))


def rules_of(site: Site) -> tuple["Rule", ...]:
    """The kit's rules and the site's, by id."""
    from policies.rules import load

    return load(None if site.is_default else site.folder)


def allowed_types(site: Site) -> frozenset[str]:
    """The closed-world list of types: the kit's and the site's."""
    from policies.closed_world import allowed

    return frozenset(allowed(site.folder))


def read_all(files: Sequence[str], whole: bool, types: frozenset[str]) -> list["Plan"]:
    """The plans in the files: manifests given together are one. Raises BadInput, UnreadableInput."""
    from policies.read import parse, read

    if files.count("-") > 1:
        raise BadInput("Standard input can be read once: give `-` one time.")
    plans = [
        parse(sys.stdin.buffer.read(), "standard input", whole=whole, allowed_types=types)
        if file == "-"
        else read(Path(file), whole=whole, allowed_types=types)
        for file in files
    ]
    if len(plans) > 1 and all(plan.source == "manifests" for plan in plans):
        together = tuple(resource for plan in plans for resource in plan.resources)
        return [dataclasses.replace(plans[0], resources=together)]
    return plans


def merge(judgements: Iterable["Judgement"]) -> "Judgement":
    from policies.model import Judgement

    parts = list(judgements)
    return Judgement(
        tuple(sorted({finding for part in parts for finding in part.findings})),
        tuple(sorted({finding for part in parts for finding in part.not_visible})),
        tuple(sorted({waived for part in parts for waived in part.waived})),
        tuple(sorted({finding for part in parts for finding in part.warnings})),
    )


def describe(rule: "Rule") -> dict[str, Any]:
    """A rule as JSON."""
    return {
        "id": rule.id,
        "title": rule.title,
        "what": rule.doc,
        "routes": list(rule.routes),
        "controls": list(rule.controls),
        "in_cluster": bool(rule.cel),
        "fix": rule.fix,
        "severity": rule.severity,
        "waivable": rule.waivable,
        "trial": rule.trial,
        "pack": rule.pack,
        "scope": rule.scope,
        "needs_whole": rule.needs_whole,
        "applies_to": [*rule.kinds, *rule.types],
    }


def explanation(rule: "Rule") -> str:
    """A rule for a reader."""
    from policies.waivers import LONGEST

    rows = [
        ("routes", ", ".join(rule.routes)),
        ("controls", ", ".join(rule.controls) or "none"),
        ("severity", rule.severity + (" (on trial: it only warns)" if rule.trial else "")),
        ("waiver", f"{LONGEST[rule.severity]} days at most" if rule.waivable else "none"),
        ("pack", rule.pack),
        ("looks at", applies_to(rule)),
        ("fix", rule.fix),
    ]
    lines = [f"{output.paint(rule.id, 'cyan')}: {rule.title}", f"  {rule.doc}"]
    return "\n".join([*lines, *(f"  {name + ':':10} {value}" for name, value in rows)])


def applies_to(rule: "Rule") -> str:
    if rule.scope == "plan":
        return "the whole plan" if rule.needs_whole else "the plan"
    return ", ".join((*rule.kinds, *rule.types)) or "every resource"


def markdown_page(rules: Sequence["Rule"]) -> str:
    """docs/rules.md: every rule with what it closes, from the rules themselves."""
    from policies import admission

    routes = sorted({route for rule in rules for route in rule.routes}, key=_route_key)
    lines = [
        "# Rules",
        "",
        "Made by `sovereign policy list --markdown > docs/rules.md` from the rules; a test holds it current.",
        "`sovereign policy explain ID` tells the same of one rule or route.",
        "",
        f"{len(rules)} rules close {len(routes)} routes. Of those for Kubernetes objects, the API server "
        f"holds to {len([rule for rule in rules if rule.cel])} itself in the namespaces of the service, as "
        "ValidatingAdmissionPolicies with their CEL; the others need more than one object, a command line "
        "taken apart as a shell would, or numbers that CEL doesn't have, and stay with the plan: "
        f"{', '.join(f'[{r.id}](#{_anchor(r.id)})' for r in admission.unexpressed(rules))}.",
        "",
        "| route | rules |",
        "|---|---|",
        *(
            f"| {route} | {', '.join(f'[{r.id}](#{_anchor(r.id)})' for r in rules if route in r.routes)} |"
            for route in routes
        ),
    ]
    for rule in rules:
        lines += [
            "",
            f"## {rule.id}",
            "",
            f"**{rule.title}.** {rule.doc}".replace("..**", ".**"),
            "",
            f"- Routes: {', '.join(rule.routes)}. Pack: {rule.pack}. Severity: {rule.severity}.",
            f"- Looks at: {applies_to(rule)}.",
            *(["- In the cluster: a ValidatingAdmissionPolicy refuses it too."] if rule.cel else []),
            f"- Controls: {', '.join(rule.controls) or 'none'}.",
            f"- Fix: {rule.fix}",
        ]
    return "\n".join(lines) + "\n"


def _anchor(id: str) -> str:
    return re.sub(r"[^a-z0-9-]", "", id)


def _route_key(route: str) -> tuple[str, int, str]:
    number = re.sub(r"\D", "", route)
    return route[:1], int(number or 0), route


def _no_such(id: str, rules: Sequence["Rule"]) -> str:
    names = [rule.id for rule in rules]
    routes = sorted({route for rule in rules for route in rule.routes}, key=_route_key)
    same = [name for name in names if "." in id and name.rpartition(".")[2] == id.lower().rpartition(".")[2]]
    near = (
        same[:3]
        or get_close_matches(id.lower(), names, 3, 0.5)
        or get_close_matches(id.upper(), routes, 3, 0.5)
    )
    hint = f"Near it: {', '.join(near)}. " if near else ""
    return f"There is no rule or route {id!r}. {hint}`sovereign policy list` has them all."
