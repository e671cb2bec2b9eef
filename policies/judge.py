"""The verdict of all rules on a plan. Pure; the same function serves the program, the packs, the command and
tests."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from facts.zones import Zone
from policies.model import Finding, Judgement, Plan, Resource, Touch, Verdict
from policies.rule import Hit, Rule, Subject

#: The route of what is not known at plan time.
UNKNOWN_ROUTE = "P22"
#: The one rule that speaks where there is no zone.
NO_ZONE = "zone.missing"
#: The rule that every rule is on; it can't be switched off itself.
ALL_ON = "run.rules"
#: The rule that wants every value known; it is silent where a rule that knows more says the same.
ANY_VALUE = "unknowns.value"


#: A finding of a rule, and whether it stands only because a secret is masked here.
Told = tuple[Finding, bool]


@dataclass(frozen=True)
class Heard:
    """What was said of one resource. `alone`: by rules that asked nothing of the plan, so that they say it in
    any plan of the same zone. `others`: by the rest, which are `asking`."""

    item: Resource
    zone: Zone
    rules: tuple[Rule, ...]
    alone: Sequence[Told]
    others: Sequence[Told]
    asking: Sequence[Rule]

    @property
    def told(self) -> Sequence[Told]:
        """All of it, without what a rule says that knows less."""
        return _best([*self.alone, *self.others])


def judge(plan: Plan, zone: Zone | None, rules: Iterable[Rule], before: Iterable[Heard] = ()) -> Judgement:
    """Runs every rule over every resource that it selects; an exception in a rule refuses and loses no other.

    Without a zone there is nothing to judge by: the only finding is that it is missing. `before`: what was said
    of resources in other plans; of the very same ones only rules that asked for more are run again.
    """
    chosen = tuple(rules)
    findings: list[Finding] = []
    masked: list[Finding] = []
    if zone is None:
        missing = (rule for rule in chosen if rule.id == NO_ZONE)
        found = (_apply(rule, Subject(plan), zone) for rule in missing)  # type: ignore[arg-type]
        for results in found:
            _collect(results, findings, masked)
        if not findings:
            raise ValueError(f"there is no zone, and the rule {NO_ZONE} that says so is not among the rules")
        return Judgement(tuple(findings))
    zone = zone.also(plan.stack.declared)
    known = {id(heard.item): heard for heard in before}
    # `selected` remembers as well, but hashes all rules each time
    by_names: dict[tuple[str, ...], tuple[Rule, ...]] = {}
    for item in plan.objects:
        names = (item.type, *item.kinds)
        if names not in by_names:
            by_names[names] = selected(chosen, *names)
        heard = known.get(id(item))
        same = heard if heard and heard.zone is zone and heard.rules is by_names[names] else None
        alone, others, _ = _hear(item, plan, zone, same.asking if same else by_names[names])
        if said := [*(same.alone if same else ()), *alone, *others]:  # nearly never
            _collect(_best(said), findings, masked)
    _collect(judge_plan(plan, zone, chosen), findings, masked)
    trial = {rule.id for rule in chosen if rule.trial}
    return Judgement(
        tuple(sorted(one for one in set(findings) if one.rule not in trial)),
        tuple(sorted(set(masked))),
        warnings=tuple(sorted(one for one in set(findings) if one.rule in trial)),
    )


def judge_resource(item: Resource, plan: Plan, zone: Zone, rules: tuple[Rule, ...]) -> Heard:
    """What the rules that look at one resource say of it."""
    chosen = selected(rules, item.type, *item.kinds)
    return Heard(item, zone, chosen, *_hear(item, plan, zone, chosen))


def _hear(
    item: Resource, plan: Plan, zone: Zone, rules: Iterable[Rule]
) -> tuple[list[Told], list[Told], list[Rule]]:
    """What rules say of a resource: those that asked nothing of the plan, and the others, which come third."""
    alone: list[Told] = []
    others: list[Told] = []
    asking: list[Rule] = []
    subject = Subject(plan, item)
    for rule in rules:
        found = _apply(rule, subject, zone)
        if subject.touched:
            subject.touched.clear()  # each rule answers for what it touches
        if subject.asked:
            subject.asked = False
            asking.append(rule)
            others += found
        elif found:
            alone += found
    return alone, others, asking


def _best(told: Sequence[Told]) -> Sequence[Told]:
    """Without what a rule says that knows less than another of the same value."""
    better = {(finding.path, finding.seen) for finding, _ in told if finding.rule != ANY_VALUE}
    return [
        (finding, masked)
        for finding, masked in told
        if finding.rule != ANY_VALUE or (finding.path, finding.seen) not in better
    ]


def judge_plan(plan: Plan, zone: Zone, rules: tuple[Rule, ...]) -> Iterator[Told]:
    """The findings of the rules about the plan as a whole."""
    for rule in rules:
        if rule.scope == "plan" and (plan.whole or not rule.needs_whole):
            yield from _apply(rule, Subject(plan), zone)


@lru_cache(maxsize=4096)
def selected(rules: tuple[Rule, ...], *names: str) -> tuple[Rule, ...]:
    """The rules that look at resources of a type and kinds."""
    return tuple(rule for rule in rules if rule.scope == "resource" and rule.selects(*names))


def _apply(rule: Rule, subject: Subject, zone: Zone) -> Sequence[Told]:
    hits: list[Hit] = []
    faults: Sequence[Told] = ()
    try:
        for hit in rule.judge(subject, zone):
            hits.append(hit)
    except Exception as error:  # whatever a rule trips over, the plan is refused and the other rules go on
        why = f"the rule {rule.id} failed on this resource, so it cannot be judged"
        fix = "Report this as a fault of the kit, with the object's shape."
        fault = Hit("", type(error).__name__, why, Verdict.UNDECIDED, fix=fix)
        faults = ((_finding(rule, subject, fault, faulty=True), False),)
    if not (hits or faults or subject.touched):  # nearly always
        return ()
    touched = subject.touched.values()
    if touched and hits:
        unknown = [touch.path for touch in touched if touch.reason == "unknown"]
        hits = [hit for hit in hits if not _presumed(hit, unknown)]
    return [
        *((_finding(rule, subject, hit), False) for hit in hits),
        *faults,
        *((_finding(rule, subject, _untold(touch)), touch.reason == "masked") for touch in touched),
    ]


def _presumed(hit: Hit, unknown: Sequence[str]) -> bool:
    """Whether a rule refuses something of which nothing is known yet, because it read as if it weren't there:
    then it is undecided, and told as such."""
    return (
        hit.verdict is Verdict.REFUSE
        and not hit.urn
        and any(hit.path == path or hit.path.startswith((f"{path}.", f"{path}[")) for path in unknown)
    )


_UNTOLD: Mapping[str, tuple[str, str]] = {
    "unknown": ("not known yet", "it is not known at plan time, and what is not known can't be judged"),
    "masked": ("a secret, not visible here", "it is a secret that this reader can't see"),
    "malformed": ("malformed", "it does not have the shape that its place asks for, so it cannot be judged"),
}


def _untold(touch: Touch) -> Hit:
    seen, why = _UNTOLD[touch.reason]
    fix = {
        "unknown": "Give the value as a literal, or take it from something known before the plan.",
        "masked": "Judge it where it is in clear: in the program or the pack.",
        "malformed": f"Give {touch.expected} here.",
    }[touch.reason]
    return Hit(
        touch.path, seen, why, Verdict.UNDECIDED, UNKNOWN_ROUTE if touch.reason == "unknown" else None, fix
    )


def _finding(rule: Rule, subject: Subject, hit: Hit, faulty: bool = False) -> Finding:
    resource = subject.resource
    return Finding(
        urn=hit.urn or (resource.urn if resource else ""),
        path=(resource.prefix if resource and not hit.urn else "") + hit.path,
        rule=rule.id,
        route=hit.route or rule.routes[0],
        controls=rule.controls,
        seen=hit.seen,
        why=hit.why,
        fix=hit.fix or rule.fix,
        verdict=hit.verdict,
        faulty=faulty,
    )


def _collect(results: Iterable[Told], findings: list[Finding], masked: list[Finding]) -> None:
    for finding, only_masked in results:
        (masked if only_masked else findings).append(finding)
