"""Time budgets that disagree: an engine is killed while it loads, or while it answers."""

from collections.abc import Iterator

from facts import budgets
from facts.zones import Zone
from policies import vllm
from policies.kubernetes import PODS, quiet
from policies.model import Node
from policies.rule import Hit, Subject, rule
from policies.vllm import Engine

#: vLLM 0.33, vllm/envs.py VLLM_ENGINE_READY_TIMEOUT_S and the default of --shutdown-timeout
_READY_DEFAULT, _DRAIN_DEFAULT = 600, 0
#: Kubernetes' defaults (core/v1 Probe, PodSpec)
_PERIOD, _FAILURES, _GRACE = 10, 3, 30
#: seconds that a server which is only busy may leave a probe unanswered
_BUSY = 30


@rule(
    "engine.budgets",
    title="Start, drain and kill of an engine leave each other time",
    routes=["S03"],
    controls=["HIPAA 164.308(a)(7)", "HDS EXI 05"],
    fix="Let the kit render the times from the weights and the read rate (facts/budgets.py), or raise the "
    "one that is too short.",
    pack="protection",
    severity="medium",
    kinds=PODS,
)
def agree(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """The start-up probe must wait as long as the engine itself does (VLLM_ENGINE_READY_TIMEOUT_S), and that
    as long as the weights take to be read; the liveness probe must bear a busy server; readiness must fail
    before the server stops listening; preStop and --shutdown-timeout must end before the kill."""
    for engine in vllm.engines(subject):
        yield from _start(subject, engine)
        yield from _life(subject, engine)
        yield from _stop(subject, engine)


def _start(subject: Subject, engine: Engine) -> Iterator[Hit]:
    probe, ready = engine.container.node["startupProbe"], _ready(engine)
    if not probe.absent and (waits := _reach(probe)) is not None and waits < ready:
        yield subject.refuse(
            probe,
            seen=f"{waits:.0f} s",
            why=f"the engine gives itself {ready:.0f} s to become ready, and the probe kills it before",
        )
    said = quiet(engine.container.pod.annotations)
    weights, rate = (_seconds(said[key].text()) for key in ("llm.kit/weights-bytes", "llm.kit/read-rate"))
    needed = budgets.ready_seconds(int(weights), int(rate)) if weights and rate else 0
    if ready < needed:
        yield subject.refuse(
            engine.container.node["env"],
            seen=f"VLLM_ENGINE_READY_TIMEOUT_S: {ready:.0f}",
            why=f"{weights / 1e9:.0f} GB at {rate / 1e6:.0f} MB/s may take {needed} s in all",
        )


def _life(subject: Subject, engine: Engine) -> Iterator[Hit]:
    probe = engine.container.node["livenessProbe"]
    if (waits := _reach(probe)) is not None and waits < _BUSY:
        yield subject.refuse(
            probe, seen=f"{waits:.0f} s", why=f"a server that is only busy for {_BUSY} s is killed"
        )


def _stop(subject: Subject, engine: Engine) -> Iterator[Hit]:
    pod, container = engine.container.pod, engine.container.node
    drain = max(
        (_seconds(flag.value.text) for flag in engine.flags("shutdown-timeout")), default=_DRAIN_DEFAULT
    )
    leave = container["lifecycle"]["preStop"]["sleep"]["seconds"].number() or 0
    grace = _or(pod.spec["terminationGracePeriodSeconds"], _GRACE)
    if grace is not None and grace <= leave + drain:
        yield subject.refuse(
            pod.spec["terminationGracePeriodSeconds"],
            seen=f"{grace:.0f} s",
            why=f"preStop takes {leave:.0f} s and the drain {drain:.0f} s: requests in flight are cut off",
        )
    readiness = container["readinessProbe"]
    if leave and not readiness.absent and (waits := _reach(readiness)) is not None and waits > leave:
        yield subject.refuse(
            readiness,
            seen=f"{waits:.0f} s",
            why=f"the server stops listening {leave:.0f} s after the order, before it counts as not ready",
        )


def _ready(engine: Engine) -> float:
    found = engine.setting("VLLM_ENGINE_READY_TIMEOUT_S")
    return _seconds(found.text, _READY_DEFAULT) if found else _READY_DEFAULT


def _reach(probe: Node) -> float | None:
    """Seconds until a probe that fails from the start on has its effect; None where it can't be told."""
    period, failures = _or(probe["periodSeconds"], _PERIOD), _or(probe["failureThreshold"], _FAILURES)
    delay = _or(probe["initialDelaySeconds"], 0)
    return None if period is None or failures is None or delay is None else delay + period * failures


def _or(node: Node, default: float) -> float | None:
    return default if node.absent else node.number()


def _seconds(text: str | None, default: float = 0) -> float:
    """The number that a text is; another where it is none."""
    try:
        return float(text or "")
    except ValueError:
        return default
