"""Mutants of a rule file in Python: its syntax tree with one node changed."""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final

from policies import rule as registry
from policies.rule import Rule
from tests.mutants.mutant import Invalid, Mutant, Rules

_TURNED: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
#: Arguments that hold words for a reader: no verdict hangs on them.
_WORDS = frozenset(("seen", "why", "fix", "title", "cel", "controls"))
#: Arguments of `@rule` whose members count one by one.
_LISTED = frozenset(("kinds", "types", "routes"))
#: What is as good as False.
_NOTHING = frozenset(("None", "False", "0", "''", "()", "[]", "{}", "frozenset()"))
#: Functions that take a regex first.
_REGEXES = frozenset(("compile", "findall", "finditer", "fullmatch", "match", "search", "split", "sub"))
#: Functions whose texts aren't a list of names.
_NOT_NAMES = frozenset(
    ("replace", "get", "setdefault", "sub", "fullmatch", "match", "search", "compile", "Cel")
)
#: What a file is called while it is tried.
MODULE: Final = "tests.mutants.mutated"


def load(file: Path, code: CodeType | None = None) -> dict[str, Rule]:
    """The rules that a rule file registers, in a registry of their own. Raises whatever the file raises."""
    before = dict(registry.REGISTRY)
    registry.REGISTRY.clear()
    module = ModuleType(MODULE)
    module.__file__ = str(file)
    sys.modules[MODULE] = module  # where dataclasses look for it
    try:
        exec(code or compile(file.read_text(encoding="utf-8"), str(file), "exec"), module.__dict__)
        return dict(registry.REGISTRY)
    finally:
        registry.REGISTRY.clear()
        registry.REGISTRY.update(before)


def mutants(file: Path) -> Iterator[Mutant]:
    """Each mutant of a file; one is to be made before the next is asked for or after, in any order."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for id in load(file):
        yield Mutant(
            _line_of(tree, id),
            id,
            f"rule {id} switched off",
            "add a leak that no other rule refuses for its route",
            partial(_without, file, id),
            rule=id,
        )
    for change in _Finder(tree).changes:
        yield _mutant(file, tree, change)


def _without(file: Path, id: str) -> Rules:
    return {name: rule for name, rule in load(file).items() if name != id}


def _line_of(tree: ast.Module, text: str) -> int:
    found = (node.lineno for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value == text)
    return next(found, 1)


@dataclass(frozen=True)
class _Change:
    """A node changed in place by `do`, which returns what undoes it."""

    line: int
    function: str
    text: str
    hint: str
    lines: frozenset[int] | None
    do: Callable[[], Callable[[], None]]


def _mutant(file: Path, tree: ast.Module, change: _Change) -> Mutant:
    def make() -> Rules:
        undo = change.do()
        try:
            code = compile(ast.fix_missing_locations(tree), str(file), "exec")
        finally:
            undo()
        try:
            return load(file, code)
        except Exception as error:
            raise Invalid(str(error)) from None

    return Mutant(change.line, change.function, change.text, change.hint, make, change.lines)


class _Finder:
    """Goes through a file once and gathers its changes."""

    def __init__(self, tree: ast.Module) -> None:
        self.changes: list[_Change] = []
        self.function = "(module)"
        self.lines: frozenset[int] | None = None
        self.in_constant = False
        self.removed: set[tuple[int, int]] = set()
        self.uses = _uses(tree)
        self.words = _words(tree)
        for statement in tree.body:
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Assert):
            return
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            self.definition(node)
            return
        if isinstance(node, ast.Assign) and self.words.issuperset(_names(ast.Tuple(node.targets))):
            return
        outer, top = self.lines, self.function == "(module)"
        if top and isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            self.function = names[0] if names else self.function
            self.lines = self.uses.get(names[0]) if names else None
            if node.value is not None:
                self.in_constant = True  # whose lists are taken as wholes
                self.displays(node.value, all_of_them=True)
                self.expressions(node, "value")
            self.function, self.lines, self.in_constant = "(module)", outer, False
            return
        body = getattr(node, "body", None)
        last = body[0].lineno - 1 if isinstance(body, list) and body else node.end_lineno or node.lineno
        self.lines = frozenset(range(node.lineno, max(last, node.lineno) + 1))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Yield | ast.YieldFrom):
            nothing = ast.YieldFrom(ast.Tuple([], ast.Load()))
            self.add(node.value, node, "value", None, nothing, "removed", "add a leak that only this finds")
        if isinstance(node, ast.If | ast.While):
            self.forced(node, "test")
        if isinstance(node, ast.For):
            self.displays(node.iter, all_of_them=True)
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "target", "targets"):
                continue
            if isinstance(value, ast.expr):
                self.expressions(node, name)
            elif isinstance(value, list):
                for one in value:
                    if isinstance(one, ast.stmt):
                        inner, self.lines = self.lines, None
                        self.statement(one)
                        self.lines = inner
                    elif isinstance(one, ast.ExceptHandler | ast.match_case):
                        for part in one.body:
                            self.statement(part)
                    elif isinstance(one, ast.withitem):
                        self.expressions(one, "context_expr")
        self.lines = outer

    def definition(self, node: ast.FunctionDef | ast.ClassDef) -> None:
        outer, function = self.lines, self.function
        self.function = node.name if function == "(module)" else f"{function}.{node.name}"
        self.lines = None
        for decorator in node.decorator_list:
            for keyword in decorator.keywords if isinstance(decorator, ast.Call) else ():
                if keyword.arg in _LISTED:
                    self.displays(keyword.value, all_of_them=True, least=2)
                elif keyword.arg == "needs_whole" and isinstance(keyword.value, ast.Constant):
                    self.add(
                        keyword,
                        keyword,
                        "value",
                        None,
                        ast.Constant(not keyword.value.value),
                        "turned round",
                        "add an example with whole: false (or true)",
                        before=ast.unparse(keyword),
                    )
        for statement in node.body:
            self.statement(statement)
        self.lines, self.function = outer, function

    def expressions(self, parent: ast.AST, name: str, index: int | None = None) -> None:
        """What may be changed at a place in an expression, and below it."""
        node = getattr(parent, name) if index is None else getattr(parent, name)[index]
        if isinstance(node, ast.Compare):
            self.compared(node)
        elif isinstance(node, ast.BoolOp):
            self.joined(node, parent, name, index)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            self.add(
                node, parent, name, index, node.operand, "without not", "add an example that tells both apart"
            )
        elif isinstance(node, ast.IfExp):
            self.forced(node, "test")
        elif isinstance(node, ast.comprehension):
            for place in range(len(node.ifs)):
                self.forced(node, "ifs", place)
            self.displays(node.iter, all_of_them=True)
        elif isinstance(node, ast.Call):
            self.called(node)
        elif (
            isinstance(node, ast.Tuple | ast.List | ast.Set)
            and not self.in_constant
            and not isinstance(parent, ast.Yield)
        ):
            self.displays(node)
        elif isinstance(node, ast.JoinedStr):
            return
        for field, value in ast.iter_fields(node):
            if isinstance(node, ast.Subscript) and field == "slice":
                continue
            if isinstance(value, ast.AST):
                if not (isinstance(node, ast.keyword) and node.arg in _WORDS):
                    self.expressions(node, field)
            elif isinstance(value, list):
                for place, one in enumerate(value):
                    if isinstance(one, ast.AST):
                        self.expressions(node, field, place)

    def compared(self, node: ast.Compare) -> None:
        for place, operator in enumerate(node.ops):
            turned = _TURNED[type(operator)]()
            self.add(node, node, "ops", place, turned, "turned round", "add an example that tells both apart")
        for place, operator in enumerate(node.ops):
            if isinstance(operator, ast.In | ast.NotIn):
                self.displays(node.comparators[place], all_of_them=True)

    def joined(self, node: ast.BoolOp, parent: ast.AST, name: str, index: int | None) -> None:
        both = isinstance(node.op, ast.And)
        other: ast.boolop = ast.Or() if both else ast.And()
        text = ("and -> or", "or -> and")[not both]
        self.add(node, node, "op", None, other, text, "add an example in which only one side holds")
        for place, operand in enumerate(node.values):
            if not both and ast.unparse(operand) in _NOTHING:
                continue  # `x or ""`: it is False as it stands
            neutral: ast.expr = ast.BoolOp(ast.Or() if both else ast.And(), [operand, ast.Constant(both)])
            self.add(
                operand,
                node,
                "values",
                place,
                neutral,
                f"always {both}",
                f"add an example in which only this part is {not both}",
                before=f"{_short(operand)} (of {_short(node)})",
            )

    def forced(self, parent: ast.AST, name: str, index: int | None = None) -> None:
        node = getattr(parent, name) if index is None else getattr(parent, name)[index]
        for truth in (True, False):
            if truth and isinstance(parent, ast.While):
                continue
            value = ast.BoolOp(ast.Or() if truth else ast.And(), [node, ast.Constant(truth)])
            self.add(
                node,
                parent,
                name,
                index,
                value,
                f"always {truth}",
                f"add an example that needs it to be {not truth}",
            )

    def called(self, node: ast.Call) -> None:
        named = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if named in ("any", "all"):
            other = ast.Name("all" if named == "any" else "any", ast.Load())
            self.add(
                node,
                node,
                "func",
                None,
                other,
                f"{named} -> {other.id}",
                "add an example of several, of which one holds",
            )
        texts = [isinstance(one, ast.Constant) and isinstance(one.value, str) for one in node.args]
        if len(texts) > 1 and all(texts) and named not in _NOT_NAMES:
            self.removals(node, node.args)
        if named in _REGEXES and node.args and isinstance(node.args[0], ast.Constant):
            self.pattern(node, node.args[0])
        if named == "frozenset" and node.args:
            self.displays(node.args[0], all_of_them=True)

    def pattern(self, node: ast.Call, pattern: ast.Constant) -> None:
        for one, rest in _alternatives(pattern.value) if isinstance(pattern.value, str) else ():
            hint = f"add an example in which {one!r} matters, or remove it"
            before = f"{one!r} in {_short(node)}"
            self.add(pattern, node, "args", 0, ast.Constant(rest), "removed", hint, before)

    def displays(self, node: ast.expr, *, all_of_them: bool = False, least: int = 1) -> None:
        """Members of a list, set, tuple or dictionary, each removed; of texts only unless `all_of_them`."""
        if isinstance(node, ast.Call):
            for one in node.args:
                self.displays(one, all_of_them=all_of_them, least=least)
        elif isinstance(node, ast.BinOp):
            self.displays(node.left, all_of_them=all_of_them)
            self.displays(node.right, all_of_them=all_of_them)
        elif isinstance(node, ast.Dict):
            if all_of_them:
                for place, key in enumerate(node.keys):
                    self.removal(node, [node.keys, node.values], place, key)
            for value in node.values:
                self.displays(value)
        elif isinstance(node, ast.Tuple | ast.List | ast.Set) and len(node.elts) >= least:
            texts = all(isinstance(one, ast.Constant) for one in node.elts)
            if texts or all_of_them:
                self.removals(node, node.elts)

    def removals(self, node: ast.AST, members: list[Any]) -> None:
        for place, member in enumerate(members):
            self.removal(node, [members], place, member)

    def removal(self, node: ast.AST, lists: list[list[Any]], place: int, member: ast.expr | None) -> None:
        if (id(lists[0]), place) in self.removed:
            return
        self.removed.add((id(lists[0]), place))

        def do() -> Callable[[], None]:
            taken = [one.pop(place) for one in lists]

            def undo() -> None:
                for one, value in zip(lists, taken, strict=True):
                    one.insert(place, value)

            return undo

        told = _short(member) if member is not None else "the rest"
        line = getattr(member, "lineno", getattr(node, "lineno", 1))
        self.changes.append(
            _Change(
                line,
                self.function,
                f"{told} removed from {_short(node)}",
                f"add an example in which {told} matters, or remove it",
                self.lines,
                do,
            )
        )

    def add(
        self,
        node: ast.AST,
        parent: ast.AST,
        name: str,
        index: int | None,
        new: ast.AST,
        told: str,
        hint: str,
        before: str | None = None,
    ) -> None:
        def put(value: object) -> None:
            if index is None:
                setattr(parent, name, value)
            else:
                getattr(parent, name)[index] = value

        old = getattr(parent, name) if index is None else getattr(parent, name)[index]

        def do() -> Callable[[], None]:
            put(new)
            return lambda: put(old)

        text = f"{before or _short(node)}: {told}"
        line = getattr(node, "lineno", getattr(parent, "lineno", 1))
        self.changes.append(_Change(line, self.function, text, hint, self.lines, do))


def _alternatives(pattern: str) -> Iterator[tuple[str, str]]:
    """Each of several alternatives in a regex, and the regex without it."""
    groups: list[list[int]] = [[0]]  # where the alternatives of each open group begin
    # escaped characters, classes, and beginnings and ends of groups
    for found in re.finditer(
        r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?:\?(?:P?<?[^)(:]*?[:=!>]))?|[|)]", pattern, re.DOTALL
    ):
        token = found.group()
        if token[0] == "(":
            groups.append([found.end()])
        elif token == "|":
            groups[-1].append(found.end())
        elif token == ")":
            yield from _without_each(pattern, groups.pop(), found.start())
    yield from _without_each(pattern, groups[0], len(pattern))


def _without_each(pattern: str, starts: list[int], end: int) -> Iterator[tuple[str, str]]:
    bounds = [*starts, end + 1]
    for place, start in enumerate(starts) if len(starts) > 1 else ():
        after = bounds[place + 1]
        one = pattern[start : after - 1]
        last = place == len(starts) - 1
        yield one, pattern[: start - last] + pattern[after - last :]


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 100 else f"{text[:97]}..."


def _words(tree: ast.Module) -> set[str]:
    """Names that are read for words only, such as the controls that a rule serves, or why something leaks."""
    readers: dict[str, set[str]] = {}

    def note(node: ast.AST, reader: str) -> None:
        for child in ast.iter_child_nodes(node):
            own = reader
            if isinstance(child, ast.keyword) and child.arg in _WORDS:
                own = "(words)"
            elif isinstance(child, ast.Assign) and isinstance(child.targets[0], ast.Name):
                own = child.targets[0].id
            if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Load):
                readers.setdefault(child.id, set()).add(own)
            note(child, own)

    note(tree, "(code)")
    words = {"(words)"}
    while more := {name for name, own in readers.items() if own <= words} - words:
        words |= more
    return words


def _uses(tree: ast.Module) -> dict[str, frozenset[int] | None]:
    """For each constant of the module the lines of functions that read it, by way of other constants too;
    None where that can't be told by lines (a decorator, a class, a default)."""
    read: dict[str, set[int] | None] = {}
    through: dict[str, set[str]] = {}
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef):
            for inner in ast.walk(ast.Module(statement.body, [])):
                if isinstance(inner, ast.stmt):
                    own = set(range(inner.lineno, (inner.end_lineno or inner.lineno) + 1))
                    for name in _names(inner):
                        _add(read, name, own)
            for part in (*statement.decorator_list, statement.args):
                for name in _names(part):
                    _add(read, name, None)
        elif isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
            for name in _names(statement.value):
                through.setdefault(name, set()).update(_names(target))
        else:
            for name in _names(statement):
                _add(read, name, None)
    for _ in range(4):  # constants made of constants
        for name, targets in through.items():
            for one in targets:
                _add(read, name, read.get(one, set()))
    return {name: None if found is None else frozenset(found) for name, found in read.items()}


def _names(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def _add(read: dict[str, set[int] | None], name: str, found: set[int] | None) -> None:
    known = read.setdefault(name, set())
    read[name] = None if found is None or known is None else known | found
