"""A whole stack on AWS with one mistake at a time (mistakes.yaml): each is refused, by what it is a mistake
against."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from facts import zones
from policies import rules
from policies.judge import judge
from policies.model import Plan, Resource
from tests.aws import changes
from tests.aws.whole import provider, whole
from tests.support import aws_stacks
from tests.support.aws import DAY
from tests.support.aws_stacks import PARIS, Rendered, rendered
from toolchain.providers.core import Naming, Refused, Urn, paths

Row = dict[str, Any]
_TABLE = yaml.safe_load(Path(__file__).with_name("mistakes.yaml").read_text(encoding="utf-8"))
MISTAKES: tuple[Row, ...] = tuple(_TABLE["mistakes"])
IN_PLAN = [row for row in MISTAKES if "of" in row or "made" in row]
IN_SETTINGS = [row for row in MISTAKES if "settings" in row]
IN_ZONE = [row for row in MISTAKES if "zone" in row]


def named(row: Row) -> str:
    return str(row["mistake"])


def wrong(row: Row) -> changes.Plan:
    """What the plan is with the mistake of a row."""
    plan = whole().resources
    for more in row.get("made", ()):
        plan = changes.with_also(plan, more["type"], more["inputs"], provider())
    for one in row.get("without", ()):
        plan = changes.without(plan, one)
    if row.get("gone"):
        plan = changes.without(plan, row["of"])
    elif "of" in row:
        plan = changes.changed(plan, row["of"], row["change"])
    return plan


def routes(plan: changes.Plan, of: Rendered) -> set[str]:
    found = judge(Plan.of(plan, of.facts, at=DAY), of.zone, rules.load()).findings
    return {finding.route for finding in found}


def said(resource: Resource) -> list[str]:
    """What the types of AWS's package are against."""
    checked = provider().check(Urn(resource.urn), {}, dict(resource.inputs), Naming())
    return [f"{paths.written(problem.path)} {problem.reason}" for problem in checked.problems]


def test_without_a_mistake_there_is_nothing_to_say() -> None:
    assert [f"{one.rule} {one.urn} {one.path}: {one.why}" for one in whole().findings] == []
    assert [said(one) for one in whole().cloud if said(one)] == []


def test_there_are_enough_of_them_and_each_is_one_sentence() -> None:
    sentences = [named(row) for row in MISTAKES]
    assert len(sentences) == len(set(sentences)) >= 40
    assert sum("types" in row for row in MISTAKES) >= 5
    for row in MISTAKES:
        assert len([key for key in ("of", "made", "settings", "zone") if key in row]) == 1, named(row)
        assert ("says" in row) != ("route" in row), named(row)


@pytest.mark.parametrize("row", IN_PLAN, ids=named)
def test_a_mistake_in_the_plan_is_refused_by_its_route(row: Row) -> None:
    found = routes(wrong(row), whole())
    assert row["route"] in found


@pytest.mark.parametrize("row", IN_PLAN, ids=named)
def test_types_are_against_what_they_can_see(row: Row) -> None:
    before = set(map(id, whole().resources))
    other = [one for one in wrong(row) if id(one) not in before and one.type.startswith("aws:")]
    found = [told for one in other for told in said(one)]
    if "types" in row:
        assert any(told.startswith(row["types"]) for told in found), found
    else:
        assert found == []


@pytest.mark.parametrize("row", IN_SETTINGS, ids=named)
def test_a_mistake_in_the_settings_is_refused(row: Row) -> None:
    change = changes.settings_with(PARIS, row["settings"])
    if "says" in row:
        with pytest.raises((ValueError, Refused)) as refused:
            rendered(PARIS, change)
        assert row["says"] in str(refused.value)
    else:
        made = rendered(PARIS, change)
        found = routes(made.resources, made)
        assert row["route"] in found


@pytest.mark.parametrize("row", IN_ZONE, ids=named)
def test_a_mistake_in_the_zone_is_refused(row: Row, tmp_path: Path) -> None:
    file, given = tmp_path / "zone.yaml", aws_stacks.FOLDER / "zones" / f"{PARIS}.yaml"
    zone = changes.over(yaml.safe_load(given.read_text(encoding="utf-8")), row["zone"])
    file.write_text(yaml.safe_dump(zone, allow_unicode=True), encoding="utf-8")
    if "says" in row:
        with pytest.raises(zones.ZoneError) as refused:
            zones.load(file)
        assert row["says"] in str(refused.value)
    else:
        found = routes(whole().resources, replace(whole(), zone=zones.load(file)))
        assert row["route"] in found
