"""The outputs of what collects logs, metrics and alerts, read from settings (kinds: facts/sinks.yaml)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from facts.words import plain
from policies import entries
from policies.documents import Unparsable
from policies.model import Node

_FLUENT_BIT = re.compile(r"^[ \t]*\[OUTPUT\]", re.IGNORECASE | re.MULTILINE)
_FLUENTD = re.compile(r"^[ \t]*<(?:match|store)\b", re.MULTILINE)
_OUTPUTS = re.compile(
    r"\[OUTPUT\]|<match|<store|\b(?:clients|contactPoints|outputs|receivers|remote_?(?:read|write)|sinks)\b",
    re.IGNORECASE,
)
_TAG = re.compile(r"<(/?)(\w+)[^>]*>")

#: Of a Prometheus and of a promtail, the lists whose items each say where something is sent.
_LISTS = ("clients", "remote_read", "remote_write", "remoteRead", "remoteWrite")
#: Where Alertmanager keeps what receivers of a kind don't say themselves, by the beginning of the key.
_GLOBAL = {"email": "smtp"}


@dataclass(frozen=True)
class Output:
    """An output of a tool. `settings` by plain key; `where` is what a finding about the whole names."""

    tool: str
    kind: str
    where: Node
    settings: Mapping[str, tuple[Node, ...]]


def of_text(node: Node) -> Iterator[Output]:
    """The outputs in settings that are text: in Fluent Bit's and Fluentd's own formats, or one mapping."""
    text = node.text() or ""
    if not _OUTPUTS.search(text):
        return  # most texts hold none, and needn't be taken apart
    if _FLUENT_BIT.search(text):
        yield from _fluent_bit(node, text)
    if _FLUENTD.search(text):
        yield from _fluentd(node, text)
    try:
        documents = entries.mappings(node)
    except Unparsable:
        return
    for document in documents:
        yield from of_mapping(document)


def of_mapping(settings: Node) -> Iterator[Output]:
    """The outputs in settings that are one mapping: of Fluent Bit, Vector, Prometheus, promtail, Alertmanager
    and Grafana's alerting."""
    for one in settings["pipeline"]["outputs"].each() if _has(settings, list, "pipeline", "outputs") else ():
        yield _output("fluent-bit", one["name"].text(), one)
    for _, one in settings["sinks"].members() if _has(settings, Mapping, "sinks") else ():
        yield _output("vector", one["type"].text(), one)
    for key in _LISTS:
        listed = settings[key]
        for one in listed.each() if listed.opaque or isinstance(listed.value, list) else ():
            yield _output("prometheus", key, one)
    if _has(settings, list, "receivers") and _has(settings, Mapping, "route"):
        yield from alertmanager(settings["receivers"], settings["global"])
    for point in settings["contactPoints"].each() if _has(settings, list, "contactPoints") else ():
        for one in point["receivers"].each():
            yield _output("grafana", one["type"].text(), one["settings"])


def alertmanager(receivers: Node, common: Node) -> Iterator[Output]:
    """The outputs of Alertmanager's receivers; `common` is what they share."""
    for receiver in receivers.each():
        for name, configs in receiver.members():
            kind = re.fullmatch(r"(\w+?)_?[cC]onfigs", name)
            for config in configs.each() if kind else ():
                assert kind is not None
                yield _receiver(kind.group(1), config, common)


def fluent_operator(spec: Node) -> Iterator[Output]:
    """The outputs of a (Cluster)Output of fluent-operator: each member that is a mapping is a plugin's."""
    for name, plugin in spec.members():
        if name == "customPlugin":
            text = plugin["config"].text() or ""
            yield from _fluent_bit(plugin["config"], f"[OUTPUT]\n{text}")
        elif plugin.opaque or isinstance(plugin.value, Mapping):
            yield _output("fluent-bit", name, plugin)


def _receiver(kind: str, config: Node, common: Node) -> Output:
    settings = _settings(config)
    prefix = plain(_GLOBAL.get(kind, kind))
    for key, node in common.members():
        if plain(key).startswith(prefix):
            settings.setdefault(plain(key).removeprefix(prefix), (node,))
    return Output("alertmanager", plain(kind), config, settings)


def _output(tool: str, kind: str | None, node: Node) -> Output:
    return Output(tool, plain(kind or ""), node, _settings(node))


def _settings(node: Node) -> dict[str, tuple[Node, ...]]:
    """All settings of an output by plain key, those of sections within it too."""
    found: dict[str, tuple[Node, ...]] = {}
    for key, value in node.members():
        found[plain(key)] = (*found.get(plain(key), ()), value)
        if isinstance(value.value, Mapping):
            for inner, nodes in _settings(value).items():
                found[inner] = (*found.get(inner, ()), *nodes)
    return found


def _has(settings: Node, shape: type, *keys: str) -> bool:
    """Whether settings hold a list, or a mapping, where a tool has its outputs; others use such names too."""
    value = settings.value
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return isinstance(value, shape)


def _fluent_bit(node: Node, text: str) -> Iterator[Output]:
    """Sections of `Key value` lines, each under its `[NAME]`."""
    section: dict[str, list[str]] | None = None
    for line in (*text.splitlines(), "[END]"):
        words = line.strip().split(None, 1)
        if line.strip().startswith("["):
            if section is not None:
                yield _written("fluent-bit", section.get("name", [""])[0], node, section)
            section = {} if line.strip().upper() == "[OUTPUT]" else None
        elif section is not None and len(words) == 2:
            section.setdefault(plain(words[0]), []).append(words[1])


def _fluentd(node: Node, text: str) -> Iterator[Output]:
    """`<match>` and `<store>` sections; what stands in sections within them is theirs too, save `@type`."""
    sections: list[tuple[str, dict[str, list[str]]]] = []
    for line in text.splitlines():
        tag = _TAG.match(line.strip())
        words = line.strip().split(None, 1)
        if tag and tag.group(1):
            name, section = sections.pop() if sections else ("", {})
            if name in ("match", "store"):
                yield _written("fluentd", section.get("@type", [""])[0], node, section)
        elif tag:
            own = tag.group(2) in ("match", "store") or not sections
            sections.append((tag.group(2), {} if own else sections[-1][1]))
        elif sections and len(words) == 2 and (words[0] != "@type" or sections[-1][0] in ("match", "store")):
            sections[-1][1].setdefault(plain(words[0]), []).append(words[1].strip("\"'"))


def _written(tool: str, kind: str, node: Node, section: Mapping[str, list[str]]) -> Output:
    settings = {
        key: tuple(Node(text, node.path, node.touched) for text in texts) for key, texts in section.items()
    }
    return Output(tool, plain(kind), node, settings)
