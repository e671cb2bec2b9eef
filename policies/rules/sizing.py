"""Models that don't fit where they are put: the engine would fail at start, after everything else stands."""

import json
import re
from collections.abc import Iterator

from facts import gpus, models, sizing
from facts.catalogue import CatalogueError
from facts.models import Model
from facts.sizing import Demand
from facts.zones import Zone
from policies import vllm
from policies.kubernetes import PODS, quiet
from policies.rule import Hit, Subject, rule
from policies.vllm import Engine

_SAID = ("architecture", "shape", "quantization", "gpu", "concurrency", "cache")
#: vLLM over several nodes: NCCL between them needs ways out that a sealed engine doesn't have
_SEVERAL_NODES = ("pipeline-parallel-size", "data-parallel-size", "nnodes")


@rule(
    "engine.sizing",
    title="A model fits the GPUs that its engine asks for",
    routes=["S01"],
    controls=["HIPAA 164.308(a)(7)", "AI Act 15"],
    fix="Choose GPUs, their number, a quantization or a shorter context that fits: `sovereign size` shows "
    "what would.",
    pack="protection",
    kinds=PODS,
)
def fits(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Weights, cache of keys and values for the context and concurrency that are promised, activations
    and runtime are held against the memory of the GPUs that the pod asks for. The pod says in annotations
    what it serves (llm.kit/architecture, quantization, gpu, concurrency, cache); a vLLM that says nothing is
    held only to having as many GPUs as --tensor-parallel-size."""
    for engine in vllm.engines(subject):
        yield from _one_node(subject, engine)
        parallel = _parallel(engine)
        yield from _requested(subject, engine, parallel)
        said = quiet(engine.container.pod.annotations)
        found = {name: said[f"llm.kit/{name}"].text() for name in _SAID}
        if found["architecture"] is None:
            continue
        yield from _fit(subject, engine, found, parallel)


def _one_node(subject: Subject, engine: Engine) -> Iterator[Hit]:
    for flag in engine.flags(*_SEVERAL_NODES):
        if flag.value.text != "1":
            yield subject.refuse(
                flag.where,
                seen=f"--{flag.name} {flag.value.text}",
                why="engines over several nodes come later: their traffic is in clear on all interfaces",
            )


def _requested(subject: Subject, engine: Engine, parallel: int) -> Iterator[Hit]:
    limits = engine.container.node["resources"]["limits"]
    for name, amount in limits.members():
        whole = re.search(r"/(gpu|mig-[\w.]+)$", name)
        asked = str(amount.value)
        if whole and not amount.opaque and asked != str(parallel):
            yield subject.refuse(
                amount,
                seen=f"{name}: {asked if asked.isdecimal() else 'no number'}",
                why=f"--tensor-parallel-size is {parallel}: each rank takes one GPU of this node",
            )


def _fit(subject: Subject, engine: Engine, said: dict[str, str | None], parallel: int) -> Iterator[Hit]:
    annotations = engine.container.pod.annotations
    length = next((flag.value.text for flag in engine.flags("max-model-len")), "")
    try:
        demand = Demand(
            model=_model(said["architecture"] or "", said["shape"]),
            quantization=gpus.quantization(said["quantization"] or ""),
            context=int(length),
            concurrency=int(said["concurrency"] or ""),
            cache=gpus.cache_type(said["cache"] or ""),
        )
        fit = sizing.fit(demand, gpus.gpu(said["gpu"] or ""), parallel)
    except CatalogueError as error:
        yield subject.undecided(annotations, seen="what is served", why=str(error))
        return
    except ValueError:
        yield subject.undecided(
            annotations,
            seen="what is served",
            why="--max-model-len and llm.kit/concurrency must be numbers, llm.kit/shape JSON",
        )
        return
    if not fit.fits:
        yield subject.refuse(
            engine.container.node["resources"],
            seen=f"{fit.name}",
            why=f"{' '.join(fit.reasons)} {sizing.would(demand, gpus.all_gpus().values())}",
        )


def _model(name: str, shape: str | None) -> Model:
    """From the catalogue; a site's own model says its shape."""
    if name in models.all_models() or shape is None:
        return models.find(name)
    return models.of_shape(name, json.loads(shape), "llm.kit/shape")


def _parallel(engine: Engine) -> int:
    text = next((flag.value.text for flag in engine.flags("tensor-parallel-size")), "1")
    return int(text) if text.isdecimal() else 1
