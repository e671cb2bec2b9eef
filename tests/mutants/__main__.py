"""`python -m tests.mutants [FILE...]`: whether the examples of tests/routes would notice a broken rule.

Each rule file is changed in one place at a time (a mutant), and the examples are judged again. Where the
outcome of an example changes, the mutant is killed. One that lives shows a line of a rule that no example
needs: add an example in which it matters, or remove the line.

What is changed in Python: a rule switched off, a comparison turned round, `and` and `or` swapped, a part of
them always true or false, `not` removed, a condition always true or false, a finding not yielded, a member
of a list of names or an alternative of a regex removed, `any` and `all` swapped. In tables: a rule or check
removed, `is` and `isnt` swapped, `absent` turned round, a value, type, kind or route removed, `when` inverted
or removed.

What can't change any verdict is listed in tests/mutants/equivalent.yaml, with the reason.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from facts.site import ROOT
from tests.mutants import python, table
from tests.mutants.mutant import Mutant
from tests.mutants.trial import RULES, Invalid, Trial, rule_files, trial
from tests.support import examples

EQUIVALENT = Path(__file__).with_name("equivalent.yaml")


@dataclass(frozen=True)
class Result:
    """What became of one mutant: `killer` None: it lives; `reason`: why that is as it must be."""

    file: Path
    mutant: Mutant
    killer: str | None
    reason: str | None
    reached: tuple[str, ...]

    @property
    def alive(self) -> bool:
        return self.killer is None and self.reason is None

    def to_json(self) -> dict[str, Any]:
        return {
            "file": _shown(self.file),
            "line": self.mutant.line,
            "function": self.mutant.function,
            "mutation": self.mutant.text,
            "killed_by": self.killer,
            "equivalent": self.reason,
            "hint": self.hint,
        }

    @property
    def hint(self) -> str:
        if not self.reached:
            return f"no example reaches it: {self.mutant.hint}"
        more = f" and {len(self.reached) - 3} more" if len(self.reached) > 3 else ""
        return f"reached by {', '.join(self.reached[:3])}{more}, decided by none: {self.mutant.hint}"


def main(arguments: Sequence[str]) -> int:
    title, _, text = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants",
        description=title,
        epilog=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="rule files; all of policies/rules unless given"
    )
    parser.add_argument(
        "--examples",
        type=Path,
        default=examples.FOLDER,
        metavar="FOLDER",
        help="where the examples lie (tests/routes)",
    )
    parser.add_argument(
        "--function", metavar="NAME", help="only what lies in this function, constant or rule"
    )
    parser.add_argument("--killed", action="store_true", help="tell also which example killed each mutant")
    parser.add_argument("--json", action="store_true", help="print all results as JSON")
    chosen = parser.parse_args(arguments)
    files = [file.resolve() for file in chosen.files] or rule_files()
    results: list[Result] = []
    for file in files:
        if not file.is_file():
            parser.error(f"there is no rule file {file}")
        results += _tried(file, chosen.examples.resolve(), chosen.function)
    if chosen.json:
        print(json.dumps([result.to_json() for result in results], indent=2))
    else:
        _report(files, results, chosen.killed)
    stale = [] if chosen.function else list(_stale(files, results))
    for line in stale:
        print(line, file=sys.stderr)
    return 1 if stale or any(result.alive for result in results) else 0


def _tried(file: Path, folder: Path, function: str | None) -> list[Result]:
    began = time.monotonic()
    _say(f"{_shown(file)}: judging the examples")
    tried = trial(file, folder)
    for line in tried.left_out:
        _say_once(f"left out: {line}")
    made = [one for one in mutants(file) if function in (None, one.function, one.rule)]
    results = list(_progress(file, _each(file, tried, made), len(made)))
    alive = sum(result.alive for result in results)
    took = time.monotonic() - began
    _say(f"{_shown(file)}: {len(results)} mutants, {alive} alive, {took:.0f} s")
    return results


def mutants(file: Path) -> Iterator[Mutant]:
    """The mutants of a rule file of either form."""
    return table.mutants(file) if file.suffix == ".yaml" else python.mutants(file)


def _each(file: Path, tried: Trial, made: Sequence[Mutant]) -> Iterator[Result]:
    reasons = {(one["function"], one["mutation"]): one["reason"] for one in _equivalent(file)}
    for mutant in made:
        try:
            killer = tried.killer(mutant)
        except Invalid:
            continue
        reached = () if killer else tuple(example.name for example, _, _ in tried.reached(mutant))
        reason = None if killer else reasons.get((mutant.function, mutant.text))
        yield Result(file, mutant, killer, reason, reached)


def _progress(file: Path, results: Iterator[Result], total: int) -> Iterator[Result]:
    """Says every ten seconds how far it is."""
    said, alive = time.monotonic(), 0
    for number, result in enumerate(results, 1):
        alive += result.alive
        if time.monotonic() - said > 10:
            _say(f"{_shown(file)}: {number} of {total}, {alive} alive")
            said = time.monotonic()
        yield result


def _equivalent(file: Path) -> list[dict[str, str]]:
    listed: list[dict[str, str]] = yaml.safe_load(EQUIVALENT.read_text(encoding="utf-8")) or []
    return [one for one in listed if RULES / one["file"] == file]


def _stale(files: Sequence[Path], results: Sequence[Result]) -> Iterator[str]:
    used = {(one.file, one.mutant.function, one.mutant.text) for one in results if one.reason}
    for file in files:
        for one in _equivalent(file):
            if (file, one["function"], one["mutation"]) not in used:
                yield (
                    f"{_shown(EQUIVALENT)}: {one['file']}, {one['function']}, {one['mutation']}: "
                    "no such mutant lives: remove the entry."
                )


def _report(files: Sequence[Path], results: Sequence[Result], killed: bool) -> None:
    width = max(len(_shown(file)) for file in files)
    print(f"{'file':{width}}  mutants  killed  equivalent  alive")
    for file in (*files, None):
        of_file = [result for result in results if file in (None, result.file)]
        counts = (
            len(of_file),
            sum(result.killer is not None for result in of_file),
            sum(result.reason is not None for result in of_file),
            sum(result.alive for result in of_file),
        )
        name = _shown(file) if file is not None else "all"
        print(f"{name:{width}}  {counts[0]:7}  {counts[1]:6}  {counts[2]:10}  {counts[3]:5}")
    for result in results:
        at = f"{_shown(result.file)}:{result.mutant.line} {result.mutant.function}: {result.mutant.text}"
        if result.alive:
            print(f"\nalive: {at}\n    {result.hint}")
        elif killed and result.killer:
            print(f"\nkilled: {at}\n    by {result.killer}")


def _shown(file: Path) -> str:
    return str(file.relative_to(ROOT)) if file.is_relative_to(ROOT) else str(file)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@cache
def _say_once(text: str) -> None:
    _say(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
