"""Flags and variables that the pinned vLLM doesn't know: it would exit at start, or ignore what was meant."""

from collections.abc import Iterator

from facts import flags
from facts.zones import Zone
from policies import vllm
from policies.kubernetes import PODS, quiet
from policies.rule import Hit, Subject, rule
from policies.vllm import Engine

_VERSION = "llm.kit/engine-version"
#: variables that Kubernetes makes of a Service called vllm, and that a platform may set for itself
_PREFIX = "VLLM_"


@rule(
    "engine.flags",
    title="vLLM is told only what its version knows",
    routes=["S02"],
    controls=["HIPAA 164.308(a)(7)", "AI Act 15"],
    fix="Take the flag that replaced it, or leave it out; `python -m facts.flags VERSION` makes the table of "
    "another version.",
    pack="protection",
    kinds=PODS,
)
def known(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """An unknown or removed flag makes vLLM exit at start: the plan is applied and no engine comes up. An
    unknown VLLM_ variable is ignored, so what it was to switch off stays on. The names are read from the
    published wheels; the pod says its version in the annotation llm.kit/engine-version, else it is taken for
    the pinned one."""
    for engine in vllm.engines(subject):
        said = quiet(engine.container.pod.annotations)[_VERSION].text()
        version = said or flags.PINNED
        if version not in flags.versions():
            yield subject.undecided(
                engine.container.pod.annotations,
                seen=f"{_VERSION}: {version}",
                why=f"there is a table of flags for {', '.join(flags.versions())} only",
            )
            continue
        yield from _flags(subject, engine, flags.table(version))
        yield from _variables(subject, engine, flags.table(version))


def _flags(subject: Subject, engine: Engine, table: flags.Table) -> Iterator[Hit]:
    for flag in engine.written:
        if not any(vllm.means(flag.name, known) for known in table.flags):
            yield subject.refuse(
                flag.where,
                seen=f"--{flag.name}",
                why=f"vLLM {table.version} declares no such flag: {flags.advice(flag.name, table)}",
            )


def _variables(subject: Subject, engine: Engine, table: flags.Table) -> Iterator[Hit]:
    for name, where in engine.names():
        if name.startswith(_PREFIX) and name not in table.environment:
            yield subject.refuse(where, seen=name, why=f"vLLM {table.version} doesn't know it and ignores it")
