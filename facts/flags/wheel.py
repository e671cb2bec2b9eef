"""Reads a vLLM wheel's source texts, without running them: the flags of `vllm serve` and what values they
take, and the environment names."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from facts.flags import FlagsError, Table

_ENGINE = "vllm/engine/arg_utils.py"
_SERVE = "vllm/entrypoints/cli/serve.py"
_ENVIRONMENT = "vllm/envs.py"
_CONFIGURATION = "vllm/config/"
#: where the server's own flags are declared: newest place first
_SERVER = (
    "vllm/entrypoints/common/cli_args.py",
    "vllm/entrypoints/launchers/cli_args.py",
    "vllm/entrypoints/openai/cli_args.py",
)
_SERVER_CLASS = "FrontendArgs"


class _Values(Enum):
    """What may follow a flag on the command line."""

    NONE = "none"
    BOOLEAN = "none, and there is a --no- form"
    ONE = "one"
    SEVERAL = "several"


@dataclass(frozen=True)
class _Types:
    """The classes and the type aliases of the sources, by name."""

    classes: Mapping[str, ast.ClassDef]
    aliases: Mapping[str, ast.expr]


def wanted(member: str) -> bool:
    """Whether `read` has a use for this member of a wheel."""
    configuration = member.startswith(_CONFIGURATION) and member.endswith(".py")
    return configuration or member in (_ENGINE, _SERVE, _ENVIRONMENT, *_SERVER)


def read(files: Mapping[str, str], version: str) -> Table:
    """The table of a version from its source texts, by their paths in the wheel.

    What the parser adds by itself is left out, but for the --no- forms: --help, and since 0.33 also
    --disable-x for a boolean --enable-x and the reverse.
    """
    server = next((path for path in _SERVER if path in files), _SERVER[0])
    trees = {path: _tree(files, path, version) for path in (server, _ENGINE, _ENVIRONMENT)}
    if _SERVE in files:
        trees[_SERVE] = _tree(files, _SERVE, version)
    configuration = [_tree(files, path, version) for path in files if path.startswith(_CONFIGURATION)]
    types = _types([*configuration, *trees.values()])
    found = dict(_server_fields(trees[server], types))
    for path, tree in trees.items():
        found.update(_arguments(tree, types, f"{path} of vLLM {version}"))
    return _table(version, found, frozenset(_environment(trees[_ENVIRONMENT])))


def _tree(files: Mapping[str, str], path: str, version: str) -> ast.Module:
    if path not in files:
        raise FlagsError(
            f"the wheel of vLLM {version} has no {path}: this version keeps its flags elsewhere, "
            "teach facts/flags/wheel.py where"
        )
    try:
        return ast.parse(files[path])
    except SyntaxError as error:
        raise FlagsError(
            f"{path} of vLLM {version}, line {error.lineno}, can't be parsed: take a wheel that was "
            "published, or run with the Python that it was written for"
        ) from error


def _table(version: str, found: Mapping[str, _Values], environment: frozenset[str]) -> Table:
    def taking(*values: _Values) -> frozenset[str]:
        return frozenset(spelling.lstrip("-") for spelling, takes in found.items() if takes in values)

    negative = {
        f"no-{spelling.removeprefix('--')}"
        for spelling, takes in found.items()
        if takes is _Values.BOOLEAN and spelling.startswith("--")
    }
    return Table(
        version=version,
        flags=taking(*_Values) | negative,
        switches=taking(_Values.NONE, _Values.BOOLEAN) | negative,
        lists=taking(_Values.SEVERAL),
        environment=environment,
    )


def _spelling(name: str) -> str:
    return name.replace("_", "-")


def _types(trees: Iterable[ast.Module]) -> _Types:
    classes: dict[str, ast.ClassDef] = {}
    aliases: dict[str, ast.expr] = {}
    for statement in (statement for tree in trees for statement in tree.body):
        match statement:
            case ast.ClassDef(name=name):
                classes[name] = statement
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.expr() as value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                aliases[name] = value
    return _Types(classes, aliases)


def _lineage(name: str, types: _Types) -> Iterator[ast.ClassDef]:
    """A class and the classes it inherits from, as far as the sources have them, nearest first."""
    if (owner := types.classes.get(name)) is not None:
        yield owner
        for base in owner.bases:
            yield from _lineage(_last_name(base), types)


def _hints(name: str, types: _Types) -> dict[str, ast.expr]:
    """The fields of a class with their type hints."""
    hints: dict[str, ast.expr] = {}
    for owner in _lineage(name, types):
        for statement in owner.body:
            match statement:
                case ast.AnnAssign(target=ast.Name(id=field), annotation=hint) if field not in hints:
                    hints[field] = hint
    return {field: hint for field, hint in hints.items() if "ClassVar" not in _members(hint, types)}


def _last_name(expression: ast.expr) -> str:
    match expression:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _members(hint: ast.expr, types: _Types) -> frozenset[str]:
    """The names in a type hint once its unions are taken apart: `list[int] | None` is list and None."""
    match hint:
        case ast.Constant(value=None):
            return frozenset({"None"})
        case ast.Constant(value=str(text)):
            return _members(ast.parse(text, mode="eval").body, types)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _members(left, types) | _members(right, types)
        case ast.Subscript(value=outer, slice=inner):
            return _subscript_members(_last_name(outer), inner, types)
        case ast.Name(id=name) if name in types.aliases and name not in types.classes:
            # an alias that names itself would not end
            aliases = {other: value for other, value in types.aliases.items() if other != name}
            return _members(types.aliases[name], _Types(types.classes, aliases))
        case _:
            return frozenset({_last_name(hint)})


def _subscript_members(outer: str, inner: ast.expr, types: _Types) -> frozenset[str]:
    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    match outer:
        case "Annotated" | "SkipValidation":
            return _members(parts[0], types)
        case "Optional":
            return _members(parts[0], types) | {"None"}
        case "Union":
            return frozenset().union(*(_members(part, types) for part in parts))
        case _:
            return frozenset({outer})


def _hint_values(hint: ast.expr, types: _Types) -> _Values:
    """What vLLM's own rule (_compute_kwargs in arg_utils.py) makes of a field's type, in its order."""
    members = _members(hint, types)
    is_data = any(name in types.classes and types.classes[name].decorator_list for name in members)
    if is_data or members == {"bool", "str", "None"}:
        return _Values.ONE
    if "bool" in members:
        return _Values.BOOLEAN
    if "Literal" not in members and members & {"tuple", "list", "set"}:
        return _Values.SEVERAL
    return _Values.ONE


def _server_fields(tree: ast.Module, types: _Types) -> Iterator[tuple[str, _Values]]:
    """The server's flags: the fields of its class, with what the class then changes by hand."""
    changed = dict(_changes(tree))
    for field, hint in _hints(_SERVER_CLASS, types).items():
        yield _spelling(f"--{field}"), changed.get(field, _hint_values(hint, types))


def _changes(tree: ast.Module) -> Iterator[tuple[str, _Values]]:
    """Statements such as `del kwargs["field"]["nargs"]` and `kwargs["field"]["action"] = "append"`."""
    for node in ast.walk(tree):
        match node:
            case ast.Delete(
                targets=[
                    ast.Subscript(
                        value=ast.Subscript(slice=ast.Constant(value=str(field))),
                        slice=ast.Constant(value="nargs"),
                    )
                ]
            ):
                yield field, _Values.ONE
            case ast.Assign(
                targets=[
                    ast.Subscript(
                        value=ast.Subscript(slice=ast.Constant(value=str(field))),
                        slice=ast.Constant(value="action" | "nargs" as option),
                    )
                ],
                value=value,
            ) if (values := _option_values(option, value)) is not None:
                yield field, values


def _option_values(option: str | None, value: ast.expr) -> _Values | None:
    """What action= or nargs= says; None where it says nothing, as a parser's own action class does."""
    match option, value:
        case "action", ast.Attribute(attr="BooleanOptionalAction") | ast.Name(id="BooleanOptionalAction"):
            return _Values.BOOLEAN
        case "action", ast.Constant(value="store_true" | "store_false" | "store_const" | "count"):
            return _Values.NONE
        case "action", ast.Constant():
            return _Values.ONE
        case "nargs", ast.Constant(value=0):
            return _Values.NONE
        case "nargs", ast.Constant(value="?" | 1):
            return _Values.ONE
        case "nargs", _:
            return _Values.SEVERAL
        case _:
            return None


def _arguments(tree: ast.Module, types: _Types, where: str) -> Iterator[tuple[str, _Values]]:
    """The flags that are given to add_argument by name, all spellings."""
    bound = {
        node.targets[0].id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="add_argument"), args=given, keywords=keywords):
                names = [str(name.value) for name in given if isinstance(name, ast.Constant)]
                spellings = [_spelling(name) for name in names if name.startswith("-")]
                if not spellings:
                    continue
                values = _keyword_values(keywords, bound, types)
                if values is None:
                    raise FlagsError(
                        f"{where}, line {node.lineno}: can't tell what values {spellings[0]} takes, its "
                        "settings come from a place unknown here; teach facts/flags/wheel.py to follow them"
                    )
                yield from ((spelling, values) for spelling in spellings)


def _keyword_values(
    keywords: Iterable[ast.keyword], bound: Mapping[str, ast.expr], types: _Types
) -> _Values | None:
    values: _Values | None = _Values.ONE
    for keyword in keywords:
        if keyword.arg is None:
            values = _spread_values(keyword.value, bound, types)
        else:
            values = _option_values(keyword.arg, keyword.value) or values
    return values


def _spread_values(expression: ast.expr, bound: Mapping[str, ast.expr], types: _Types) -> _Values | None:
    """What settings handed on as `**model_kwargs["dtype"]` say; None where they can't be followed."""
    match expression:
        case ast.Dict(keys=keys, values=items):
            pairs = zip(keys, items, strict=True)
            spread = [ast.keyword(arg=_key(key), value=item) for key, item in pairs]
            return _keyword_values(spread, bound, types)
        case ast.Subscript(value=table, slice=ast.Constant(value=str(field))):
            hint = _hints(_class_of(table, bound), types).get(field)
            return None if hint is None else _hint_values(hint, types)
        case ast.Name(id=name) if name in bound:
            return _spread_values(bound[name], bound, types)
        case _:
            return None


def _key(key: ast.expr | None) -> str | None:
    return str(key.value) if isinstance(key, ast.Constant) else None


def _class_of(table: ast.expr, bound: Mapping[str, ast.expr]) -> str:
    """The class in `get_kwargs(Class)`, or in the name that was bound to it."""
    match table:
        case ast.Call(func=ast.Name(id="get_kwargs"), args=[owner]):
            return _last_name(owner)
        case ast.Name(id=name) if name in bound:
            return _class_of(bound[name], bound)
        case _:
            return ""


def _environment(tree: ast.Module) -> Iterator[str]:
    """vLLM's own register of environment names, against which it checks what is set."""
    for statement in tree.body:
        match statement:
            case (
                ast.AnnAssign(target=ast.Name(id="environment_variables"), value=ast.Dict(keys=keys))
                | ast.Assign(targets=[ast.Name(id="environment_variables")], value=ast.Dict(keys=keys))
            ):
                yield from (str(key.value) for key in keys if isinstance(key, ast.Constant))
