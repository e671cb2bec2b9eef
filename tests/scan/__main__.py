"""`make scan`: the rendered stacks looked at by scanners that others made, checkov and kube-score; those on AWS
as checkov reads Terraform's plans.

What they find has to be put right, or named in reasons.yaml with the reason why it stays. kube-linter and
kubescape would do as well as kube-score; no registry that a fresh machine reaches serves them as modules.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from facts.site import ROOT
from policies import second_opinion
from policies.model import MASKED, Plan, Sealed
from tests.aws.whole import whole
from tests.support.aws_stacks import FOLDER, PARIS, STACKS, rendered
from toolchain import build, checkov
from toolchain.commands import reporter
from toolchain.errors import ToolchainError

GOLDEN = ROOT / "tests" / "stacks" / "golden"
REASONS: Mapping[str, Mapping[str, str]] = yaml.safe_load(
    Path(__file__).with_name("reasons.yaml").read_text(encoding="utf-8")
)


@dataclass(frozen=True)
class Found:
    """What a scanner says against one object."""

    check: str
    where: str
    what: str


@dataclass(frozen=True)
class Report:
    """One scanner's look at one file; without a passed check it has seen nothing."""

    tool: str
    file: Path
    passed: int
    found: Sequence[Found]

    @property
    def open(self) -> list[Found]:
        return [one for one in self.found if one.check not in (REASONS[self.tool] or {})]


def main() -> int:
    files = sorted(GOLDEN.glob("*.yaml"))
    try:
        reports = [*by_checkov(files), *by_kube_score(files), *aws_by_checkov()]
    except ToolchainError as error:
        print(error, file=sys.stderr)
        return 3
    failed = 0
    for report in reports:
        print(
            f"{report.tool} {report.file.name}: {report.passed} checks passed, {len(report.found)} failed, "
            f"{len(report.open)} without reason"
        )
        for one in report.open:
            print(f"  {one.check} {one.where}: {one.what}")
        if not report.passed:
            print(f"  {report.file} could not be read by {report.tool}: nothing was shown by this.")
        failed += len(report.open) + (not report.passed)
    for tool, reasons in REASONS.items():
        said = {one.check for report in reports if report.tool == tool for one in report.found}
        for check in sorted(set(reasons or {}) - said):
            print(f"{tool}: {check} is not found any more: take its reason out of tests/scan/reasons.yaml")
            failed += 1
    return 1 if failed else 0


def by_checkov(files: Sequence[Path]) -> Iterator[Report]:
    """Raises ToolchainError."""
    with tempfile.TemporaryDirectory(prefix="sovereign-scan-") as name:
        tasks = []
        for file in files:
            folder = Path(name) / file.stem
            folder.mkdir()
            shutil.copyfile(file, folder / file.name)
            tasks.append(checkov.Task(folder, "kubernetes"))
        reports = checkov.scan(checkov.ensure(reporter()), tasks)
    for file, report in zip(files, reports, strict=True):
        # of a file in which it finds no object, or on which it fails, checkov gives no summary
        summary = report.get("summary", {"passed": 0, "parsing_errors": 1})
        failed = report.get("results", {}).get("failed_checks", [])
        passed = 0 if summary["parsing_errors"] else int(summary["passed"])
        found = [Found(one["check_id"], one["resource"], one["check_name"]) for one in failed]
        yield Report("checkov", file, passed, found)


def aws_by_checkov() -> Iterator[Report]:
    """The stacks on AWS, ground and serving at once; that of Paris where it makes everything itself. Raises
    ToolchainError."""
    stacks = [whole() if stack == PARIS else rendered(stack) for stack in STACKS]
    shown = [second_opinion.render(_without_secrets(stack.plan)) for stack in stacks]
    left_out = tuple(second_opinion.checks()["left_out"])
    with tempfile.TemporaryDirectory(prefix="sovereign-scan-") as name:
        tasks = []
        for framework, files in (each for one in shown for each in one.files.items()):
            folder = Path(tempfile.mkdtemp(dir=name))
            for file, text in files.items():
                (folder / file).write_text(text, encoding="utf-8")
            tasks.append(checkov.Task(folder, framework, left_out))
        reports = iter(checkov.scan(checkov.ensure(reporter()), tasks))
    for stack, one in zip(stacks, shown, strict=True):
        answers = [(framework, next(reports)) for framework in one.files]
        results = [report.get("results", {}) for _, report in answers]
        passed = [len(result.get("passed_checks", ())) for result in results]
        found = [
            Found(remark.id, remark.urn.rpartition("::")[2], remark.title)
            for remark in second_opinion.merge([(one, answers)]).remarks
        ]
        settings = FOLDER / f"Pulumi.{stack.name}.yaml"
        yield Report("checkov-aws", settings, sum(passed) if all(passed) else 0, found)


def _without_secrets(plan: Plan) -> Plan:
    """As anyone else sees it: what is secret is no scanner's business."""
    seen = [replace(one, inputs=_masked(one.inputs)) for one in plan.objects]
    return Plan.of(seen, plan.stack, at=plan.at)


def _masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _masked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item) for item in value]
    return MASKED if isinstance(value, Sealed) else value


def by_kube_score(files: Sequence[Path]) -> Iterator[Report]:
    """Raises ToolchainError."""
    program = build.ensure(("kube-score",), reporter())["kube-score"]
    for file in files:
        done = subprocess.run(
            [program, "score", file, "--output-format", "json"], capture_output=True, text=True, check=False
        )
        try:
            objects: list[dict[str, Any]] = json.loads(done.stdout) or []
        except ValueError:
            objects = []
        checks = [(one, check) for one in objects for check in one["checks"] if not check["skipped"]]
        found = [
            Found(check["check"]["id"], one["object_name"], check["check"]["name"])
            for one, check in checks
            if check["grade"] < _ALL_OK
        ]
        yield Report("kube-score", file, len(checks) - len(found), found)


#: its grades: 1 critical, 5 warning, 7 almost, 10 all well (scorecard/scorecard.go)
_ALL_OK = 7


if __name__ == "__main__":
    sys.exit(main())
