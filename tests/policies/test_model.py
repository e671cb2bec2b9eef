"""Markers, nodes and the judge: what can't be read is neither passed nor hides what can."""

import copy
from collections.abc import Iterator

import pytest

from facts.zones import Zone
from policies.judge import judge, judge_resource
from policies.model import MASKED, UNKNOWN, Node, Plan, Resource, Touch, Verdict
from policies.model.resource import kind_of
from policies.rule import Hit, Judge, Rule, Subject

ZONE = Zone.model_validate({"name": "z", "countries": ["FR"], "eea": "required"})


def rule(function: Judge, id: str = "test.rule", scope: str = "resource", needs_whole: bool = False) -> Rule:
    return Rule(
        id=id,
        title="A test",
        routes=("T1",),
        controls=(),
        fix="Fix it.",
        pack="egress",
        severity="high",
        scope=scope,  # type: ignore[arg-type]
        needs_whole=needs_whole,
        kinds=(),
        types=("*",),
        judge=function,
    )


def plan(inputs: dict[str, object], token: str = "kubernetes:core/v1:Pod", whole: bool = True) -> Plan:
    return Plan.of([Resource("urn:a", token, "a", inputs)], whole=whole)


@pytest.mark.parametrize("marker", [UNKNOWN, MASKED])
def test_a_marker_equals_nothing_and_is_no_truth(marker: object) -> None:
    assert marker not in ["a", None, True]
    assert marker.__eq__(marker) is False
    assert marker.__ne__(marker) is True
    assert copy.deepcopy(marker) is marker
    with pytest.raises(TypeError):
        bool(marker)


def test_a_node_reads_what_it_can_and_remembers_the_rest() -> None:
    touched: dict[str, Touch] = {}
    node = Node({"a": [1, UNKNOWN, "x"], "b": MASKED, "c": {"d": True}}, "", touched)
    assert [item.number() for item in node["a"].each()] == [1, None, None]
    assert node["b"].text() is None
    assert node["c"]["d"].flag() is True
    assert node["none"]["deeper"].absent
    assert {path: touch.reason for path, touch in touched.items()} == {
        "a[1]": "unknown",
        "a[2]": "malformed",
        "b": "masked",
    }


def test_an_unknown_does_not_hide_what_is_known() -> None:
    def regions(subject: Subject, zone: Zone) -> Iterator[Hit]:
        for node in subject["regions"].each():
            if node.text() == "us-east-1":
                yield subject.refuse(node, seen="us-east-1", why="abroad")

    found = judge(plan({"regions": ["eu-west-3", UNKNOWN, "us-east-1"]}), ZONE, [rule(regions)])
    assert [(one.path, one.verdict) for one in found.findings] == [
        ("regions[1]", Verdict.UNDECIDED),
        ("regions[2]", Verdict.REFUSE),
    ]
    assert found.findings[0].route == "P22"


def test_what_is_masked_is_listed_apart_and_refuses_nothing() -> None:
    def reads(subject: Subject, zone: Zone) -> Iterator[Hit]:
        subject["token"].text()
        yield from ()

    found = judge(plan({"token": MASKED}), ZONE, [rule(reads)])
    assert found.verdict == "pass"
    assert [one.path for one in found.not_visible] == ["token"]


def test_an_exception_in_a_rule_refuses_and_loses_no_other() -> None:
    def breaks(subject: Subject, zone: Zone) -> Iterator[Hit]:
        yield subject.refuse("a", seen="before", why="known")
        raise KeyError("secret-in-the-message")

    def works(subject: Subject, zone: Zone) -> Iterator[Hit]:
        yield subject.refuse("b", seen="x", why="known")

    found = judge(plan({}), ZONE, [rule(breaks, "test.breaks"), rule(works, "test.works")])
    assert {(one.rule, one.seen) for one in found.findings} == {
        ("test.breaks", "before"),
        ("test.breaks", "KeyError"),
        ("test.works", "x"),
    }
    assert "secret-in-the-message" not in str(found.to_json())


def test_what_is_absent_counts_in_a_whole_plan_only() -> None:
    def lacks(subject: Subject, zone: Zone) -> Iterator[Hit]:
        yield subject.refuse("", seen="nothing", why="it is missing")

    absent = rule(lacks, scope="plan", needs_whole=True)
    assert judge(plan({}, whole=True), ZONE, [absent]).findings
    assert not judge(plan({}, whole=False), ZONE, [absent]).findings


def test_what_asked_for_the_plan_is_asked_again_there() -> None:
    """Also where the answer was made for another rule; what a resource alone decides is not."""
    alone = 0

    def size(subject: Subject) -> int:
        return subject.once("size", lambda: len(subject.plan.resources))

    def first(subject: Subject, zone: Zone) -> Iterator[Hit]:
        yield subject.refuse("first", seen=str(size(subject)), why="known")

    def second(subject: Subject, zone: Zone) -> Iterator[Hit]:
        yield subject.refuse("second", seen=str(size(subject)), why="known")

    def lone(subject: Subject, zone: Zone) -> Iterator[Hit]:
        nonlocal alone
        alone += 1
        yield subject.refuse("lone", seen="x", why="known")

    known = tuple(rule(one, f"test.{one.__name__}") for one in (first, second, lone))
    one, other = plan({}).resources[0], Resource("urn:b", "kubernetes:core/v1:Pod", "b", {})
    heard = judge_resource(one, Plan.of([one], whole=False), ZONE, known)
    found = judge(Plan.of([one, other]), ZONE, known, [heard]).findings
    assert {(each.path, each.seen) for each in found if each.urn == one.urn} == {
        ("first", "2"),
        ("second", "2"),
        ("lone", "x"),
    }
    assert alone == 2, "once for each resource"
    judge(Plan.of([one]), ZONE.model_copy(update={"countries": ("DE",)}), known, [heard])
    assert alone == 3, "another zone may say otherwise"


def test_without_a_zone_the_missing_zone_is_the_finding() -> None:
    from policies.rules import load

    found = judge(plan({"image": "evil"}), None, load())
    assert [(one.rule, one.route) for one in found.findings] == [("zone.missing", "P27")]
    with pytest.raises(ValueError, match=r"zone\.missing"):
        judge(plan({}), None, [])


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        ("kubernetes:core/v1:Pod", "core/Pod"),
        ("kubernetes:apps/v1beta2:DeploymentPatch", "apps/Deployment"),
        ("kubernetes:apps/v1:DeploymentList", "apps/Deployment"),
        ("kubernetes:core/v1:List", "core/List"),
        ("aws:s3/bucket:Bucket", None),
        ("pulumi:providers:kubernetes", None),
    ],
)
def test_twin_tokens_are_one_kind(token: str, kind: str | None) -> None:
    assert kind_of(token) == kind


def test_a_list_is_taken_apart_with_paths() -> None:
    def any_pod(subject: Subject, zone: Zone) -> Iterator[Hit]:
        assert subject.resource is not None
        yield subject.refuse("spec", seen=subject.resource.type, why="x")

    inner = {"apiVersion": "v1", "kind": "PodList", "items": [{"apiVersion": "v1", "kind": "Pod"}]}
    found = judge(plan({"items": [inner, UNKNOWN]}, "kubernetes:core/v1:List"), ZONE, [rule(any_pod)])
    assert ("items[0].items[0].spec", "kubernetes:core/v1:Pod") in {
        (one.path, one.seen) for one in found.findings
    }
