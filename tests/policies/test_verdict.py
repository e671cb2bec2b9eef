"""The stored verdict: used once, for exactly what was judged, and not for long."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from facts.site import ROOT, Site
from policies import verdict
from policies.model import Finding, Judgement, Verdict
from policies.verdict import NoVerdict, require, store, withdraw

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
RULES = ("a.one", "b.two")
REFUSAL = Finding("urn:x", "p", "a.one", "K02", (), "seen", "why", "fix", Verdict.REFUSE)


def stored(path: Path, **changes: object) -> Path:
    arguments: dict[str, object] = {
        "stack": "dev",
        "judgement": Judgement(()),
        "digest": "sha256:1",
        "rules": RULES,
        "resources": 3,
        "now": NOW,
        **changes,
    }
    store(path / "verdict.json", **arguments)  # type: ignore[arg-type]
    return path / "verdict.json"


def test_a_passing_verdict_is_used_once(tmp_path: Path) -> None:
    path = stored(tmp_path)
    require(path, "sha256:1", RULES, NOW)
    with pytest.raises(NoVerdict, match="used already"):
        require(path, "sha256:1", RULES, NOW)


def test_its_form(tmp_path: Path) -> None:
    said = json.loads(stored(tmp_path, judgement=Judgement((REFUSAL,))).read_text())
    assert (said["schema"], said["verdict"], said["resources"], said["made"]) == (
        "verdict/v1",
        "refuse",
        3,
        "2026-11-24T12:00:00+00:00",
    )
    assert said["findings"] == [REFUSAL.to_json()]
    assert said["rules"] == list(RULES)


def test_without_one_nothing_runs(tmp_path: Path) -> None:
    with pytest.raises(NoVerdict, match="No plan of this stack has been judged"):
        require(tmp_path / "verdict.json", "sha256:1", RULES, NOW)
    path = stored(tmp_path)
    withdraw(path)
    with pytest.raises(NoVerdict, match="No plan of this stack has been judged"):
        require(path, "sha256:1", RULES, NOW)


def test_another_digest(tmp_path: Path) -> None:
    with pytest.raises(NoVerdict, match="have changed"):
        require(stored(tmp_path), "sha256:2", RULES, NOW)


def test_that_of_a_review_is_advice(tmp_path: Path) -> None:
    path = stored(tmp_path, review=True)
    with pytest.raises(NoVerdict, match="that of a review"):
        require(path, "sha256:1", RULES, NOW)
    said = json.loads(path.read_text())
    del said["review"]
    path.write_text(json.dumps(said))
    with pytest.raises(NoVerdict, match="that of a review"):
        require(path, "sha256:1", RULES, NOW)


def test_reviews_and_plans_add_nothing_to_each_other(tmp_path: Path) -> None:
    stored(tmp_path, rules=("a.one",))
    path = stored(tmp_path, rules=("b.two",), review=True)
    assert json.loads(path.read_text())["rules"] == ["b.two"]
    path = stored(tmp_path, rules=("a.one",))
    assert json.loads(path.read_text())["rules"] == ["a.one"]


def test_a_rule_that_did_not_run(tmp_path: Path) -> None:
    with pytest.raises(NoVerdict, match=r"without these rules: b\.two"):
        require(stored(tmp_path, rules=("a.one",)), "sha256:1", RULES, NOW)


def test_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(NoVerdict, match="refused, with 1 findings"):
        require(stored(tmp_path, judgement=Judgement((REFUSAL,))), "sha256:1", RULES, NOW)


@pytest.mark.parametrize("age", [timedelta(hours=1, seconds=1), timedelta(days=-1)])
def test_one_of_another_time(tmp_path: Path, age: timedelta) -> None:
    with pytest.raises(NoVerdict, match="older"):
        require(stored(tmp_path), "sha256:1", RULES, NOW + age)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"schema": "verdict/v2"}', "\x00"])
def test_a_file_that_is_no_verdict(tmp_path: Path, text: str) -> None:
    path = tmp_path / "verdict.json"
    path.write_text(text)
    with pytest.raises(NoVerdict):
        require(path, "sha256:1", RULES, NOW)


def test_packs_of_one_run_add_up_and_a_refusal_stays(tmp_path: Path) -> None:
    stored(tmp_path, rules=("a.one",), judgement=Judgement((REFUSAL,)))
    path = stored(tmp_path, rules=("b.two",))
    said = json.loads(path.read_text())
    assert (said["verdict"], said["rules"]) == ("refuse", ["a.one", "b.two"])
    stored(tmp_path, digest="sha256:2", rules=("b.two",))
    assert json.loads(path.read_text())["rules"] == ["b.two"]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    folder = tmp_path / "site"
    (folder / "zones").mkdir(parents=True)
    (folder / "rules").mkdir()
    shutil.copy(ROOT / "stacks" / "zones" / "local.yaml", folder / "zones" / "local.yaml")
    (folder / "types.yaml").write_text("types: [example.org/Widget]\n")
    return Site(folder)


CONFIG = {"sovereign:settings": '{"zone": "local", "a": 1}', "sovereign:token": "hunter2"}


def digest(site: Site, stack: str = "dev", config: dict[str, str] = CONFIG) -> str:
    return verdict.digest(site, stack, "local", config, ["sovereign:token"])


def test_the_digest_follows_what_it_binds(site: Site) -> None:
    before = digest(site)
    assert before == digest(site)
    assert before == digest(site, config={**CONFIG, "sovereign:settings": '{"a":1,"zone":"local"}'})
    assert before != digest(site, config={**CONFIG, "sovereign:settings": '{"zone": "local", "a": 2}'})
    assert before != digest(site, stack="prod")
    for file in (site.zone_file("local"), site.types_file, site.rules_folder / "own.py"):
        content = file.read_text() if file.exists() else ""
        file.write_text(content + "# changed\n")
        after = digest(site)
        assert after != before
        before = after


def test_the_digest_holds_no_secret_and_no_salt(site: Site) -> None:
    assert digest(site) == digest(site, config={**CONFIG, "sovereign:token": "other"})
    before = digest(site)
    (site.folder / "Pulumi.dev.yaml").write_text("encryptionsalt: v1:x\n")
    assert digest(site) == before
