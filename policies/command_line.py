"""What a container will run and with which variables, as far as the plan shows it.

Kubernetes puts `$(NAME)` in place before a container starts; `sh -c` scripts are taken apart into simple
commands. Nothing is executed and no value leaves this module except to be judged.
"""

import base64
import binascii
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from policies.kubernetes import Container, namespace, quiet
from policies.model import Node, Resource
from policies.rule import Subject

_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_.-][\w.-]*)\)")
_SHELL_REFERENCE = re.compile(r"\$(?:\{(\w+)(?::?[-=]([^}]*))?\}|(\w+))")
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_SHELLS = frozenset(["sh", "ash", "bash", "dash", "ksh", "zsh"])
#: Programs that run the rest of their command line.
_WRAPPERS = frozenset(
    [
        "exec",
        "env",
        "nohup",
        "nice",
        "numactl",
        "tini",
        "dumb-init",
        "busybox",
        "sudo",
        "stdbuf",
        "time",
        "setsid",
    ]
)
#: Programs and builtins among whose words are variables to be set.
_SETTERS = frozenset(("declare", "env", "export", "local", "readonly", "typeset"))
_OPERATORS = frozenset([";", "&", "&&", "|", "||", "|&", "(", ")", "\n", "{", "}", "then", "do", "else", "!"])

#: What the downward API gives that is an address of the cluster itself
#: (kubernetes.io/docs/concepts/workloads/pods/downward-api).
_ADDRESSES = frozenset(["status.hostIP", "status.podIP", "status.hostIPs", "status.podIPs"])
_IN_CLUSTER = "node.cluster.local"


def base_name(path: str) -> str:
    """The last part of a path, as PurePosixPath(path).name has it, at a tenth of its time."""
    return path.rstrip("/").rpartition("/")[2]


@dataclass(frozen=True)
class Variable:
    """An environment variable. `node` holds its text; None where it comes from what this plan doesn't hold.

    `where` is what a finding names.
    """

    name: str
    where: Node
    node: Node | None
    literal: bool = True


@dataclass(frozen=True)
class Word:
    """A word of a command line, and where it was written."""

    text: str
    where: Node

    @property
    def open(self) -> bool:
        """Something in it is only put in place when the container runs."""
        return "$" in self.text or "`" in self.text


@dataclass(frozen=True)
class Command:
    """A simple command."""

    words: tuple[Word, ...]

    @cached_property
    def program(self) -> str:
        """The file name of the first word."""
        return base_name(self.words[0].text) if self.words else ""


class Environment:
    """The variables of a container: those of `envFrom`, then of `env`, the last of a name counts.

    A ConfigMap or Secret is read where it is in the plan; `unseen` lists the whole sources that are not.
    """

    def __init__(self, container: Container, subject: Subject) -> None:
        self._subject = subject
        self.variables: dict[str, Variable] = {}
        self.unseen: list[Node] = []
        for source in container.node["envFrom"].each():
            self._whole(source)
        for item in container.node["env"].each():
            name = item["name"].text()
            if name is not None:
                self.variables[name] = self._single(name, item, container)

    def get(self, name: str) -> Variable | None:
        return self.variables.get(name)

    def text(self, variable: Variable) -> str | None:
        """Its value with references in place; None where that can't be told (a marker is remembered)."""
        if variable.node is None:
            return None
        text = variable.node.text()
        if text is None:
            return "" if variable.node.absent else None
        if not variable.literal:
            return text
        expanded = self.expand(text)
        return None if _REFERENCE.search(expanded) and "$$" not in text else expanded

    def expand(self, text: str, depth: int = 0) -> str:
        """Puts `$(NAME)` in place as the kubelet does; what can't be told stays as it is written."""

        if "$" not in text:
            return text

        def put(found: re.Match[str]) -> str:
            if found.group(0) == "$$":
                return "$"
            variable = self.variables.get(found.group(1))
            if variable is None or variable.node is None or depth > 8:
                return found.group(0)
            value = quiet(variable.node).text()
            return found.group(0) if value is None else self.expand(value, depth + 1)

        return _REFERENCE.sub(put, text)

    def _whole(self, source: Node) -> None:
        prefix = source["prefix"].text() or ""
        for key, kind in (("configMapRef", "core/ConfigMap"), ("secretRef", "core/Secret")):
            if source[key].absent:
                continue
            found = self._object(kind, source[key]["name"])
            if found is None:
                self.unseen.append(source[key])
                continue
            for name, node in _data(found, self._subject):
                self.variables[prefix + name] = Variable(prefix + name, source[key], node, literal=False)

    def _single(self, name: str, item: Node, container: Container) -> Variable:
        source = item["valueFrom"]
        if source.absent:
            return Variable(name, item["value"], item["value"])
        for key, kind in (("configMapKeyRef", "core/ConfigMap"), ("secretKeyRef", "core/Secret")):
            if source[key].absent:
                continue
            found = self._object(kind, source[key]["name"])
            entry = source[key]["key"].text()
            node = dict(_data(found, self._subject)).get(entry or "") if found is not None else None
            return Variable(name, source[key], node, literal=False)
        if not source["fieldRef"].absent:
            return Variable(name, source["fieldRef"], _field(source["fieldRef"], container), literal=False)
        return Variable(name, source, None)

    def _object(self, kind: str, name: Node) -> Resource | None:
        called = name.text()
        if called is None or self._subject.resource is None:
            return None
        look = Subject(self._subject.plan, self._subject.resource)
        return self._subject.plan.by_object.get((kind, namespace(look) or "", called))


def _field(reference: Node, container: Container) -> Node | None:
    """What a fieldRef gives, as far as it matters: an address of the cluster, or an annotation of the pod."""
    path = reference["fieldPath"].text()
    if path in _ADDRESSES:
        return Node(_IN_CLUSTER, reference.path, {})
    found = re.fullmatch(r"metadata\.(annotations|labels)\['([^']+)'\]", path or "")
    return container.pod.node["metadata"][found.group(1)][found.group(2)] if found else None


def _data(resource: Resource, subject: Subject) -> Iterator[tuple[str, Node]]:
    """The entries of a ConfigMap or Secret, a Secret's decoded; a touch is told of the looking object."""
    inputs = Node(resource.inputs, "", subject.touched)
    where = f"{resource.kind} {resource.name}"
    for key, node in inputs["data"].members():
        value = node.value
        if resource.kind == "core/Secret" and isinstance(value, str):
            try:
                value = base64.b64decode(value, validate=True).decode()
            except (binascii.Error, ValueError):
                value = ""  # bytes are no destination
        yield key, Node(value, f"{where} data.{key}", subject.touched)
    for key, node in inputs["stringData"].members():
        yield key, Node(node.value, f"{where} stringData.{key}", subject.touched)


class Unreadable(ValueError):
    """A script that can't be taken apart."""

    def __init__(self, where: Node) -> None:
        super().__init__("a shell script that can't be taken apart")
        self.where = where


def words(container: Container, environment: Environment) -> list[Word]:
    """The container's own command line: `command` then `args`, with `$(NAME)` put in place."""
    return [
        Word(environment.expand(text), node)
        for key in ("command", "args")
        for node in container.node[key].each()
        if (text := node.text()) is not None
    ]


def commands(line: Sequence[Word], environment: Environment) -> Iterator[Command]:
    """The simple commands that a command line runs: scripts of `sh -c` taken apart, wrappers and the
    variables that are set before a command as commands of their own. Raises Unreadable."""
    rest = list(line)
    while rest:
        own = _own_words(rest)
        if own == 0:
            break
        yield Command(tuple(rest[:own]))
        rest = rest[own:]
    if rest and base_name(rest[0].text) in _SHELLS:
        yield from _shell(rest, environment)
    elif rest:
        yield Command(tuple(rest))


def _own_words(line: Sequence[Word]) -> int:
    """How many words come before the command that is really run: `A=1`, `env -u B C=2`, `nice -n 5`, `tini
    --`."""
    place = 0
    while place < len(line) and _ASSIGNMENT.fullmatch(line[place].text):
        place += 1
    if place or base_name(line[0].text) not in _WRAPPERS:
        return place
    place = 1
    while place < len(line):
        text = line[place].text
        if text == "--":
            return place + 1
        if text in ("-u", "--unset", "-n", "-C", "--chdir"):
            place += 2
        elif text.startswith("-") or _ASSIGNMENT.fullmatch(text):
            place += 1
        else:
            break
    return min(place, len(line))


def _shell(line: Sequence[Word], environment: Environment) -> Iterator[Command]:
    script = None
    for place, word in enumerate(line[1:], 1):
        if re.fullmatch(r"-[a-z]*c[a-z]*", word.text):
            script = place + 1
            break
        if not word.text.startswith(("-", "+")) and not re.fullmatch(r"[-+][a-z]*o", line[place - 1].text):
            break
    while script is not None and script < len(line) and line[script].text.startswith("-"):
        script += 1  # `sh -c -e 'script'`
    if script is None or script >= len(line):
        yield Command(tuple(line))  # a file that the plan doesn't show
        return
    where = line[script].where
    passed = line[script + 2 :]
    for found in _simple(line[script].text, where):
        parts = [
            part
            for text in found
            for part in (passed if text in ("$@", "$*") else [Word(_shell_expand(text, environment), where)])
        ]
        yield from commands(parts, environment)


def _simple(script: str, where: Node) -> Iterator[list[str]]:
    """The words of each simple command of a script, quotes taken off."""
    lexer = shlex.shlex(script.replace("\\\n", " "), posix=True, punctuation_chars=";&|()\n")
    lexer.whitespace, lexer.commenters, lexer.whitespace_split = " \t\r", "", True
    found: list[str] = []
    comment = False
    try:
        for token in lexer:
            separator = token in _OPERATORS or not token.strip(";&|()\n")
            if separator:
                comment = comment and "\n" not in token
                if found and not comment:
                    yield found
                    found = []
            elif not comment and token.startswith("#"):
                comment = True
            elif not comment:
                found.append(token)
    except ValueError:
        raise Unreadable(where) from None
    if found:
        yield found


def _shell_expand(text: str, environment: Environment) -> str:
    def put(found: re.Match[str]) -> str:
        variable = environment.get(found.group(1) or found.group(3))
        if variable is None:
            return found.group(2) if found.group(2) is not None else found.group(0)
        value = quiet(variable.node).text() if variable.node is not None else None
        return found.group(0) if value is None else value

    return _SHELL_REFERENCE.sub(put, text)


def assignments(found: Sequence[Command]) -> Mapping[str, Word]:
    """The variables that a script sets: `NAME=value command`, `export NAME=value`, `env NAME=value command`.

    An `unset NAME`, or `env -u NAME`, sets it to nothing.
    """
    settings: dict[str, Word] = {}
    for command in found:
        if command.program == "unset":
            settings.update({word.text: Word("", word.where) for word in command.words[1:]})
            continue
        for place, word in enumerate(command.words):
            before = command.words[place - 1].text if place else ""
            if command.program == "env" and before in ("-u", "--unset"):
                settings[word.text] = Word("", word.where)
            elif pair := _ASSIGNMENT.fullmatch(word.text):
                settings[pair.group(1)] = Word(pair.group(2), word.where)
            elif not (command.program in _SETTERS and (place == 0 or word.text.startswith("-"))):
                break
    return settings


def simple(container: Container, environment: Environment) -> list[Command]:
    """The simple commands of a container's own command line; none where it can't be taken apart."""
    quietly = Container(quiet(container.node), container.group, container.pod)
    try:
        return list(commands(words(quietly, environment), environment))
    except Unreadable:
        return []


def assigned(container: Container, environment: Environment) -> Mapping[str, Word]:
    """The variables that a container's own command line sets."""
    return assignments(simple(container, environment))
