"""Every example in tests/routes/: each leak is refused for its route, each honest plan passes every rule."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from policies import rules
from policies.judge import judge, judge_resource
from policies.model import Finding
from policies.rule import Rule
from tests.support import examples
from tests.support.examples import BadExample, Example

#: The routes that must be closed.
ROUTES = (
    *("P01", "P02", "P03", "P07", "P08", "P09", "P10", "P12", "P13", "P18", "P19", "P22", "P27"),
    *(f"K{number:02}" for number in range(1, 25)),
    *(f"S{number:02}" for number in range(1, 7)),
)


@cache
def _rules() -> dict[str, Rule]:
    return {rule.id: rule for rule in rules.load()}


@cache
def _findings(example: Example) -> tuple[Finding, ...]:
    return judge(example.plan, example.zone, _rules().values()).findings


def _told(findings: tuple[Finding, ...]) -> str:
    lines = [f"  {one.route} {one.rule} {one.verdict} at {one.path or '-'}: {one.seen}" for one in findings]
    return "\n".join(lines) or "  nothing"


def _name(file: Path) -> str:
    return f"{file.parent.name}/{file.stem}"


@cache
def _read(file: Path) -> Example:
    return examples.read(file)


def _expected(example: Example) -> list[Finding]:
    """The findings that are what the example expects."""
    expect = example.expect
    return [
        one
        for one in _findings(example)
        if one.route == (expect.route or example.route)
        and example.route in _rules()[one.rule].routes
        and expect.path in (None, one.path)
        and expect.verdict in (None, str(one.verdict))
    ]


@pytest.mark.parametrize("file", examples.files(), ids=_name)
def test_example(file: Path) -> None:
    example = _read(file)
    if not example.leak:
        findings = _findings(example)
        assert not findings, (
            f"{file}: {example.about}\nIt must pass every rule; found were:\n{_told(findings)}"
        )
        return
    assert _expected(example), (
        f"{file}: {example.about}\nExpected a finding of a rule for {example.route} "
        f"with {example.expect.model_dump(exclude_none=True)}; found were:\n{_told(_findings(example))}"
    )


@pytest.mark.parametrize("rule", sorted(_rules()))
def test_rule_is_needed(rule: str) -> None:
    """For each rule there is a leak that no other rule would refuse for its route: without the rule, it
    fails."""
    routes = _rules()[rule].routes
    leaks = (_read(file) for file in examples.files() if file.parent.name in routes)
    assert any({one.rule for one in _expected(leak)} == {rule} for leak in leaks if leak.leak), (
        f"no leak in tests/routes/ of {', '.join(routes)} needs the rule {rule}: add one"
    )


@pytest.mark.parametrize("route", ROUTES)
def test_route_is_closed_and_shown(route: str) -> None:
    """A rule claims the route, and leaking and clean examples show it."""
    assert any(route in rule.routes for rule in _rules().values()), f"no rule claims {route}"
    _assert_shown(route)


def test_every_claim_is_shown() -> None:
    """What a rule says that it closes, an example shows."""
    for route in sorted({route for rule in _rules().values() for route in rule.routes}):
        _assert_shown(route)


def _assert_shown(route: str) -> None:
    stems = [file.stem for file in examples.files() if file.parent.name == route]
    for form, least in (("leak", 3), ("clean", 2)):
        shown = sum(stem.startswith(f"{form}-") for stem in stems)
        assert shown >= least, f"tests/routes/{route}/ has {shown} {form}-*.yaml: it takes {least}"


def test_findings_keep_to_their_rules_routes() -> None:
    """A finding names a route that its rule claims, or P22 for what isn't known."""
    for file in examples.files():
        for one in _findings(_read(file)):
            assert one.route in (*_rules()[one.rule].routes, "P22"), (
                f"{_name(file)}: {one.rule} named {one.route}"
            )


def test_what_was_said_of_a_resource_alone_stands_in_the_plan() -> None:
    """A pack judges resources as they come, and runs again over the plan only those rules that asked for it."""
    known = tuple(_rules().values())
    for file in examples.files():
        plan, zone = _read(file).plan, _read(file).zone
        if zone is None:
            continue
        zone = zone.also(plan.stack.declared)
        heard = [
            judge_resource(item, replace(plan, resources=(item,), whole=False), zone, known)
            for item in plan.objects
        ]
        assert judge(plan, zone, known, heard) == judge(plan, zone, known), _name(file)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("K02/notes.txt", "about: x", "call it leak-<what>.yaml or clean-<what>.yaml"),
        ("K02/leak-x.yaml", "- a\n- b", "one mapping is expected"),
        ("K02/leak-x.yaml", "about: [", "not YAML at line"),
        ("K02/leak-x.yaml", "abuot: a sentence of some length", "the keys are about, zone"),
        ("K02/leak-x.yaml", "about: a sentence of some length", "there is nothing to judge"),
        ("K02/clean-x.yaml", "about: a sentence of some length\nexpect: {route: K02}", "remove it"),
        (
            "K02/leak-x.yaml",
            "about: a sentence of some length\nkubernetes: [{kind: Pod}]",
            "lacks apiVersion",
        ),
        (
            "K02/leak-x.yaml",
            "about: a sentence of some length\nzone: {networks: [x]}\nstack: {name: a}",
            "zone: ",
        ),
    ],
)
def test_bad_example_is_told(tmp_path: Path, name: str, text: str, told: str) -> None:
    file = tmp_path / name
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadExample, match=told):
        examples.read(file)
