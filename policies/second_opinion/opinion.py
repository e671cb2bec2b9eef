"""What checkov answered, put beside the kit's own findings."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from facts.reading import read
from policies.second_opinion.render import Rendered

TOOL = "checkov"


@dataclass(frozen=True, order=True)
class Remark:
    """One check that failed on one resource. `refuses`: the kit takes the check as its own."""

    urn: str
    id: str
    title: str
    severity: str = ""
    refuses: bool = False

    def to_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {"tool": TOOL, "id": self.id, "urn": self.urn, "title": self.title}
        if self.severity:
            told["severity"] = self.severity
        if self.refuses:
            told["refuses"] = True
        return told


@dataclass
class Coverage:
    """What it could speak on: `judged` had at least one check. Of the others, by type: `no_check` spoke on
    them (it has none, or failed on them), and `not_mapped` were not shown to it."""

    resources: int = 0
    judged: int = 0
    no_check: Counter[str] = field(default_factory=Counter)
    not_mapped: Counter[str] = field(default_factory=Counter)
    replaced: int = 0
    skips: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "resources": self.resources,
            "judged": self.judged,
            "no_check": dict(sorted(self.no_check.items())),
            "not_mapped": dict(sorted(self.not_mapped.items())),
            "values_replaced": self.replaced,
            "skips_ignored": self.skips,
            "left_out": dict(checks()["left_out"]),
        }


@dataclass(frozen=True)
class Opinion:
    """All that it said of one input."""

    remarks: tuple[Remark, ...]
    coverage: Coverage

    @property
    def refuses(self) -> bool:
        return any(remark.refuses for remark in self.remarks)


@cache
def checks() -> Mapping[str, Mapping[str, str]]:
    """`left_out` and `own`: id of a check -> why."""
    found = read(Path(__file__).with_name("checks.yaml"))
    return {key: found[key] or {} for key in ("left_out", "own")}


def merge(answers: Iterable[tuple[Rendered, Iterable[tuple[str, Mapping[str, Any]]]]]) -> Opinion:
    """One opinion of what was rendered and of what checkov reported on it, by framework."""
    remarks: set[Remark] = set()
    coverage = Coverage()
    for rendered, reports in answers:
        coverage.resources += len(rendered.resources) + rendered.not_mapped.total()
        coverage.not_mapped += rendered.not_mapped
        coverage.replaced += rendered.replaced
        coverage.skips += rendered.skips
        spoken = set()
        for framework, report in reports:
            results = report.get("results") or {}
            for outcome in ("passed_checks", "failed_checks"):
                for one in results.get(outcome, ()):
                    key = (framework, _name(framework, one))
                    spoken.add(key)
                    if outcome == "failed_checks" and key in rendered.resources:
                        remarks.add(_remark(rendered.resources[key].urn, one))
        coverage.judged += len(spoken & rendered.resources.keys())
        coverage.no_check.update(rendered.resources[key].type for key in rendered.resources.keys() - spoken)
    return Opinion(tuple(sorted(remarks)), coverage)


def _name(framework: str, result: Mapping[str, Any]) -> str:
    """By what a result names its resource: the address in a Terraform plan, else the file."""
    if framework == "terraform_plan":
        return str(result["resource"])
    return str(result["file_path"]).lstrip("/")


def _remark(urn: str, result: Mapping[str, Any]) -> Remark:
    return Remark(
        urn,
        str(result["check_id"]),
        str(result["check_name"]).rstrip("."),
        str(result.get("severity") or "").lower(),
        result["check_id"] in checks()["own"],
    )
