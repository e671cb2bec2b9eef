"""The closed world, and a site's additions to it: types and rules."""

from pathlib import Path

import pytest

from policies.closed_world import TypesError, allowed
from policies.rule import REGISTRY
from policies.rules import SiteRuleError, load

OWN = '''
from policies.rule import rule

@rule("site.{name}", title="t", routes=["S1"], controls=[], fix="f", pack="egress", types=["*"])
def own(subject, zone):
    """Nothing."""
    yield from ()
'''


def test_the_kits_list() -> None:
    kit = allowed()
    assert {"core/ConfigMap", "pulumi:providers:kubernetes", "sovereign:index:VllmServer"} <= kit
    assert not kit & {"pulumi:providers:command", "docker-build:index:Image", "helm.sh/Release"}


def test_a_site_adds_types(tmp_path: Path) -> None:
    (tmp_path / "types.yaml").write_text("types: [example.org/Widget]\n")
    assert allowed(tmp_path) - allowed() == {"example.org/Widget"}


@pytest.mark.parametrize("text", ["types: x", "types: ['*']", "types: [1]", "[", "- a", "types: ['aws:*']"])
def test_a_bad_types_file_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "types.yaml").write_text(text)
    with pytest.raises(TypesError, match=r"types\.yaml"):
        allowed(tmp_path)


def test_a_sites_rules_join_the_kits_and_do_not_stay(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "own.py").write_text(OWN.format(name="own"))
    before = load()
    assert {rule.id for rule in load(tmp_path)} - {rule.id for rule in before} == {"site.own"}
    assert [rule.id for rule in load(tmp_path)] == sorted(rule.id for rule in load(tmp_path))
    assert load() == before
    assert "site.own" not in REGISTRY


@pytest.mark.parametrize(
    "text", ["import nothing_of_that_name", "def (", "raise SystemError('x')", OWN.format(name="Bad Id")]
)
def test_a_bad_rule_file_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "own.py").write_text(text)
    with pytest.raises(SiteRuleError, match=r"own\.py"):
        load(tmp_path)


def test_a_rule_of_the_kit_cannot_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "own.py").write_text(OWN.replace("site.{name}", "walkers.hosts"))
    with pytest.raises(SiteRuleError, match="is taken"):
        load(tmp_path)
