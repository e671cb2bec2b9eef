"""`make access`: holds the table of access against an evaluator of IAM policies, and writes the page of it.

The evaluator comes from npm, pinned by digests, into a folder that git ignores: it is for tests only.
"""

import shutil
import subprocess
import sys

from tests.aws import access, access_page


def main() -> int:
    """Exit code: 0 where every line holds, 1 where one doesn't, 3 where the evaluator can't be had."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        print("The evaluator needs node and npm: apt install nodejs npm", file=sys.stderr)
        return 3
    if not access.installed() and not _install():
        return 3
    wrong = [*access.differences(access.evaluated())]
    for sentence in wrong:
        print(sentence)
    if wrong:
        print(f"{len(wrong)} outcomes differ: correct the policy, or tests/aws/access.yaml.")
        return 1
    access_page.PAGE.write_text(access_page.page(), encoding="utf-8")
    print(f"{len(access.DEEDS)} deeds hold; {access_page.PAGE.name} is written.")
    return 0


def _install() -> bool:
    access.INSTALLED.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(access.SIMULATOR / name, access.INSTALLED / name)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    done = subprocess.run(command, cwd=access.INSTALLED, check=False)
    if done.returncode:
        print("npm can't install the evaluator: check its settings (`npm config list`).", file=sys.stderr)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
