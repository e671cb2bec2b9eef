"""Changes of a stack on AWS that stands: each does what docs/aws-changes.md says, and none loses data."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from facts.site import ROOT
from policies.model import Resource, Verdict
from tests.aws.upgrade import Kind, Step, steps
from tests.support.aws_stacks import EVERYTHING, OWN_ACCOUNT, PARIS, STACKS, WITH_ACCESS, Rendered, rendered

_COLUMNS = (*(kind.value for kind in Kind), "refused")
#: what stands for another key: one of the landing zone
_KEY = {
    "id": "arn:aws:kms:eu-west-3:111122223333:key/11111111-2222-3333-4444-555555555555",
    "what": "A key of the landing zone, with a policy like the kit's",
    "owner": "cloud-foundations",
    "since": "2026-11-01",
    "until": "2027-10-31",
}
#: what holds data, or is what data can't be read without
_HOLDERS = ("Bucket", "Cluster", "Key", "Repository", "Trail", "Vault", "VaultLockConfiguration")
#: the volume of audit records
_CLAIM = "/audit-records"
#: what holds records of who did what
_RECORDS = (*_HOLDERS, "LogGroup")


@dataclass(frozen=True)
class Row:
    """A row of the page: kinds by column."""

    change: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    told: Mapping[str, list[str]]


def _rows() -> list[Row]:
    page = (ROOT / "docs" / "aws-changes.md").read_text(encoding="utf-8")
    table = [line.strip("|").split("|") for line in page.splitlines() if line.startswith("|")]
    heading = [cell.strip() for cell in table[0]]
    found = []
    for cells in table[2:]:
        row = dict(zip(heading, (cell.strip() for cell in cells), strict=True))
        *before, after = (_setting(code) for code in _codes(row["setting"]))
        told = {column: sorted(_codes(row[column])) for column in _COLUMNS}
        found.append(Row(row["change"], before[0] if before else {}, after, told))
    return found


def _codes(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def _setting(code: str) -> Mapping[str, Any]:
    if re.fullmatch(r"aws\.keys\.\w+", code):
        return {"aws.keys": {code.rpartition(".")[2]: _KEY}}
    found: Mapping[str, Any] = yaml.safe_load(code)
    return found


ROWS = _rows()


def kind_of(resource: Resource) -> str:
    return resource.type.rpartition(":")[2]


def told(found: list[Step]) -> dict[str, list[str]]:
    """Kinds by what happens to them."""
    columns: dict[str, set[str]] = {column: set() for column in _COLUMNS}
    for step in found:
        column = "refused" if step.refused else step.kind.value
        columns[column].add(kind_of(step.resource))
    return {column: sorted(kinds) for column, kinds in columns.items()}


@pytest.mark.parametrize("row", ROWS, ids=[row.change for row in ROWS])
def test_a_change_does_what_the_page_says(row: Row) -> None:
    assert told(steps(rendered(PARIS, row.before), rendered(PARIS, row.after))) == row.told


@pytest.mark.parametrize("row", ROWS, ids=[row.change for row in ROWS])
def test_no_change_loses_audit_records(row: Row) -> None:
    lost = [
        step.resource.urn
        for step in steps(rendered(PARIS, row.before), rendered(PARIS, row.after))
        if step.kind in (Kind.REPLACED, Kind.GONE)
        and not step.refused
        and (kind_of(step.resource) in _RECORDS or step.resource.name.endswith(_CLAIM))
    ]
    assert lost == []


@pytest.mark.parametrize(
    ("stack", "change", "in_zone"),
    [*((stack, OWN_ACCOUNT, {}) for stack in STACKS), (PARIS, EVERYTHING, WITH_ACCESS)],
)
def test_what_holds_data_goes_by_an_explicit_word_only(
    stack: str, change: Mapping[str, Any], in_zone: Mapping[str, Any]
) -> None:
    whole = rendered(stack, change, in_zone)
    made = [one for one in whole.resources if one.custom]
    holders = [one for one in made if kind_of(one) in _HOLDERS or one.name.endswith(_CLAIM)]
    assert {kind_of(one) for one in holders} == {*_HOLDERS, "PersistentVolumeClaim"}
    assert [one.urn for one in holders if not one.options["protect"]] == []


@pytest.mark.parametrize("stack", STACKS)
def test_logs_and_volumes_outlive_what_made_them(stack: str) -> None:
    whole = rendered(stack, OWN_ACCOUNT)
    groups = [one.inputs for one in whole.cloud if one.type.endswith(":LogGroup")]
    assert groups
    assert all(one["skipDestroy"] and one["deletionProtectionEnabled"] for one in groups)
    volumes = [one.inputs for one in whole.resources if one.type.endswith(":StorageClass")]
    assert [one["reclaimPolicy"] for one in volumes] == ["Retain"]


@pytest.mark.parametrize("stack", STACKS)
def test_no_claim_names_a_key_that_another_may_follow(stack: str) -> None:
    claims = [one for one in rendered(stack).resources if kind_of(one) == "PersistentVolumeClaim"]
    assert len(claims) == 2
    assert [one.urn for one in claims if "encryption-key" in str(one.inputs)] == []


def test_another_region_is_refused_by_the_rules() -> None:
    page = (ROOT / "docs" / "aws-changes.md").read_text(encoding="utf-8")
    (rule,) = re.findall(r"\*\*Region\*\*: never\.[^.]*`([a-z.]+)`", page)
    moved = rendered(PARIS, {"aws.region": "eu-north-1"})
    (found,) = (one for one in moved.findings if one.rule == rule)
    assert (found.verdict, found.seen, found.path) == (Verdict.REFUSE, "eu-north-1", "region")


def _moved() -> Rendered:
    """The stack in another region, where the zone has been changed too."""
    zone = {"countries": ["SE"], "regions": {"aws": ["eu-north-1"]}}
    return rendered(PARIS, {"aws.region": "eu-north-1"}, zone)


def test_another_region_of_another_zone_is_refused_by_what_holds_data() -> None:
    found = steps(rendered(PARIS), _moved())
    refused = {kind_of(step.resource) for step in found if step.refused}
    assert refused == set(_HOLDERS) - {"Trail"}
    kept = {step.resource.urn for step in found if step.kind is not Kind.REPLACED}
    # what has no region
    assert {urn.split("::")[2].rpartition(":")[2] for urn in kept} <= {
        *("ConfigMap", "Deployment", "NetworkPolicy", "PersistentVolumeClaim", "Role", "RolePolicy"),
        *("StatefulSet", "ValidatingAdmissionPolicy"),
    }
