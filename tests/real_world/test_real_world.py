"""Manifests that others publish, held against all rules; the form of a folder is told in README.md."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from facts.zones import Zone
from policies import rules
from policies.judge import judge
from policies.model import Finding
from policies.read import parse
from tests.support import modules
from tests.support.examples import FOLDER as EXAMPLES

HERE = Path(__file__).resolve().parent
#: a reader should be able to read what is written down here
LARGEST = 300_000


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Part):
    """Whose manifests they are."""

    about: str
    module: str | None = None
    files: tuple[str, ...] = ()
    repository: str | None = None
    commit: Annotated[str | None, Field(pattern=r"^[0-9a-f]{40}$")] = None
    path: str | None = None
    licence: Literal["Apache-2.0", "MIT"]
    read: date

    @model_validator(mode="after")
    def _one_origin(self) -> "Source":
        if bool(self.module and self.files) == bool(self.repository and self.commit and self.path):
            raise ValueError("give module and files, or repository, commit and path")
        return self


class Must(_Part):
    """A finding that must be there: its route, the object, and what its path ends with."""

    route: str
    object: str
    path: str = ""


class Expected(_Part):
    """`routes`: every route that is found, and why that is right. `wrong`: those that are found and should
    not be: faults of the rules that are known, and go when they are mended."""

    zone: dict[str, Any] = Field(default_factory=dict)
    whole: bool = False
    verdict: Literal["pass", "refuse"]
    routes: dict[Annotated[str, Field(pattern=r"^[A-Z]\d\d$")], str] = Field(default_factory=dict)
    wrong: dict[Annotated[str, Field(pattern=r"^[A-Z]\d\d$")], str] = Field(default_factory=dict)
    must: tuple[Must, ...] = ()


@cache
def _source(folder: Path) -> Source:
    return Source.model_validate(yaml.safe_load((folder / "source.yaml").read_text(encoding="utf-8")))


@cache
def _expected(folder: Path) -> Expected:
    return Expected.model_validate(yaml.safe_load((folder / "expected.yaml").read_text(encoding="utf-8")))


@cache
def _findings(folder: Path) -> tuple[Finding, ...]:
    source, expected = _source(folder), _expected(folder)
    own = folder / "manifests.yaml"
    files = modules.files(source.module, source.files, HERE) if source.module else [own]
    text = b"\n---\n".join(file.read_bytes() for file in files)
    plan = replace(parse(text, folder.name, whole=expected.whole), at=source.read)
    common = yaml.safe_load((EXAMPLES / "zone.yaml").read_text(encoding="utf-8"))
    return judge(plan, Zone.model_validate({**common, **expected.zone}), rules.load()).findings


def _told(findings: Sequence[Finding]) -> str:
    return "\n".join(f"  {one.route} {one.rule} {one.urn} {one.path}: {one.seen}" for one in findings)


FOLDERS = sorted(path.parent for path in HERE.glob("*/source.yaml"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_what_others_publish_is_judged_as_can_be_defended(folder: Path) -> None:
    expected, findings = _expected(folder), _findings(folder)
    found = {one.route for one in findings}
    known = {**expected.routes, **expected.wrong}
    more = [one for one in findings if one.route not in known]
    assert not more, f"found, and not defended in {folder.name}/expected.yaml:\n{_told(more)}"
    assert found == known.keys(), f"no longer found: {sorted(known.keys() - found)}"
    assert ("refuse" if findings else "pass") == expected.verdict


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_what_leaks_is_found_where_it_leaks(folder: Path) -> None:
    findings = _findings(folder)
    for must in _expected(folder).must:
        assert any(
            one.route == must.route and one.urn.endswith(must.object) and one.path.endswith(must.path)
            for one in findings
        ), f"no finding of {must.route} on {must.object} at ...{must.path}; found were:\n{_told(findings)}"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_what_is_found_is_explained_and_what_is_kept_is_small(folder: Path) -> None:
    assert all(len(why) > 20 for why in _expected(folder).routes.values())
    own = folder / "manifests.yaml"
    assert own.is_file() == (_source(folder).module is None)
    assert not own.is_file() or own.stat().st_size < LARGEST
