"""vLLM servers among the containers of a plan, and what they were told: flags, model, variables.

A container is taken for vLLM, the only place that decides it, where
- its command line starts `vllm`, or a Python module or file of vLLM; or
- it is no init container that runs something else, and its image's path has "vllm" in it; or
- its pod is labelled `app: vllm-server`, and no other container of the pod is one by the first two.

Flags and defaults are those of vLLM 0.33 (vllm/engine/arg_utils.py, vllm/entrypoints/openai/cli_args.py,
vllm/envs.py).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from policies import command_line, kubernetes
from policies.command_line import Command, Environment, Unreadable, Variable, Word, base_name
from policies.kubernetes import Container, Pod, quiet
from policies.model import Node
from policies.rule import Subject
from policies.walkers import images

_LABEL = ("app", "vllm-server")
#: A router in front of engines fetches and reports nothing by itself.
_ENGINE_IMAGE = re.compile(r"vllm(?!-router)")
_FILES = ("vllm/entrypoints/openai/api_server.py", "vllm/entrypoints/api_server.py")

#: Flags without a value, besides those that begin as in _SWITCH.
_SWITCHES = frozenset(
    [
        "aggregate-engine-logging",
        "allow-credentials",
        "allow-deprecated-quantization",
        "async-scheduling",
        "cohere-is-reasoning-model",
        "cudagraph-metrics",
        "data-parallel-external-lb",
        "data-parallel-hybrid-lb",
        "dcp-q-replicate",
        "enforce-eager",
        "exclude-tools-when-tool-choice-none",
        "fail-on-environ-validation",
        "fully-sharded-loras",
        "grpc",
        "headless",
        "interleave-mm-strings",
        "kv-cache-metrics",
        "kv-sharing-fast-prefill",
        "language-model-only",
        "log-error-stack",
        "mm-encoder-only",
        "numa-bind",
        "ray-workers-use-nsight",
        "return-tokens-as-token-ids",
        "scheduler-reserve-full-isl",
        "specialize-active-lora",
        "tokens-only",
        "trust-remote-code",
        "trust-request-chat-template",
        "trust-request-mm-kwargs",
    ]
)
_SWITCH = re.compile(r"(?:no|enable|disable|use|skip|return)-")
#: Flags that take every value up to the next flag.
_LISTS = frozenset(
    (
        "allowed-media-domains",
        "api-key",
        "ignore-patterns",
        "lora-modules",
        "lora-target-modules",
        "served-model-name",
    )
)
#: Flags that begin like others; argparse takes any other unambiguous beginning for the whole.
_WHOLE = frozenset(("config", "hf-token", "model", "revision", "tokenizer"))


@dataclass(frozen=True)
class Flag:
    """A flag as written: `name` with dashes and without the leading ones, `key` what follows its dot."""

    name: str
    key: str
    values: tuple[Word, ...]
    where: Node

    @property
    def value(self) -> Word:
        """Its last value; the empty word where there is none."""
        return self.values[-1] if self.values else Word("", self.where)


@dataclass(frozen=True)
class Setting:
    """The value of an environment variable; `text` None: it can't be told."""

    name: str
    where: Node
    text: str | None
    hidden: bool = False


@dataclass(frozen=True)
class Engine:
    """A vLLM server. `unreadable`: where it is told in a way that can't be taken apart."""

    container: Container
    environment: Environment
    settings: Mapping[str, Word]
    arguments: tuple[Word, ...]
    unreadable: Node | None = None

    def setting(self, name: str) -> Setting | None:
        """A variable: what the command line sets, else what the container is given; None where it is not
        set."""
        return setting(name, self.environment, self.settings)

    def flags(self, *names: str) -> Iterator[Flag]:
        """The flags of these names, in either spelling and shortened as argparse allows."""
        for flag in self._parsed[0]:
            if any(means(flag.name, name) for name in names):
                yield flag

    @property
    def written(self) -> tuple[Flag, ...]:
        """All flags as they stand on the command line."""
        return self._parsed[0]

    def names(self) -> Iterator[tuple[str, Node]]:
        """The variables that are set, and where."""
        for name, variable in self.environment.variables.items():
            yield name, variable.where
        for name, word in self.settings.items():
            yield name, word.where

    @property
    def models(self) -> tuple[Word, ...]:
        """What stands where `vllm serve` expects the model."""
        return self._parsed[1]

    @cached_property
    def _parsed(self) -> tuple[tuple[Flag, ...], tuple[Word, ...]]:
        return _parse(self.arguments)


def setting(name: str, environment: Environment, settings: Mapping[str, Word]) -> Setting | None:
    """A variable as it will be when the program starts."""
    word = settings.get(name)
    if word is not None:
        return Setting(name, word.where, None if word.open else word.text, word.open)
    variable = environment.get(name)
    return None if variable is None else of_variable(variable, environment)


def of_variable(variable: Variable, environment: Environment) -> Setting:
    """The value of a variable that a container is given."""
    text = environment.text(variable)
    hidden = text is None and (variable.node is None or isinstance(variable.node.value, str))
    return Setting(variable.name, variable.where, text, hidden)


def engines(subject: Subject) -> Iterator[Engine]:
    """The vLLM servers that an object runs."""
    for pod in kubernetes.pods(subject):
        held = [container for container in kubernetes.containers(subject) if container.pod is pod]
        found = [container for container in held if _is_engine(container, subject)]
        if not found and quiet(pod.labels)[_LABEL[0]].text() == _LABEL[1]:
            found = [container for container in held if container.group == "containers"]
        for container in found:
            yield _engine(container, subject)


def _is_engine(container: Container, subject: Subject) -> bool:
    return subject.once(("engine", container.node.path), lambda: _looks_like_one(container, subject))


def _looks_like_one(container: Container, subject: Subject) -> bool:
    still = Container(quiet(container.node), container.group, Pod(quiet(container.pod.node)))
    by_image = _of_vllm(still.node["image"])
    if by_image and not container.prepares:
        return True
    environment = Environment(still, Subject(subject.plan, subject.resource))
    line = command_line.words(still, environment)
    try:
        if any(_arguments(command) is not None for command in command_line.commands(line, environment)):
            return True
    except Unreadable:
        return any("vllm" in word.text for word in line)
    return by_image and still.node["command"].absent


def _of_vllm(image: Node) -> bool:
    text = image.text()
    parsed = images.parse(text) if text else None
    return _ENGINE_IMAGE.search((parsed.path if parsed else text or "").lower()) is not None


def _engine(container: Container, subject: Subject) -> Engine:
    environment = Environment(container, subject)
    line = command_line.words(container, environment)
    unreadable = next(
        (container.node[key] for key in ("command", "args") if container.node[key].opaque), None
    )
    if container.node["command"].absent:
        serve = line[1:] if line and line[0].text == "serve" else line
        if not line or line[0].text.startswith("-") or not _names_program(line):
            return Engine(container, environment, {}, tuple(serve), unreadable or _put_in(serve))
    try:
        commands = list(command_line.commands(line, environment))
    except Unreadable as error:
        return Engine(container, environment, {}, (), error.where)
    settings = command_line.assignments(commands)
    for command in commands:
        arguments = _arguments(command)
        if arguments is not None:
            unreadable = unreadable or _put_in(arguments)
            return Engine(container, environment, settings, tuple(arguments), unreadable)
    return Engine(container, environment, settings, (), unreadable or container.node["command"])


def _put_in(arguments: Sequence[Word]) -> Node | None:
    """Where flags may be put in place when the container runs: by a variable that stands alone, or by the
    output of a command, where the rest of the script's words is lost too."""
    free = (word for word in _parse(arguments)[1] if word.open)
    cut = (word for word in arguments if word.text.endswith("$") or "`" in word.text)
    return next((word.where for word in (*free, *cut)), None)


def _names_program(line: Sequence[Word]) -> bool:
    """Whether a command line without `command` replaces what the image would run (an entrypoint that runs
    it)."""
    return base_name(line[0].text) in ("vllm", "sh", "bash", "python", "python3")


def _arguments(command: Command) -> Sequence[Word] | None:
    """What vLLM is told, if this command runs it; None if it doesn't."""
    words = command.words
    for place, word in enumerate(words):
        before = words[place - 1].text if place else ""
        starts = place == 0 or base_name(before).startswith("python")
        is_program = starts and base_name(word.text) == "vllm"
        is_module = before == "-m" and re.match(r"vllm(\.|$)", word.text) is not None
        if before == "-c" and base_name(words[0].text).startswith("python") and "vllm" in word.text:
            return ()
        if is_program or is_module or word.text.endswith(_FILES):
            rest = words[place + 1 :]
            return rest[1:] if rest and rest[0].text == "serve" else rest
    return None


def _parse(words: Sequence[Word]) -> tuple[tuple[Flag, ...], tuple[Word, ...]]:
    flags: list[Flag] = []
    free: list[Word] = []
    place = 0
    while place < len(words):
        word = words[place]
        place += 1
        if not _is_flag(word.text):
            free.append(word)
            continue
        written, equals, given = word.text.lstrip("-").partition("=")
        head, _, key = written.partition(".")
        name = head.replace("_", "-")
        if equals:
            flags.append(Flag(name, key, (Word(given, word.where),), word.where))
            continue
        values: list[Word] = []
        if name not in _SWITCHES and not _SWITCH.match(name):
            while place < len(words) and not _is_flag(words[place].text):
                values.append(words[place])
                place += 1
                if not any(means(name, one) for one in _LISTS):
                    break
        flags.append(Flag(name, key, tuple(values), word.where))
    return tuple(flags), tuple(free)


def _is_flag(text: str) -> bool:
    return re.match(r"--?[A-Za-z]", text) is not None


def means(written: str, name: str) -> bool:
    """Whether argparse takes what is written for this flag: the whole, or the beginning of it."""
    return written == name or (len(written) > 4 and written not in _WHOLE and name.startswith(written))
