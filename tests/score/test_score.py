"""How the score is counted: strictly by what concerns the leak, on what leaks."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from policies.model import UNKNOWN
from tests.score import material, tools
from tests.score.__main__ import score, text
from tests.score.material import Case
from tests.score.tools import Failed, Run, Said, _concerns, _failed
from tests.support import examples

LEAK = """\
about: A port of the host, on one of two pods.
whole: %s
kubernetes:
  - {apiVersion: v1, kind: Pod, metadata: {name: bad}, spec: {hostNetwork: true, containers: []}}
  - {apiVersion: v1, kind: Pod, metadata: {name: good}, spec: {containers: []}}
"""
BAD, GOOD = (f"urn:pulumi:example::sovereign::kubernetes:core/v1:Pod::{name}" for name in ("bad", "good"))


def case(tmp_path: Path, name: str = "K09/leak-a.yaml", body: str = LEAK % "false") -> Case:
    file = tmp_path / "routes" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(body, encoding="utf-8")
    [shown] = material.show([examples.read(file)], tmp_path / "shown" / file.stem)
    return shown


def scored(cases: list[Case], **said: list[list[Failed]]) -> dict[str, Any]:
    runs = [
        Run(
            tool,
            tool,
            {one.example.name: Said(failed, {BAD}) for one, failed in zip(cases, each, strict=True)},
        )
        for tool, each in said.items()
    ]
    return score(runs, cases)["tools"]  # type: ignore[no-any-return]


OWN = Failed(BAD, "node-access.host-network", frozenset({"K09"}))


@pytest.mark.parametrize(
    ("failed", "caught", "any_check"),
    [
        ([Failed(BAD, "right", frozenset({"K09"}))], 1, 1),
        ([Failed(BAD, "another route", frozenset({"K10"}))], 0, 1),
        ([Failed(BAD, "no route", frozenset())], 0, 1),
        ([Failed(GOOD, "another resource", frozenset({"K09"}))], 0, 1),
        ([Failed("", "the whole plan", frozenset({"K09"}))], 1, 1),
        ([], 0, 0),
    ],
    ids=lambda given: given[0].check if isinstance(given, list) and given else str(given),
)
def test_a_leak_is_caught_by_a_check_of_its_route_on_its_resource(
    tmp_path: Path, failed: list[Failed], caught: int, any_check: int
) -> None:
    found = scored([case(tmp_path)], kit=[[OWN]], peer=[failed])["peer"]
    assert (found["leaks"], found["caught"], found["any_check"]["caught"]) == (1, caught, any_check)


def test_a_false_alarm_is_a_check_that_concerns_a_way_out_and_for_the_kit_any_finding(tmp_path: Path) -> None:
    clean = case(tmp_path, "K09/clean-a.yaml")
    idle = [Failed(BAD, "no route", frozenset())]
    found = scored([clean], kit=[idle], peer=[idle])
    assert (found["kit"]["false_alarms"], found["peer"]["false_alarms"]) == (1, 0)
    assert found["peer"]["any_check"]["false_alarms"] == 1


def test_leaks_behind_what_is_not_known_are_counted_apart(tmp_path: Path) -> None:
    hidden = case(
        tmp_path, "K09/leak-b.yaml", (LEAK % "false").replace("hostNetwork: true", "hostNetwork: !unknown ")
    )
    assert hidden.example.plan.resources[0].inputs["spec"]["hostNetwork"] is UNKNOWN
    found = scored([case(tmp_path), hidden], kit=[[OWN], [OWN]])["kit"]
    assert (found["leaks"], found["known"]) == (2, {"leaks": 1, "caught": 1})


@pytest.mark.parametrize(("whole", "routes"), [("false", set()), ("true", {"K01", "K05", "K08"})])
def test_a_check_for_want_of_another_resource_counts_in_whole_plans_only(
    tmp_path: Path, whole: str, routes: set[str]
) -> None:
    failed = _failed(case(tmp_path, body=LEAK % whole), BAD, "CKV2_K8S_6")
    assert (failed.urn, set(failed.routes)) == ("", routes)


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    one = case(tmp_path)
    runs = [
        Run("kit", "rules", {one.example.name: Said([OWN], {BAD})}),
        Run("peer", "", left_out="it can't be built"),
    ]
    found = score(runs, [one])
    assert found["left_out"] == {"peer": "it can't be built"}
    assert set(found["tools"]) == {"kit"}
    assert "peer: left out: it can't be built" in text(found, runs)


def test_each_check_that_counts_names_routes_and_a_reason() -> None:
    for id, one in _concerns().items():
        assert re.fullmatch(r"CKV2?_(K8S|AWS|AZURE)_\d+", id)
        assert one["why"]
        assert all(re.fullmatch(r"[A-Z]\d\d", route) for route in one["routes"])


def test_each_policy_of_ours_after_a_published_one_names_its_routes() -> None:
    [policy] = yaml.safe_load_all((tools.HERE / "kyverno" / "policies.yaml").read_text(encoding="utf-8"))
    for one in policy["spec"]["rules"]:
        assert re.fullmatch(r"[a-z-]+(\.[A-Z]\d\d)+", one["name"])
    rego = (tools.HERE / "conftest" / "published.rego").read_text(encoding="utf-8")
    assert rego.count("deny contains") == len(
        re.findall(r'said\("[\w-]+", \["[A-Z]\d\d"(, "[A-Z]\d\d")*\]\)', rego)
    )
