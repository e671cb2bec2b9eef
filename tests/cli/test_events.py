"""The engine's event stream becomes progress, counts and errors."""

import json

from cli.events import count_line, done_line, follow

URN = "urn:pulumi:local::sovereign::kubernetes:apps/v1:Deployment::llm-serving/vllm"


def lines(*events: object) -> list[str]:
    return [json.dumps(event) + "\n" for event in events]


def step(kind: str, op: str, **more: object) -> dict[str, object]:
    metadata = {"op": op, "urn": URN, "type": "kubernetes:apps/v1:Deployment"}
    return {kind: {"metadata": metadata, **more}}


def test_only_the_real_half_is_reported_as_done() -> None:
    said: list[str] = []
    follow(
        lines(
            step("resOutputsEvent", "create", planning=True),
            step("resourcePreEvent", "create"),
            step("resOutputsEvent", "create"),
            step("resOutputsEvent", "same"),
        ),
        said.append,
    )
    assert said == ['creating Deployment "llm-serving/vllm"', 'created Deployment "llm-serving/vllm"']


def test_counts_are_those_of_the_real_half() -> None:
    outcome = follow(
        lines(
            {"summaryEvent": {"isPreview": True, "resourceChanges": {"create": 2}}},
            {"summaryEvent": {"isPreview": False, "resourceChanges": {"create": 2, "same": 7}}},
        ),
        lambda sentence: None,
    )
    assert (outcome.planned, outcome.changes, outcome.unchanged) == (
        {"create": 2},
        {"create": 2, "same": 7},
        7,
    )
    assert outcome.changed == {"create": 2}


def test_errors_are_kept_without_colour_marks_and_with_their_resource() -> None:
    outcome = follow(
        [
            *lines(
                {
                    "diagnosticEvent": {
                        "urn": URN,
                        "severity": "error",
                        "message": "<{%fg 1%}>not ready<{%reset%}>\n",
                    }
                }
            ),
            "panic: no event\n",
        ],
        lambda sentence: None,
    )
    assert outcome.errors == ['Deployment "llm-serving/vllm": not ready', "panic: no event"]


def test_mandatory_refusals_are_kept_and_advice_is_not() -> None:
    outcome = follow(
        lines(
            {"policyEvent": {"enforcementLevel": "mandatory", "message": "K11 leaks", "policyName": "K11"}},
            {"policyEvent": {"enforcementLevel": "advisory", "message": "x", "policyName": "y"}},
        ),
        lambda sentence: None,
    )
    assert outcome.refusals == [{"rule": "K11", "urn": "", "message": "K11 leaks"}]


def test_counts_in_words() -> None:
    assert count_line({"create": 3, "same": 30}) == "3 to create, 30 unchanged"
    assert count_line({}) == "nothing to do"
    assert done_line({"create": 3, "same": 30}) == "created 3, unchanged 30"
    assert done_line({"same": 33}) == "unchanged 33"
