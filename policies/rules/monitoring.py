"""Where logs, metrics and alerts are sent: they tell of prompts, of people, and of what the service does."""

from collections.abc import Iterator, Mapping

from facts import sinks
from facts.zones import Zone
from policies import entries, shippers, targets
from policies.entries import ENTRIES
from policies.model import Node
from policies.rule import Hit, Subject, rule
from policies.shippers import Output
from policies.walkers import places

_CONTROLS = ("HDS EXI 26", "HDS EXI 28", "HIPAA 164.312(e)(1)", "GDPR 5(1)(c)", "GDPR 32", "SNC 12.14")
_FIX = "Send it to a host of the zone, or to a region of the zone, and write where that is into the settings."

_PROMETHEUS = (
    "monitoring.coreos.com/Prometheus",
    "monitoring.coreos.com/PrometheusAgent",
    "monitoring.coreos.com/ThanosRuler",
)
_ALERTS = "monitoring.coreos.com/AlertmanagerConfig"
_ALERTMANAGER = "monitoring.coreos.com/Alertmanager"
_FLUENT = ("fluentbit.fluent.io/ClusterOutput", "fluentbit.fluent.io/Output")

#: Secrets from which Prometheus takes more of its settings (prometheus-operator.dev/docs/api-reference).
_MORE = (
    "additionalAlertManagerConfigs",
    "alertmanagersConfig",
    "objectStorageConfig",
)


@rule(
    "monitoring.settings",
    title="Settings of collectors may name sinks of the zone only",
    routes=["K27"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="egress",
    severity="critical",
    kinds=ENTRIES,
)
def settings(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Fluent Bit, Fluentd, Vector, Prometheus, promtail, Alertmanager and Grafana take their outputs from
    text in a ConfigMap or Secret. A vendor's output needs no address to leave: without one it goes to the
    vendor."""
    for _, node in entries.entries(subject):
        for output in shippers.of_text(node):
            yield from _output(subject, output, zone)


@rule(
    "monitoring.operators",
    title="Operators of collectors may be told sinks of the zone only",
    routes=["K27"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="egress",
    severity="critical",
    kinds=[*_PROMETHEUS, _ALERTS, _ALERTMANAGER, *_FLUENT],
)
def operators(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """The objects from which operators write those settings: remote writes of Prometheus, receivers of
    alerts, outputs of Fluent Bit. What they take from a Secret is judged there, so the Secret must be in the
    plan."""
    assert subject.resource is not None
    kind, spec = subject.resource.kind, subject["spec"]
    if kind == _ALERTS:
        outputs = shippers.alertmanager(spec["receivers"], spec["global"])
    elif kind in _FLUENT:
        outputs = shippers.fluent_operator(spec)
    else:
        outputs = shippers.of_mapping(spec)
    for output in outputs:
        yield from _output(subject, output, zone)
    yield from _secrets(subject, spec)


def _secrets(subject: Subject, spec: Node) -> Iterator[Hit]:
    """Secrets that hold more of the settings and that the plan doesn't show."""
    if (
        not spec["configSecret"].absent
        and entries.named(subject, "core/Secret", spec["configSecret"]) is None
    ):
        yield from _unseen(subject, spec["configSecret"])
    for part in (spec, spec["thanos"]):
        for key in _MORE:
            if not part[key].absent and entries.selected(subject, part[key]) is None:
                yield from _unseen(subject, part[key])


def _unseen(subject: Subject, where: Node) -> Iterator[Hit]:
    yield subject.undecided(
        where, seen="a Secret that the plan doesn't show", why="it says where more of this goes"
    )


def _output(subject: Subject, output: Output, zone: Zone) -> Iterator[Hit]:
    tool = sinks.tool(output.tool)
    if output.kind in tool.clouds:
        yield from _cloud(subject, output, tool.clouds[output.kind], zone)
    elif output.kind in tool.own or output.kind in tool.vendors:
        keys = tool.own.get(output.kind, tool.vendors.get(output.kind, ()))
        said = [node for key in keys for node in output.settings.get(key, ())]
        for node in said:
            yield from _target(subject, node, zone)
        if output.kind in tool.vendors and not said:
            yield subject.refuse(
                output.where,
                seen=f"{output.tool}: {output.kind}",
                why="without an address, it goes to the vendor's own service",
            )
    elif output.kind not in tool.local:
        yield subject.undecided(
            output.where,
            seen=f"an output of {output.tool} of a kind that is not known",
            why="it may have a destination of its own, which is not told here",
        )


def _cloud(subject: Subject, output: Output, keys: tuple[str, str], zone: Zone) -> Iterator[Hit]:
    endpoints, regions = (output.settings.get(key, ()) for key in keys)
    for node in endpoints:
        yield from _target(subject, node, zone)
    if endpoints:
        return
    if not regions:
        yield subject.refuse(
            output.where, seen="no region", why="the program's surroundings decide where it goes"
        )
    for node in regions:
        outside = places.judge_region(node.text() or "", places.providers_of("aws"), zone)
        if outside:
            yield subject.refuse(node, seen=output.kind, why=f"logs go to a region that {outside}")


def _target(subject: Subject, node: Node, zone: Zone) -> Iterator[Hit]:
    """A host or URL, a list of them, or a selector of a Secret's entry that holds one."""
    if isinstance(node.value, list):
        for item in node.each():
            yield from _target(subject, item, zone)
    elif isinstance(node.value, Mapping):
        found = entries.selected(subject, node)
        if found is None:
            yield from _unseen(subject, node)
        else:
            yield from targets.judge_text(subject, node, found.text() or "", zone, what="alerts")
    else:
        yield from targets.judge(subject, node, zone, what="logs, metrics or alerts")
