"""`make scan`: the rendered stacks looked at by a scanner that others made, checkov, in an environment of its
own (it pins packages that Pulumi has in other versions).

What it finds has to be put right, or named below with the reason why it stays.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from facts.site import ROOT

GOLDEN = ROOT / "tests" / "stacks" / "golden"
ENVIRONMENT = ROOT / "build" / "scan"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")

#: findings that stay: id of the check, and why
REASONS: dict[str, str] = {}


def main() -> int:
    checkov = installed()
    failed = 0
    for file in sorted(GOLDEN.glob("*.yaml")):
        report = scan(checkov, file)
        summary = report["summary"]
        found = report["results"]["failed_checks"]
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


def installed() -> Path:
    """The scanner, installed by hashes once for each set of requirements."""
    mark = ENVIRONMENT / "requirements.txt"
    program = ENVIRONMENT / "bin" / "checkov"
    wanted = REQUIREMENTS.read_text(encoding="utf-8")
    if not program.exists() or not mark.exists() or mark.read_text(encoding="utf-8") != wanted:
        print("installing checkov into build/scan, about a minute", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", ENVIRONMENT], check=True)
        pip: list[str | Path] = [ENVIRONMENT / "bin" / "python", "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, "--require-hashes", "--no-deps", "-r", REQUIREMENTS], check=True)
        mark.write_text(wanted, encoding="utf-8")
    return program


def scan(checkov: Path, file: Path) -> dict[str, Any]:
    """The scanner's report on one file; it asks no service for anything."""
    done = subprocess.run(
        [checkov, "--file", file, "--framework", "kubernetes", "--output", "json", "--skip-download"],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        report = json.loads(done.stdout)
    except ValueError:
        raise SystemExit(f"checkov failed on {file}: {done.stderr.strip()[-500:]}") from None
    found: dict[str, Any] = report[0] if isinstance(report, list) else report
    return found


if __name__ == "__main__":
    sys.exit(main())
