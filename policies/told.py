"""What a container is told: by variables, by flags, and by the settings files that its pod mounts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from policies import command_line, entries, vllm
from policies.command_line import Command, Environment, Word
from policies.documents import Unparsable
from policies.kubernetes import Container
from policies.model import Node
from policies.rule import Subject
from policies.vllm import Setting


@dataclass(frozen=True)
class Said:
    """What is said at one place; `text` None: it can't be told."""

    where: Node
    text: str | None


class Told:
    """All that a container is told: variables, flags, and the settings files that its pod mounts."""

    def __init__(self, subject: Subject, container: Container) -> None:
        self.subject = subject
        self.container = container

    @cached_property
    def _environment(self) -> Environment:
        return Environment(self.container, self.subject)

    @cached_property
    def _settings(self) -> Mapping[str, Word]:
        return command_line.assigned(self.container, self._environment)

    @cached_property
    def commands(self) -> Sequence[Command]:
        return command_line.simple(self.container, self._environment)

    @cached_property
    def words(self) -> Sequence[Word]:
        """The words of its command line."""
        return [word for command in self.commands for word in command.words]

    @cached_property
    def _files(self) -> tuple[list[Node], bool]:
        """The settings in what the pod mounts, and whether some of it isn't in the plan."""
        found: list[Node] = []
        unseen = False
        for kind, name in _mounts(self.container.pod.spec["volumes"]):
            resource = entries.named(self.subject, kind, name)
            unseen = unseen or resource is None
            for _, node in entries.entries_of(resource) if resource is not None else ():
                try:
                    found.extend(entries.mappings(node))
                except Unparsable:
                    continue
        return found, unseen

    @cached_property
    def names(self) -> frozenset[str]:
        """The variables that are set."""
        return frozenset((*self._environment.variables, *self._settings))

    @property
    def unseen(self) -> bool:
        return self._files[1]

    def setting(self, name: str) -> Setting | None:
        return vllm.setting(name, self._environment, self._settings)

    def said(self, names: Sequence[str], *, alone: bool) -> Iterator[Said]:
        """What is said at these names, wherever it is said. `alone`: a flag that stands alone says "true"."""
        for name in names:
            if name.startswith("-"):
                yield from self._flags(name, alone=alone)
                continue
            setting = self.setting(name)
            if setting is not None:
                yield Said(setting.where, setting.text)
            for document in self._files[0]:
                value = _at(document.value, name)
                if value is not None:
                    yield Said(self.container.pod.spec["volumes"], str(value))

    def _flags(self, name: str, *, alone: bool) -> Iterator[Said]:
        """The values of a flag, with one dash or two; `alone`: standing alone it means true."""
        for place, word in enumerate(self.words):
            flag, equals, value = word.text.partition("=")
            if flag.lstrip("-") != name.lstrip("-") or not flag.startswith("-"):
                continue
            if not equals:
                following = self.words[place + 1 : place + 2]
                value = "true" if alone or not following else following[0].text
            yield Said(word.where, None if word.open else value)


def _mounts(volumes: Node) -> Iterator[tuple[str, Node]]:
    """The ConfigMaps and Secrets that a pod mounts, by kind and name."""
    for volume in volumes.each():
        for source in (volume, *volume["projected"]["sources"].each()):
            if not source["configMap"].absent:
                yield "core/ConfigMap", source["configMap"]["name"]
            key = "secretName" if source is volume else "name"
            if not source["secret"].absent:
                yield "core/Secret", source["secret"][key]


def _at(document: object, path: str) -> object:
    """The value at a dotted path of a mapping, also where the whole path is one key."""
    if not isinstance(document, Mapping):
        return None
    if path in document:
        return document[path]
    head, _, rest = path.partition(".")
    return _at(document.get(head), rest) if rest else None
