"""The examples of tests/routes/, and the same in the forms that other tools read: a folder for each."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policies.model import Resource, is_marker
from policies.second_opinion import Rendered, render
from tests.support import examples
from tests.support.examples import Example


@dataclass(frozen=True)
class Case:
    """An example, what other tools are shown of it, and where that lies: `folder`/FRAMEWORK/FILE."""

    example: Example
    rendered: Rendered
    folder: Path

    @property
    def known(self) -> bool:
        """Whether all of it is known: no tool but the kit is told of what isn't."""
        return not any(_opaque(resource.inputs) for resource in self.example.plan.resources)

    def files(self, *frameworks: str) -> list[Path]:
        return [
            self.folder / framework / file
            for framework in frameworks
            for file in self.rendered.files.get(framework, ())
        ]

    def resource(self, framework: str, name: str) -> Resource | None:
        return self.rendered.resources.get((framework, name))


def _opaque(value: Any) -> bool:
    """Whether a marker stands somewhere in a value."""
    if isinstance(value, Mapping):
        return any(_opaque(item) for item in value.values())
    return any(_opaque(item) for item in value) if isinstance(value, list | tuple) else is_marker(value)


def read() -> list[Example]:
    """Every example."""
    return [examples.read(file) for file in examples.files()]


def show(found: list[Example], folder: Path) -> list[Case]:
    """Writes what other tools are shown."""
    cases = []
    for example in found:
        case = Case(example, render(example.plan), folder / example.route / example.file.stem)
        for framework, files in case.rendered.files.items():
            place = case.folder / framework
            place.mkdir(parents=True)
            for name, text in files.items():
                (place / name).write_text(text, encoding="utf-8")
        cases.append(case)
    return cases
