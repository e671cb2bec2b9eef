"""The readers: what each form gives, and what is refused as unreadable with the way out."""

import json
from pathlib import Path
from typing import Any

import pytest

from policies.model import MASKED, UNKNOWN, Plan
from policies.read import UnreadableInput, read
from policies.read.values import OUTPUT, PLACEHOLDERS, SECRET, SIGNATURE, plain

SAMPLES = Path(__file__).with_name("samples")
STACK = "urn:pulumi:dev::sovereign::pulumi:pulumi:Stack::sovereign-dev"


def urn(name: str) -> str:
    return f"urn:pulumi:dev::sovereign::kubernetes:core/v1:ConfigMap::{name}"


def step(op: str, name: str, **state: Any) -> dict[str, Any]:
    new = {"urn": urn(name), "type": "kubernetes:core/v1:ConfigMap", "custom": True, "inputs": {}, **state}
    return {"op": op, "urn": urn(name), "newState": new}


def preview(tmp_path: Path, steps: list[dict[str, Any]], **more: Any) -> Path:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"steps": steps, **more}), encoding="utf-8")
    return file


def text(tmp_path: Path, content: str | bytes) -> Path:
    file = tmp_path / "input"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


# Previews


def test_a_preview_of_the_engine() -> None:
    plan = read(SAMPLES / "preview-leak.json")
    assert (plan.whole, plan.source) == (True, "preview")
    assert (plan.stack.name, plan.stack.zone, plan.stack.secrets_provider) == ("dev", "local", "passphrase")
    assert plan.stack.backend is not None
    assert {resource.name for resource in plan.resources} == {"sovereign-dev", "a", "b"}
    assert plan.by_urn["urn:pulumi:dev::sovereign::sovereign:index:Gateway::b"].inputs == {
        "url": "https://evil.example"
    }


def test_deletes_are_not_judged_and_replacements_once(tmp_path: Path) -> None:
    steps = [
        step("create-replacement", "a"),
        step("replace", "a"),
        {"op": "delete-replaced", "urn": urn("a"), "oldState": {}},
        {"op": "delete", "urn": urn("b"), "oldState": {}},
        step("read", "c", external=True),
    ]
    plan = read(preview(tmp_path, steps))
    assert [(one.name, one.read) for one in plan.resources] == [("a", False), ("c", True)]


@pytest.mark.parametrize(
    ("steps", "more"),
    [
        ([step("create", "a")], {"changeSummary": {"create": 1, "same": 3}}),
        ([step("create", "a", parent=STACK)], {}),
        ([step("create", "a", provider=f"{urn('p')}::id")], {}),
        ([step("create", "a", propertyDependencies={"data": [urn("b")]})], {}),
    ],
)
def test_a_partial_preview_is_unreadable(tmp_path: Path, steps: list[Any], more: dict[str, Any]) -> None:
    with pytest.raises(UnreadableInput, match="preview --json --show-sames"):
        read(preview(tmp_path, steps, **more))


def test_a_preview_that_failed_is_unreadable_and_one_that_was_refused_is_not(tmp_path: Path) -> None:
    refused = [{"severity": "error", "message": "error: preview failed\n"}]
    assert read(preview(tmp_path, [step("create", "a")], diagnostics=refused)).resources
    failed = [{"severity": "error", "message": "error: the program ended with exit code 1"}, *refused]
    with pytest.raises(UnreadableInput, match="failed"):
        read(preview(tmp_path, [step("create", "a")], diagnostics=failed))


def test_unknowns_and_secrets_of_a_preview(tmp_path: Path) -> None:
    inputs = {
        "data": {"a": "04da6b54-80e4-46f7-96ec-b56ff0331ba9", "b": "[secret]", "c": "x"},
        "list": ["6a19a0b0-7e62-4c92-b797-7f8e31da9cc2"],
    }
    [one] = read(preview(tmp_path, [step("create", "a", inputs=inputs)])).resources
    assert one.inputs["data"]["a"] is UNKNOWN
    assert one.inputs["data"]["b"] is MASKED
    assert one.inputs["data"]["c"] == "x"
    assert one.inputs["list"][0] is UNKNOWN


@pytest.mark.parametrize("placeholder", sorted(PLACEHOLDERS))
def test_every_placeholder_is_unknown(placeholder: str) -> None:
    assert plain(placeholder) is UNKNOWN


def test_output_values_and_secrets_are_unwrapped() -> None:
    assert plain({SIGNATURE: OUTPUT, "value": "x"}) == "x"
    assert plain({SIGNATURE: OUTPUT}) is UNKNOWN
    assert plain({SIGNATURE: SECRET, "ciphertext": "AAAA"}) is MASKED
    assert plain({SIGNATURE: SECRET, "plaintext": '"clear"'}) == "clear"
    assert plain({SIGNATURE: SECRET, "value": {SIGNATURE: OUTPUT}}) is UNKNOWN


# State


def state(resources: list[dict[str, Any]], **more: Any) -> str:
    return json.dumps({"version": 3, "deployment": {"resources": resources, **more}})


def test_a_state_of_the_engine() -> None:
    plan = read(SAMPLES / "state.json")
    assert (plan.source, plan.stack.name, plan.stack.secrets_provider) == ("state", "dev", "passphrase")
    assert [one.name for one in plan.resources] == ["sovereign-dev", "a", "b"]


def test_a_state_masks_secrets_and_leaves_out_what_goes(tmp_path: Path) -> None:
    base = {"type": "kubernetes:core/v1:Secret", "custom": True}
    content = state(
        [
            {**base, "urn": urn("a"), "inputs": {"data": {SIGNATURE: SECRET, "ciphertext": "v1:x"}}},
            {**base, "urn": urn("b"), "delete": True},
        ],
        pending_operations=[
            {"type": "creating", "resource": {**base, "urn": urn("c"), "inputs": {"data": {"x": "y"}}}},
            {"type": "deleting", "resource": {**base, "urn": urn("d")}},
        ],
        secrets_providers={"type": "cloud", "state": {"url": "awskms://alias/x?region=eu-west-3"}},
    )
    plan = read(text(tmp_path, content))
    assert [one.name for one in plan.resources] == ["a", "c"]
    assert plan.resources[0].inputs["data"] is MASKED
    assert plan.stack.secrets_provider == "awskms://alias/x?region=eu-west-3"


def test_a_state_of_another_version_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput, match="version 2"):
        read(text(tmp_path, json.dumps({"version": 2, "deployment": {}})))


# Manifests

MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: n}\n"


def kinds(plan: Plan) -> list[str | None]:
    return [item.kind for item in plan.objects]


def test_several_documents_and_lists(tmp_path: Path) -> None:
    listed = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: apps/v1, kind: Deployment}\n"
    plan = read(text(tmp_path, f"---\n{MAP}---\n---\n{listed}...\n"))
    assert kinds(plan) == ["core/ConfigMap", "apps/Deployment"]
    assert plan.whole is False
    assert read(text(tmp_path, MAP), whole=True).whole is True


@pytest.mark.parametrize(
    "content",
    [
        '{"apiVersion": "v1", "kind": "Pod"}\n{"apiVersion": "v1", "kind": "Pod"}',
        '[{"apiVersion": "v1", "kind": "Pod"}, {"apiVersion": "v1", "kind": "Pod"}]',
        "{apiVersion: v1, kind: Pod}\n---\n{apiVersion: v1, kind: Pod}\n",
        '\ufeff{"apiVersion": "v1", "kind": "PodList", "items": [{"apiVersion": "v1", "kind": "Pod"}, '
        '{"apiVersion": "v1", "kind": "Pod"}]}',
    ],
)
def test_streams_lists_and_flow_style(tmp_path: Path, content: str) -> None:
    assert kinds(read(text(tmp_path, content))) == ["core/Pod", "core/Pod"]


def test_a_date_is_text_as_kubernetes_has_it(tmp_path: Path) -> None:
    [one] = read(text(tmp_path, MAP + "data: {day: 2026-11-24}\n")).resources
    assert one.inputs["data"] == {"day": "2026-11-24"}


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 10)}]\n" for i in range(9)
)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        (b"\xff\xfea\x00", "not UTF-8"),
        ("# nothing\n---\n", "holds no object"),
        ("just text", "not a Kubernetes object"),
        ("a: 1", "not a Kubernetes object"),
        ("kind: Pod", "not a Kubernetes object"),
        ("apiVersion: [v1]\nkind: Pod", "not a Kubernetes object"),
        ("a: [", "not YAML at line"),
        ("{'a': ", "not"),
        ('{"a": 1,}x', "not"),
        ("a: 1\na: 2\n", "stands twice"),
        (MAP + "data: {a: x, a: y}\n", "stands twice"),
        ('{"apiVersion": "v1", "kind": "Pod", "kind": "Job"}', "stands twice"),
        ("a: !!python/object/apply:os.system [id]", "not YAML"),
        (MAP + BOMB, "more than"),
        ("[" * 100_000, "can't be read|nested too deep|not YAML|not JSON"),
        ('{"steps": []}', "without steps"),
        ('{"steps": [{"op": "create"}]}', "is not a resource"),
        ('{"changeSummary": {"same": 3}}', "without steps"),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_what_cannot_be_read_says_what_to_do(tmp_path: Path, content: str | bytes, said: str) -> None:
    with pytest.raises(UnreadableInput, match=said):
        read(text(tmp_path, content))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput, match="There is no file"):
        read(tmp_path / "none")
    with pytest.raises(UnreadableInput, match="can't be read"):
        read(tmp_path)
