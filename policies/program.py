"""What the program itself refuses: a resource that is seen to leak, and any real run without a passing
verdict."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import pulumi
from pulumi import ResourceTransformArgs, ResourceTransformResult
from pulumi.runtime.config import get_config_env, get_config_secret_keys_env

from facts.site import Site
from facts.zones import Zone
from policies import closed_world, rules, verdict, waivers
from policies.judge import judge
from policies.model import UNKNOWN, Plan, Resource, Verdict, sealed
from policies.read.settings import stack_facts
from policies.rule import Rule
from policies.sentence import sentence
from policies.waivers import Approved


class Refused(RuntimeError):
    """A resource is not made, because its inputs leak."""


def guard(site: Site, stack: str, zone: Zone) -> None:
    """Call before any resource is declared.

    In the preview half an older verdict is withdrawn; in the other, a passing one is asked for and used up.
    Raises pulumi.RunError without one; SiteRuleError, TypesError for a site that can't be used.
    """
    chosen = rules.load(site.folder)
    path = verdict.file_of(site, stack)
    if pulumi.runtime.is_dry_run():
        verdict.withdraw(path)
    else:
        config = get_config_env()
        declared = stack_facts(config).zone
        digest = verdict.digest(site, stack, declared, config, get_config_secret_keys_env())
        try:
            verdict.require(path, digest, [rule.id for rule in chosen])
        except verdict.NoVerdict as error:
            raise pulumi.RunError(str(error)) from None
    try:
        approved = waivers.load(site.folder, zone, chosen, date.today())
    except waivers.WaiverError as error:
        raise pulumi.RunError(str(error)) from None
    types = closed_world.allowed(site.folder)
    pulumi.runtime.register_resource_transform(_refusing(zone, chosen, types, approved))


def _refusing(
    zone: Zone, chosen: tuple[Rule, ...], types: frozenset[str], approved: tuple[Approved, ...]
) -> Callable[[ResourceTransformArgs], Awaitable[ResourceTransformResult | None]]:
    """A transform that changes nothing, and refuses a resource whose own inputs are seen to leak.

    In the preview half it only warns: a program that fails there keeps the packs from seeing the whole plan.
    """
    say = pulumi.log.warn if pulumi.runtime.is_dry_run() else pulumi.log.error
    # a rule about the whole plan can't speak of one resource: what closes a way out may be the next one
    local = tuple(rule for rule in chosen if rule.scope == "resource")
    # whether what an ended waiver was for may stay, the pack has told: here it isn't known what was released
    waiving = tuple(replace(one, ended=False) for one in approved)

    async def look(args: ResourceTransformArgs) -> ResourceTransformResult | None:
        inputs = {key: await _plain(value) for key, value in (args.props or {}).items()}
        resource = Resource(
            urn=f"::::{args.type_}::{args.name}", type=args.type_, name=args.name, inputs=inputs
        )
        plan = Plan.of([resource], whole=False, source="program", allowed_types=types)
        judged = waivers.apply(judge(plan, zone, local), waiving, plan)
        found = [one for one in judged.findings if one.verdict is Verdict.REFUSE]
        for finding in found:
            say(sentence(finding))
        if found and not pulumi.runtime.is_dry_run():
            raise Refused(f"{args.type_} {args.name} is not made: {len(found)} of its values leak")
        return None

    return look


async def _plain(value: Any) -> Any:
    """An input as plain data: what isn't known yet as UNKNOWN, a secret in clear, as Sealed."""
    if isinstance(value, pulumi.Output):
        if not await value.is_known():
            return UNKNOWN
        inner = await _plain(await value.future(with_unknowns=True))
        return sealed(inner) if await value.is_secret() else inner
    if isinstance(value, Mapping):
        return {str(key): await _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [await _plain(item) for item in value]
    if isinstance(value, pulumi.output.Unknown):
        return UNKNOWN
    return value
