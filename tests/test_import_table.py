"""Who may import whom, as the design has it; a violation names the file and line."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

#: folder -> the folders of the kit that it may import (besides itself)
MAY_IMPORT: dict[str, frozenset[str]] = {
    "facts": frozenset(),
    "policies": frozenset({"facts", "protocol"}),
    "components": frozenset({"facts"}),
    "stacks": frozenset({"components", "policies", "facts"}),
    "services": frozenset(),
    "protocol": frozenset(),
    "toolchain": frozenset({"protocol"}),
    "cli": frozenset({"components", "facts", "policies", "services", "stacks", "toolchain"}),
}


def imported(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Top-level names imported anywhere in a module, lazily in functions too, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.partition(".")[0], node.lineno
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0], node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            first = node.args[0] if node.args else None
            if name in ("import_module", "__import__") and isinstance(first, ast.Constant):
                yield str(first.value).partition(".")[0], node.lineno


def violations(folder: str, source: str, name: str) -> list[str]:
    allowed = MAY_IMPORT[folder] | {folder}
    return [
        f"{name}:{line}: {folder}/ may not import {module}/"
        for module, line in imported(ast.parse(source))
        if module in MAY_IMPORT and module not in allowed
    ]


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_folder_imports_only_what_the_design_allows(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files, f"{folder}/ has no Python file: is the table out of date?"
    found = [
        line
        for file in files
        for line in violations(folder, file.read_text(encoding="utf-8"), str(file.relative_to(ROOT)))
    ]
    assert not found, "\n".join(found)


def test_every_python_folder_is_in_the_table() -> None:
    folders = {
        file.parent.name for file in ROOT.glob("*/__init__.py") if file.parent.name not in ("tests", "build")
    }
    assert folders == set(MAY_IMPORT)


@pytest.mark.parametrize(
    "source",
    [
        "from components.ground import Ground",
        "def late():\n    import components.ground",
        "import importlib\nimportlib.import_module('components.ground')",
    ],
)
def test_a_forbidden_import_is_found(source: str) -> None:
    assert violations("facts", source, "facts/x.py")
