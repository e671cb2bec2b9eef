"""OpenTelemetry: spans carry prompts, so where they are sent matters as much as where the model runs."""

import re
from collections.abc import Iterator

from facts.zones import Zone
from policies import command_line, documents, kubernetes, vllm
from policies.command_line import Environment
from policies.kubernetes import PODS
from policies.model import Node
from policies.rule import Cel, Hit, Subject, rule
from policies.walkers import context, hosts

_CONTROLS = ("HDS EXI 26", "HIPAA 164.312(e)(1)", "GDPR 5(1)(c)", "GDPR 32", "SNC 12.14", "SNC 13.2")
_FIX = "Send spans to a collector of the zone, or leave tracing off."

#: opentelemetry.io/docs/specs/otel/protocol/exporter, and the older exporters for Jaeger and Zipkin.
_VARIABLE = re.compile(r"OTEL_EXPORTER_(?:\w+_)?(?:ENDPOINT|AGENT_HOST)")
_FLAG = re.compile(r"--[\w.-]*otlp[\w.-]*endpoint", re.IGNORECASE)

#: Exporters that go nowhere but where their settings say (opentelemetry-collector and -contrib, exporter/).
#: Others may have a destination of their own, so they can't be judged.
_EXPORTERS = frozenset(
    (
        "carbon",
        "clickhouse",
        "debug",
        "elasticsearch",
        "file",
        "kafka",
        "loadbalancing",
        "logging",
        "loki",
        "nop",
        "opensearch",
        "otlp",
        "otlp_grpc",
        "otlp_http",
        "otlphttp",
        "prometheus",
        "prometheusremotewrite",
        "syslog",
        "zipkin",
    )
)
#: Exporters that listen rather than call.
_LISTENERS = frozenset(["prometheus"])


@rule(
    "telemetry.workloads",
    title="Traces may go to a collector of the zone only",
    routes=["K24"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="egress",
    kinds=PODS,
    cel=[
        Cel(
            "variables.containers.all(c, !has(c.env) || c.env.all(e, "
            "!(e.name.startsWith('OTEL_EXPORTER_') && e.name.endsWith('ENDPOINT')) || "
            "!has(e.valueFrom) && (!has(e.value) || e.value == '' || isURL(e.value) && "
            "{hosts}.exists(h, url(e.value).getHostname().matches(h)))))"
        ),
        Cel(
            "variables.engines.all(c, !has(c.args) || c.args.all(a, "
            "!a.matches('^--otlp[-_]traces[-_]endpoint')))"
        ),
    ],
)
def workloads(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """OTEL_EXPORTER_OTLP_ENDPOINT and its kin, and vLLM's --otlp-traces-endpoint, send traces of requests,
    prompts with them, to whom they name. Unset, the exporter calls the pod itself."""
    for container in kubernetes.containers(subject):
        variables = Environment(container, subject)
        settings = command_line.assigned(container, variables)
        for name in sorted({*variables.variables, *settings}):
            found = vllm.setting(name, variables, settings) if _VARIABLE.fullmatch(name) else None
            if found is None:
                continue
            if found.text is not None:
                yield from _judge(subject, found.where, name, found.text, zone)
            else:
                yield subject.undecided(
                    found.where, seen=name, why="its value comes from what the plan doesn't show"
                )
        for where, text in _flags(container, variables):
            yield from _judge(subject, where, "--otlp-traces-endpoint", text, zone)
    for engine in vllm.engines(subject):
        for flag in engine.flags("otlp-traces-endpoint"):
            yield from _judge(subject, flag.value.where, "--otlp-traces-endpoint", flag.value.text, zone)


@rule(
    "telemetry.collectors",
    title="A collector may export to hosts of the zone only",
    routes=["K24"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="egress",
    kinds=["opentelemetry.io/OpenTelemetryCollector", "opentelemetry.io/Instrumentation"],
)
def collectors(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A collector passes on all that the workloads send it. Its exporters must lead to hosts of the zone; an
    exporter that may have a destination of its own, because it is made for one vendor's service, can't be
    judged."""
    endpoint = subject["spec"]["exporter"]["endpoint"]
    text = endpoint.text()
    if text is not None:
        yield from _judge(subject, endpoint, "exporter", text, zone)
    config = subject["spec"]["config"]
    if isinstance(config.value, str):
        try:
            [document] = documents.of_yaml(config.value, aliases=False)
            config = Node(document, config.path, config.touched)
        except (documents.Unparsable, ValueError):
            yield subject.undecided(
                config, seen="a config that is not plain YAML", why="its exporters can't be read"
            )
            return
    for name, exporter in config["exporters"].members():
        kind = name.partition("/")[0]
        if kind not in _EXPORTERS:
            yield subject.undecided(
                exporter,
                seen=f"exporter {kind}",
                why="it may have a destination of its own, which is not told here",
            )
        elif kind not in _LISTENERS:
            yield from _strings(subject, kind, "", exporter, zone)


def _strings(subject: Subject, kind: str, key: str, node: Node, zone: Zone) -> Iterator[Hit]:
    if isinstance(node.value, dict):
        for name, inner in node.members():
            yield from _strings(subject, kind, name, inner, zone)
    elif isinstance(node.value, list):
        for inner in node.each():
            yield from _strings(subject, kind, key, inner, zone)
    elif isinstance(node.value, str):
        if context.is_destination(key) or "://" in node.value:
            yield from _judge(subject, node, f"exporter {kind}", node.value, zone)
    else:
        node.opaque  # noqa: B018 - a marker here is remembered


def _judge(subject: Subject, where: Node, what: str, text: str, zone: Zone) -> Iterator[Hit]:
    if not text.strip():
        return
    if "$" in text:
        yield subject.undecided(where, seen=what, why="its value is only put in place when it runs")
        return
    host = hosts.host_of(text) or ""
    if not hosts.inside(host, zone):
        yield subject.refuse(
            where,
            seen=f"{what}: {host or 'no readable host'}",
            why=f"spans, with prompts in them, go outside zone {zone.name}",
        )


def _flags(container: kubernetes.Container, variables: Environment) -> Iterator[tuple[Node, str]]:
    """Values of flags that name an OTLP endpoint, in any container's command line."""
    for command in command_line.simple(container, variables):
        for place, word in enumerate(command.words):
            flag, equals, value = word.text.replace("_", "-").partition("=")[0], "=" in word.text, word.text
            if not _FLAG.fullmatch(flag):
                continue
            if equals:
                yield word.where, value.partition("=")[2]
            elif place + 1 < len(command.words):
                following = command.words[place + 1]
                yield following.where, following.text
