"""Who may do what with what a stack keeps: the table is whole and its page current; where the evaluator is
installed, every line holds."""

import json
import shutil

import pytest

from tests.aws import access, access_page
from tests.aws.changes import find
from tests.aws.whole import whole

#: classes of what the table is about
_KEPT = ("Bucket", "Key", "Role")


def test_there_are_enough_outcomes_and_each_names_everybody() -> None:
    assert len(access.DEEDS) == len({line["deed"] for line in access.DEEDS}) >= 40
    for line in access.DEEDS:
        told = access.expected(line)
        assert set(access.TABLE["people"]) - set(told) == set(), line["deed"]
        assert set(line["not"]) <= set(access.HOLDS), line["deed"]
        assert line["from"] in ("inside", "outside"), line["deed"]
    named = {who for line in access.DEEDS for who in access.expected(line)}
    assert set(access.TABLE["services"]) - named == set()


def test_everything_that_is_kept_is_in_it() -> None:
    about = {call["of"].partition("/")[0] for line in access.DEEDS for call in line["calls"]}
    kept = [one for one in whole().cloud if one.type.rpartition(":")[2] in _KEPT]
    missing = [one.urn for one in kept if not any(_is(one.urn, what) for what in about)]
    assert missing == []


def _is(urn: str, what: str) -> bool:
    return what not in access.TABLE["things"] and find(whole().resources, what.partition(":")[0]).urn == urn


def test_nobody_shortens_retention() -> None:
    """The lock of a bucket is for new objects that say none, and those that apply the stack may change it."""
    wanted = [line for line in access.DEEDS if "shorter" in line["deed"] or "lock" in line["deed"]]
    assert len(wanted) >= 6
    may = {line["deed"]: line["may"] for line in wanted if line["may"]}
    assert set(map(tuple, may.values())) == {("deployer",)}
    for line in (each for each in wanted if each["may"]):
        assert line["calls"][-1]["call"] == "s3:PutBucketObjectLockConfiguration"


def test_locks_that_hold_somebody_are_in_the_plan() -> None:
    least = whole().zone.retention
    assert least is not None
    locks = [line["lock"] for line in access.DEEDS if "lock" in line]
    assert len(locks) == 2
    for named in locks:
        inputs = find(whole().resources, named).inputs
        if "rule" in inputs:
            kept = inputs["rule"]["defaultRetention"]
            assert (kept["mode"], kept["days"] >= least.minimum) == ("COMPLIANCE", True)
        else:
            assert inputs["changeableForDays"]
            assert inputs["minRetentionDays"] >= least.minimum


def test_the_page_is_current() -> None:
    given = access_page.PAGE.read_text(encoding="utf-8")
    assert given == access_page.page(), (
        "table or policies have changed: run `make access`, and read what differs"
    )


def test_the_evaluator_is_pinned_by_digests_and_names_no_host() -> None:
    text = (access.SIMULATOR / "package-lock.json").read_text(encoding="utf-8")
    assert "resolved" not in text
    assert "://" not in text
    packages = {name: one for name, one in json.loads(text)["packages"].items() if name}
    assert len(packages) == 4
    assert all(one["integrity"].startswith("sha512-") for one in packages.values())


@pytest.mark.skipif(
    shutil.which("node") is None or not access.installed(),
    reason="the evaluator isn't installed: `make access` does that, where there are node and npm",
)
def test_every_line_holds() -> None:
    assert list(access.differences(access.evaluated())) == []
