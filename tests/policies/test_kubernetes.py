"""Label selectors, namespaces and pod templates, as the Kubernetes API reads them."""

from typing import Any

import pytest

from policies import kubernetes
from policies.model import UNKNOWN, Node, Plan, Resource
from policies.model.pods import TEMPLATES
from policies.rule import Subject


def node(value: Any) -> Node:
    return Node(value, "selector", {})


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("selector", "labels", "selected"),
    [
        (None, {}, True),
        ({}, {"a": "1"}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "1", "b": "2"}, True),
        ({"matchLabels": {"a": "1", "b": "2"}}, {"a": "1"}, False),
        (expression("a", "In", "1", "2"), {"a": "2"}, True),
        (expression("a", "In", "1", "2"), {}, False),
        (expression("a", "NotIn", "1"), {}, True),
        (expression("a", "NotIn", "1"), {"a": "1"}, False),
        (expression("a", "Exists"), {"a": ""}, True),
        (expression("a", "Exists"), {}, False),
        (expression("a", "DoesNotExist"), {}, True),
        (expression("a", "DoesNotExist"), {"a": "1"}, False),
        (expression("a", "Gt", "1"), {"a": "2"}, False),
        ({"matchLabels": {"a": "1"}, **expression("b", "In", "2")}, {"a": "1", "b": "3"}, False),
        (UNKNOWN, {"a": "1"}, False),
        ({"matchLabels": {"a": UNKNOWN}}, {"a": "1"}, False),
    ],
)
def test_selects(selector: Any, labels: dict[str, str], selected: bool) -> None:
    assert kubernetes.selects(node(selector), labels) is selected


def test_selects_all_only_where_nothing_narrows() -> None:
    assert kubernetes.selects_all(node(None))
    assert kubernetes.selects_all(node({"matchLabels": {}, "matchExpressions": []}))
    assert not kubernetes.selects_all(node({"matchLabels": {"a": "1"}}))
    assert not kubernetes.selects_all(node(UNKNOWN))
    assert not kubernetes.selects_all(node({"matchExpressions": UNKNOWN}))


def test_only_is_what_all_bounds_leave() -> None:
    both = {"matchLabels": {"a": "1"}, **expression("a", "In", "1", "2")}
    assert kubernetes.only(node(both), "a") == frozenset(["1"])
    assert kubernetes.only(node(expression("a", "NotIn", "1")), "a") is None


@pytest.mark.parametrize(
    ("own", "provider", "expected"),
    [
        ("a", {"namespace": "b"}, "a"),
        (None, {"namespace": "b"}, "b"),
        (None, {}, "default"),
        (UNKNOWN, {}, None),
        (None, {"namespace": UNKNOWN}, None),
    ],
)
def test_namespace(own: Any, provider: dict[str, Any], expected: str | None) -> None:
    token = "pulumi:providers:kubernetes"
    ours = Resource("urn:provider", token, "provider", provider)
    resource = Resource(
        "urn:p", "kubernetes:core/v1:Pod", "p", {"metadata": {"namespace": own}}, "urn:provider::id"
    )
    look = Subject(Plan.of([ours, resource]), resource)
    assert kubernetes.namespace(look) == expected
    assert bool(look.touched) is (expected is None)


@pytest.mark.parametrize("kind", [kind for kind in TEMPLATES if kind != "core/Pod"])
def test_pods_are_found_in_every_kind(kind: str) -> None:
    group, _, name = kind.partition("/")
    for path in TEMPLATES[kind]:
        inputs: dict[str, Any] = {"spec": {"hostNetwork": True}}
        for key in reversed(path.split(".")):
            inputs = {key: inputs}
        resource = Resource("urn:x", f"kubernetes:{group}/v1:{name}", "x", inputs)
        found = list(kubernetes.pods(Subject(Plan.of([resource]), resource)))
        assert any(pod.spec["hostNetwork"].flag() for pod in found)


def test_a_custom_resource_that_is_too_deep_to_be_read_is_not_searched() -> None:
    inputs: dict[Any, Any] = {"spec": {"containers": [{"image": "helper"}], 1: "a key that is no text"}}
    for _ in range(2):
        resource = Resource("urn:x", "kubernetes:example.org/v1:Tool", "x", inputs)
        found = list(kubernetes.pods(Subject(Plan.of([resource]), resource)))
        assert len(found) == (0 if resource.leaves is None else 1)
        for _ in range(2000):
            inputs = {"spec": inputs}
