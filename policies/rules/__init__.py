"""The rules: one family a file, as code (`*.py`) or, where they differ only in type and property, as a table
(`*.yaml`, see policies/table.py). `load` gathers them, with those of a site."""

import importlib
import importlib.util
import pkgutil
import sys
from functools import cache
from pathlib import Path

from policies import table
from policies.rule import REGISTRY, Rule


class SiteRuleError(ValueError):
    """A rule file of a site that can't be used; the message says which file and what is wrong."""


def load(site: Path | None = None) -> tuple[Rule, ...]:
    """All rules by id: the kit's, and those in `rules/` of the site. Raises SiteRuleError."""
    rules = {rule.id: rule for rule in _kit()}
    for file in sorted((site / "rules").iterdir()) if site is not None and (site / "rules").is_dir() else ():
        if file.suffix in (".py", ".yaml") and file.name != "__init__.py":
            rules.update((rule.id, rule) for rule in _own(file.resolve()))
    return tuple(rules[id] for id in sorted(rules))


@cache
def _kit() -> tuple[Rule, ...]:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    for file in sorted(Path(__file__).parent.glob("*.yaml")):
        table.register(file)
    return tuple(REGISTRY.values())


def _own(file: Path) -> tuple[Rule, ...]:
    """The rules that a site's file registers; the registry is left as it was, so that sites don't mix."""
    _kit()
    before = dict(REGISTRY)
    try:
        if file.suffix == ".yaml":
            table.register(file)
        else:
            _run(file)
        return tuple(rule for id, rule in REGISTRY.items() if id not in before)
    except Exception as error:
        raise SiteRuleError(
            f"The site's rule file {file} can't be used ({type(error).__name__}: {error}): "
            "correct it or remove it."
        ) from None
    finally:
        REGISTRY.clear()
        REGISTRY.update(before)


def _run(file: Path) -> None:
    spec = importlib.util.spec_from_file_location(f"site_rules_{abs(hash(file)):x}", file)
    assert spec is not None, f"{file} is a Python file"
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
