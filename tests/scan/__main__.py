"""`make scan`: the rendered stacks looked at by a scanner that others made, checkov.

What it finds has to be put right, or named below with the reason why it stays.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from facts.site import ROOT
from toolchain import checkov
from toolchain.commands import reporter
from toolchain.errors import ToolchainError

GOLDEN = ROOT / "tests" / "stacks" / "golden"

#: findings that stay: id of the check, and why
REASONS: dict[str, str] = {}


def main() -> int:
    files = sorted(GOLDEN.glob("*.yaml"))
    failed = 0
    with tempfile.TemporaryDirectory(prefix="sovereign-scan-") as name:
        tasks = []
        for file in files:
            folder = Path(name) / file.stem
            folder.mkdir()
            shutil.copyfile(file, folder / file.name)
            tasks.append(checkov.Task(folder, "kubernetes"))
        try:
            reports = checkov.scan(checkov.ensure(reporter()), tasks)
        except ToolchainError as error:
            print(error, file=sys.stderr)
            return 3
    for file, report in zip(files, reports, strict=True):
        # of a file in which it finds no object, or on which it fails, checkov gives no summary
        summary = report.get("summary", {"passed": 0, "parsing_errors": 1})
        found = report.get("results", {}).get("failed_checks", [])
        open_ = [one for one in found if one["check_id"] not in REASONS]
        told = f"{summary['passed']} checks passed, {len(found)} failed, {len(open_)} without reason"
        print(f"{file.name}: {told}")
        for one in open_:
            print(f"  {one['check_id']} {one['resource']}: {one['check_name']}")
        if not summary["passed"] or summary["parsing_errors"]:
            print(f"  {file} could not be read by checkov: nothing was shown by this.")
            failed += 1
        failed += len(open_)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
