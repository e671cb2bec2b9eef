"""Waivers: two signatures, a term, an end; and the way back to what was released."""

import base64
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from facts.zones import Zone
from policies import released, rules, waivers
from policies.judge import judge
from policies.model import Judgement, Plan, Resource, Sealed
from policies.rule import Rule
from policies.waivers import Waiver, WaiverError
from tests.support.examples import FOLDER

AT = date(2026, 11, 25)
RULES = rules.load()
OWNER, APPROVER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
URN = "urn:pulumi:lyon::sovereign::kubernetes:core/v1:Pod::llm-serving/tool"


def pem(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def zone(**signers: str) -> Zone:
    data = yaml.safe_load((FOLDER / "zone.yaml").read_text(encoding="utf-8"))
    return Zone.model_validate({**data, "signers": signers or {"Ana": pem(OWNER), "Jean": pem(APPROVER)}})


def waiver(**changes: Any) -> Waiver:
    given = {
        "rule": "images.pinned",
        "urn": "urn:pulumi:lyon::sovereign::kubernetes:core/v1:Pod::llm-serving/*",
        "owner": "Ana",
        "approver": "Jean",
        "reason": "the vendor's fix is due in January",
        "asked": AT,
        "expires": AT + timedelta(days=20),
    }
    return Waiver.model_validate({**given, **changes})


def write(site: Path, one: Waiver, **keys: Ed25519PrivateKey) -> Path:
    signers = keys or {"Ana": OWNER, "Jean": APPROVER}
    signatures = {
        name: base64.b64encode(key.sign(one.signed_bytes())).decode() for name, key in signers.items()
    }
    file = site / "waivers" / "tool.yaml"
    file.parent.mkdir(exist_ok=True)
    data = {**one.model_dump(mode="json"), "signatures": signatures}
    file.write_text(yaml.safe_dump(data), encoding="utf-8")
    return file


def pod(image: str = "registry.example.com/tool:1", urn: str = URN) -> Resource:
    inputs = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "tool", "namespace": "llm-serving"},
        "spec": {"containers": [{"name": "tool", "image": image}]},
    }
    return Resource(urn, "kubernetes:core/v1:Pod", urn.rpartition("::")[2], inputs)


def judged(site: Path, *resources: Resource, at: date = AT, unchanged: tuple[str, ...] = ()) -> Judgement:
    plan = Plan.of(resources, whole=False, at=at, unchanged=unchanged)
    approved = waivers.load(site, zone(), RULES, at)
    return waivers.apply(judge(plan, zone(), RULES), approved, plan)


def test_what_two_people_signed_for_stands_and_shows(tmp_path: Path) -> None:
    write(tmp_path, waiver())
    found = judged(tmp_path, pod())
    assert found.verdict == "pass", found.findings
    one = found.waived[0]
    shown = one.to_json()
    assert shown["rule"] == "images.pinned"
    assert shown["waiver"]["owner"] == "Ana"
    assert shown["waiver"]["notice"] == "ends in 20 days, on 2026-12-15"
    assert shown in found.to_json()["waived"]


def test_nothing_else_is_waived(tmp_path: Path) -> None:
    write(tmp_path, waiver())
    elsewhere = pod(urn=URN.replace("llm-serving/", "llm-gateway/"))
    assert judged(tmp_path, elsewhere).verdict == "refuse"
    node = pod("registry.hospital.example/tool@sha256:" + "4f" * 32)
    node.inputs["spec"]["hostNetwork"] = True
    assert {one.rule for one in judged(tmp_path, node).findings} == {"node-access.host-network"}


@pytest.mark.parametrize(
    "urn", ["urn:pulumi:*::*::*::*", "urn:pulumi:lyon::sovereign::*Pod::llm-serving/t?ol"]
)
def test_a_pattern_reaches_within_its_part_only(tmp_path: Path, urn: str) -> None:
    write(tmp_path, waiver(urn=urn))
    assert judged(tmp_path, pod()).verdict == "pass"
    deep = URN.replace("core/v1:Pod::", "core/v1:Secret::x::core/v1:Pod::")
    write(tmp_path, waiver(urn="urn:pulumi:lyon::sovereign::kubernetes:core/v1:Pod::llm-serving/*"))
    assert judged(tmp_path, pod(urn=deep)).verdict == "refuse"


def test_a_path_narrows_it(tmp_path: Path) -> None:
    write(tmp_path, waiver(path="spec.containers[[]0].image"))
    assert judged(tmp_path, pod()).verdict == "pass"
    write(tmp_path, waiver(path="spec.initContainers*"))
    assert judged(tmp_path, pod()).verdict == "refuse"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"rule": "images.none"}, "there is no rule 'images.none'"),
        ({"rule": "closed-world.command"}, "closed-world.command can't be waived"),
        ({"expires": AT + timedelta(days=400)}, "holds for"),
        ({"expires": AT - timedelta(days=1)}, "holds for"),
        ({"asked": AT + timedelta(days=1)}, "is yet to come"),
        ({"approver": "Ana"}, "somebody else than the owner"),
        ({"approver": "Nobody"}, "has no ed25519 public key of theirs"),
    ],
)
def test_a_waiver_that_does_not_hold_is_told(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    write(tmp_path, waiver(**changes))
    with pytest.raises(WaiverError, match=told):
        waivers.load(tmp_path, zone(), RULES, AT)


def test_how_long_goes_by_severity() -> None:
    for rule in RULES:
        longest = waivers.LONGEST[rule.severity]
        known = {rule.id: rule}
        holds = waiver(rule=rule.id, expires=AT + timedelta(days=longest))
        long = waiver(rule=rule.id, expires=AT + timedelta(days=longest + 1))
        if rule.waivable:
            assert "signatures" in str(waivers.problem(holds, zone(), known, AT))
            assert f"holds for {longest} days" in str(waivers.problem(long, zone(), known, AT))
        else:
            assert "can't be waived" in str(waivers.problem(holds, zone(), known, AT))


def test_what_was_changed_after_signing_is_not_signed(tmp_path: Path) -> None:
    file = write(tmp_path, waiver())
    data = yaml.safe_load(file.read_text(encoding="utf-8"))
    file.write_text(yaml.safe_dump({**data, "urn": "urn:pulumi:*::*::*::*"}), encoding="utf-8")
    with pytest.raises(WaiverError, match="Ana has not signed it as it is"):
        waivers.load(tmp_path, zone(), RULES, AT)


def test_one_person_cannot_sign_for_two(tmp_path: Path) -> None:
    write(tmp_path, waiver(), Ana=OWNER, Jean=OWNER)
    with pytest.raises(WaiverError, match="Jean has not signed"):
        waivers.load(tmp_path, zone(), RULES, AT)
    with pytest.raises(WaiverError, match="have one key"):
        waivers.load(tmp_path, zone(Ana=pem(OWNER), Jean=pem(OWNER)), RULES, AT)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a", "the keys are rule, urn"),
        ("[", "can't be read"),
        ("rule: x", "the keys are rule, urn"),
        ("\xff", "can't be read"),
    ],
)
def test_a_file_that_is_no_waiver(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "waivers").mkdir()
    (tmp_path / "waivers" / "x.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(WaiverError, match=told):
        waivers.load(tmp_path, zone(), RULES, AT)


def test_a_pattern_without_its_four_parts_is_told(tmp_path: Path) -> None:
    write(tmp_path, waiver(urn="*"))
    with pytest.raises(WaiverError, match="name the resource as urn:pulumi:STACK"):
        waivers.load(tmp_path, zone(), RULES, AT)


def test_an_ended_waiver_refuses_a_change_and_warns_of_what_stays(tmp_path: Path) -> None:
    write(tmp_path, waiver())
    later = AT + timedelta(days=21)
    assert judged(tmp_path, pod(), at=later).verdict == "refuse"
    stays = judged(tmp_path, pod(), at=later, unchanged=(URN,))
    assert stays.verdict == "pass"
    assert stays.waived[0].notice == "ended on 2026-12-15; the resource may stay as it is and may not change"
    assert judged(tmp_path, pod(), at=AT + timedelta(days=20)).verdict == "pass"


def test_what_was_released_is_known_again(tmp_path: Path) -> None:
    file = tmp_path / "stack" / "released.json"
    old, new = pod(), pod("registry.example.com/tool:2")
    assert released.unchanged(file, [old]) == frozenset()
    released.record(file, [old])
    assert released.unchanged(file, [old]) == {URN}
    assert released.unchanged(file, [new]) == frozenset()
    released.record(file, [new])
    released.record(file, [])
    assert released.unchanged(file, [old]) == {URN}, "the way back to the release before"
    file.write_text("{", encoding="utf-8")
    assert released.unchanged(file, [old]) == frozenset()


def test_of_secrets_nothing_is_kept() -> None:
    one, other = pod(), pod()
    one.inputs["spec"]["token"] = Sealed("a")
    other.inputs["spec"]["token"] = Sealed("b")
    assert released.digest(one) == released.digest(other)


def test_a_rule_that_fails_is_not_waived(tmp_path: Path) -> None:
    def broken(subject: Any, zone: Any) -> Any:
        raise RuntimeError

    import dataclasses

    own = dataclasses.replace(next(one for one in RULES if one.id == "images.pinned"), judge=broken)
    write(tmp_path, waiver())
    plan = Plan.of([pod()], whole=False, at=AT)
    approved = waivers.load(tmp_path, zone(), RULES, AT)
    assert waivers.apply(judge(plan, zone(), [own]), approved, plan).verdict == "refuse"


def test_a_rule_on_trial_warns() -> None:
    import dataclasses

    own = dataclasses.replace(next(one for one in RULES if one.id == "images.pinned"), trial=True)
    found = judge(Plan.of([pod()], whole=False), zone(), [own])
    assert found.verdict == "pass"
    assert [one.rule for one in found.warnings] == ["images.pinned", "images.pinned"]


def test_the_program_knows_neither_stack_nor_parent() -> None:
    one = waiver(urn="urn:pulumi:lyon::sovereign::sovereign:index:Tool$kubernetes:core/v1:Pod::llm-serving/*")
    [finding, *_] = judge(
        Plan.of([pod(urn="::::kubernetes:core/v1:Pod::llm-serving/tool")], whole=False), zone(), pinned()
    ).findings
    assert one.covers(finding)
    assert not waiver(urn=one.urn.replace("v1:Pod", "v1:Secret")).covers(finding)


def pinned() -> list[Rule]:
    return [rule for rule in RULES if rule.id == "images.pinned"]
