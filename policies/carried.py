"""Files that ConfigMaps and Secrets carry into pods and programs: found, decoded, and taken apart where they
are objects of a kind that is looked for.

What is unknown or masked as a whole is passed over here: the rule unknowns.value speaks of it.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from policies import documents
from policies.kubernetes import quiet
from policies.model import Node, Plan, Touch
from policies.rule import Subject

HOLDERS: Final = ("core/ConfigMap", "core/Secret")


@dataclass(frozen=True)
class File:
    """A file by its key; `where` is what a finding names, `secret`: nothing of it may be shown."""

    name: str
    text: str
    where: Node
    secret: bool


def files(subject: Subject) -> Iterator[File]:
    """The text files that an object carries; none where it is neither a ConfigMap nor a Secret."""
    assert subject.resource is not None
    if subject.resource.kind not in HOLDERS:
        return
    secret = subject.resource.kind == "core/Secret"
    for part in ("data", "stringData", "binaryData"):
        entries = subject.resource.inputs.get(part)
        for name, value in entries.items() if isinstance(entries, Mapping) else ():
            text = value if isinstance(value, str) else None
            if text is not None and (part == "binaryData" or (secret and part == "data")):
                text = _decoded(text)
            if text is not None:
                yield File(str(name), text, Node(text, f"{part}.{name}", subject.touched), secret)


def find(plan: Plan, name: str) -> Iterator[File]:
    """The files of that name that the plan's objects carry."""
    for kind in HOLDERS:
        for resource in plan.by_kind.get(kind, ()):
            yield from (file for file in files(Subject(plan, resource)) if file.name == name)


def mappings(file: File) -> Iterator[Node]:
    """The mappings that a file holds as YAML or JSON; what can't be parsed is remembered as malformed."""
    try:
        found = documents.of_yaml(file.text)
    except documents.Unparsable:
        path = file.where.path
        file.where.touched.setdefault(path, Touch(path, "malformed", "YAML that can be read"))
        return
    for document in found:
        if isinstance(document, dict):
            yield Node(document, file.where.path, file.where.touched)


def objects(subject: Subject, *kinds: str) -> Iterator[tuple[str, Node]]:
    """The objects of these kinds in the files that an object carries, with their kinds."""
    wanted = re.compile(rf"""["']?\bkind["']?\s*:\s*["']?(?:{"|".join(kinds)})\b""")
    for file in files(subject):
        for node in mappings(file) if wanted.search(file.text) else ():
            kind = quiet(node["kind"]).text()
            if kind in kinds:
                yield kind, node


def _decoded(text: str) -> str | None:
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None  # bytes, not text
