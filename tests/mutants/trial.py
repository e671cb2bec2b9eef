"""Whether the examples notice: a mutant is killed by the first example whose outcome it changes.

An example is judged as tests/policies/test_routes.py judges it: a clean one has no finding at all, a leak has
the finding that it expects, by a rule that claims its route. A rule that fails on an example (the judge tells
so) or names a route that it does not claim is noticed as well.
"""

import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

from facts.site import ROOT
from policies.judge import ANY_VALUE, NO_ZONE, UNKNOWN_ROUTE, judge
from policies.model import Finding
from policies.rule import Rule
from tests.mutants import python, table
from tests.mutants.mutant import Invalid, Mutant, Rules
from tests.support import examples
from tests.support.examples import BadExample, Example

RULES = ROOT / "policies" / "rules"
#: Seconds after which a mutant counts as one that never ends.
PATIENCE = 5.0


class _Endless(BaseException):
    """The mutant runs without end; no rule's `except Exception` may catch this."""


@dataclass(frozen=True, eq=False)
class Look:
    """One rule's look at one example: what it found, and the lines that ran."""

    rule: str
    findings: tuple[Finding, ...]
    lines: frozenset[int]


@dataclass
class Trial:
    """All examples as the rules of one file see them, to try its mutants by. `loading`: the lines that run
    when the file is loaded, of which each rule may have something."""

    file: Path
    rules: Rules
    loading: frozenset[int]
    examples: list[tuple[Example, list[Look]]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def reached(self, mutant: Mutant) -> Iterator[tuple[Example, list[Look], list[str]]]:
        """The examples that can tell, with their looks and the rules that must look anew."""
        lines = mutant.lines
        anywhere = lines is None or not lines.isdisjoint(self.loading)
        for example, looks in self.examples:
            anew = [
                look.rule
                for look in looks
                if mutant.rule in (None, look.rule)
                and (anywhere or (lines is not None and not lines.isdisjoint(look.lines)))
            ]
            if anew:
                yield example, looks, anew

    def killer(self, mutant: Mutant) -> str | None:
        """The example that notices the mutant, and how; None: it lives. Raises Invalid."""
        reached = list(self.reached(mutant))
        if not reached:
            return None
        made = mutant.make()
        try:
            with _patience():
                for example, looks, anew in reached:
                    noticed = self._noticed(example, looks, anew, made)
                    if noticed:
                        return f"{example.name}: {noticed}"
        except _Endless:
            return "it never ends"
        except Exception as error:
            return f"the judge fails ({type(error).__name__})"
        return None

    def _noticed(self, example: Example, looks: list[Look], anew: list[str], made: Rules) -> str | None:
        found: list[Finding] = []
        for look in looks:
            if look.rule not in anew:
                found += look.findings
            elif (rule := made.get(look.rule)) is not None:
                found += found_by(rule, example)
        if any("failed on this resource" in str(one.why) for one in found):
            return "the rule fails"
        if not example.leak:
            return "no longer clean" if found else None
        every = {**self.rules, **made}
        if any(one.route not in (*every[one.rule].routes, UNKNOWN_ROUTE) for one in found):
            return "a route that the rule doesn't claim"
        if expected(example, found, every):
            return None
        return None if _others(example, frozenset(self.rules)) else "no longer refused"


def rule_files() -> list[Path]:
    """The kit's rule files."""
    return sorted(
        file for pattern in ("*.py", "*.yaml") for file in RULES.glob(pattern) if file.name != "__init__.py"
    )


def load(file: Path) -> Rules:
    """The rules of a file of either form, in a registry of their own."""
    return table.load(file) if file.suffix == ".yaml" else python.load(file)


def trial(file: Path, folder: Path = examples.FOLDER) -> Trial:
    """Runs the rules of a file over every example once, and keeps what they found and where they went."""
    lines: set[int] = set()
    with _traced(str(file), lines):
        loaded = load(file)
    made = Trial(file, loaded, frozenset(lines))
    routes = {route for rule in loaded.values() for route in rule.routes}
    for path in sorted(examples.files(folder), key=lambda path: (path.parent.name not in routes, path)):
        try:
            example = _read(path)
        except BadExample as error:
            made.left_out.append(str(error))
            continue
        looks = list(_looks(file, example, loaded.values()))
        found = [finding for look in looks for finding in look.findings]
        if any("failed on this resource" in str(one.why) for one in found) or not (
            (expected(example, found, loaded) or _others(example, frozenset(loaded)))
            if example.leak
            else not found
        ):
            made.left_out.append(f"{example.name} does not hold as it is")
            continue
        made.examples.append((example, looks))
    return made


def _looks(file: Path, example: Example, chosen: Iterable[Rule]) -> Iterator[Look]:
    for rule in chosen:
        if rule.scope == "plan" or any(rule.selects(one.type, *one.kinds) for one in example.plan.objects):
            lines: set[int] = set()
            _forget(rule)
            with _traced(str(file), lines):
                findings = found_by(rule, example)
            yield Look(rule.id, tuple(findings), frozenset(lines))


def _forget(rule: Rule) -> None:
    """Empties the caches of the rule's own file: what is remembered doesn't run."""
    for value in getattr(rule.judge, "__globals__", {}).values():
        if getattr(value, "__module__", None) == python.MODULE and hasattr(value, "cache_clear"):
            value.cache_clear()


@contextmanager
def _traced(file: str, lines: set[int]) -> Iterator[None]:
    """Notes the lines of a file that run."""

    def line(frame: FrameType, event: str, argument: Any) -> Any:
        lines.add(frame.f_lineno)
        return line

    def call(frame: FrameType, event: str, argument: Any) -> Any:
        return line(frame, event, argument) if frame.f_code.co_filename == file else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        yield
    finally:
        sys.settrace(before)


@contextmanager
def _patience() -> Iterator[None]:
    def ring(number: int, frame: FrameType | None) -> None:
        raise _Endless

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def found_by(rule: Rule, example: Example) -> Sequence[Finding]:
    """What one rule finds in an example."""
    if example.zone is None and rule.id != NO_ZONE:
        return ()
    try:
        return judge(example.plan, example.zone, (rule,)).findings
    except ValueError:  # the judge's own: there is no zone, and the rule doesn't say so
        return ()


def expected(example: Example, found: Iterable[Finding], by: Rules) -> bool:
    """Whether a leak has the finding that it expects."""
    expect, every = example.expect, list(found)
    told = {(one.urn, one.path, one.seen) for one in every if one.rule != ANY_VALUE}
    return any(
        one.route == (expect.route or example.route)
        and example.route in by[one.rule].routes
        and expect.path in (None, one.path)
        and expect.verdict in (None, str(one.verdict))
        for one in every
        if one.rule != ANY_VALUE or (one.urn, one.path, one.seen) not in told
    )


@cache
def _read(file: Path) -> Example:
    return examples.read(file)


@cache
def _kit() -> dict[str, Rule]:
    """The rules of the kit, without files that can't be loaded: they are tried for themselves."""
    found: dict[str, Rule] = {}
    for file in rule_files():
        try:
            found.update(load(file))
        except Exception as error:
            print(f"left out: {file} ({error})", file=sys.stderr)
    return found


@cache
def _others(example: Example, without: frozenset[str]) -> bool:
    """Whether the kit's other rules find what a leak expects."""
    claiming = {id: rule for id, rule in _kit().items() if example.route in rule.routes and id not in without}
    found = [finding for rule in claiming.values() for finding in found_by(rule, example)]
    return expected(example, found, claiming)


__all__ = ["Invalid", "Trial", "trial"]
