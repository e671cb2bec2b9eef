"""Does it fit? Weights, cache of keys and values, and the engine's own needs against the memory of GPUs.

    weights      linear parameters x bits / 8 + other parameters x 2 bytes (models.py, quantizations.yaml)
    cache        2 x layers x kv heads x head size x bits / 8 bytes a token (PagedAttention, arXiv 2309.06180,
                 section 3), copied where GPUs outnumber the kv heads
    activations  of one step, on each GPU: batched tokens x hidden size x 2 bytes x 20. The 20 is calibrated
                 on vLLM's memory profile of Llama 3 8B on H100 (vllm-project/vllm#10511: 1.26 GiB at 8,192
                 tokens, the same with one GPU and with two)
    runtime      CUDA context, NCCL and custom all-reduce on each GPU: 1.8 GiB alone, 3.6 GiB among several
                 (the same profile: non_torch_memory 1.79 and 3.58 GiB)

vLLM keeps to `UTILIZATION` of a GPU; CUDA graphs take from the rest. The two last parts are an estimate: an
engine's start-up line "GPU KV cache size" is what says how many tokens there really are.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from facts import gpus
from facts.gpus import Cache, Gpu, Quantization
from facts.models import Model

GIB = 2**30
#: the share of a GPU's memory that the engine may take (vLLM's default of --gpu-memory-utilization)
UTILIZATION = 0.92
#: tokens of one step: --max-num-batched-tokens
BATCHED_TOKENS = 8192
#: GPUs that an engine can take: a power of two, on one node
COUNTS = (1, 2, 4, 8)

_ACTIVATIONS = 20
_RUNTIME_ALONE = 1.8
_RUNTIME_AMONG_SEVERAL = 3.6


@dataclass(frozen=True)
class Demand:
    """What is asked: `context` tokens a request at most, `concurrency` such requests at once."""

    model: Model
    quantization: Quantization
    context: int
    concurrency: int
    cache: Cache | None = None  #: None: the smallest that the GPU runs and the quantization suggests


@dataclass(frozen=True)
class Fit:
    """The answer for one kind of GPU and a number of them; sizes in GiB over all of them together.

    `reasons` says in sentences why it doesn't fit, and is empty where it does. `tokens` is how many fit into
    the memory that weights, activations and runtime leave.
    """

    gpu: Gpu
    count: int
    cache: Cache
    needed: float
    available: float
    parts: dict[str, float]
    tokens: int
    reasons: tuple[str, ...]
    kernel: str | None

    @property
    def fits(self) -> bool:
        return not self.reasons

    @property
    def name(self) -> str:
        return f"{self.count} x {self.gpu.name}"


def weights(model: Model, quantization: Quantization) -> float:
    """Bytes of the weights, on disk as in memory."""
    return model.linear_parameters * quantization.bits / 8 + model.other_parameters * 2


def cache_per_token(model: Model, cache: Cache, count: int = 1) -> float:
    """Bytes of keys and values of one token, over `count` GPUs together."""
    copies = max(1, count / model.kv_heads)
    return 2 * model.layers * model.kv_heads * model.head_size * cache.bits / 8 * copies


def fit(demand: Demand, gpu: Gpu, count: int) -> Fit:
    """Sizes a demand on `count` GPUs of one node."""
    model, cache = demand.model, demand.cache or suggested_cache(demand.quantization, gpu)
    per_token = cache_per_token(model, cache, count)
    runtime = _RUNTIME_ALONE if count == 1 else _RUNTIME_AMONG_SEVERAL
    parts = {
        "weights": weights(model, demand.quantization) / GIB,
        "cache": per_token * demand.context * demand.concurrency / GIB,
        "activations": count * _ACTIVATIONS * BATCHED_TOKENS * model.hidden * 2 / GIB,
        "runtime": count * runtime,
    }
    available = count * gpu.memory * UTILIZATION
    needed = sum(parts.values())
    tokens = max(0, math.floor((available - needed + parts["cache"]) * GIB / per_token))
    kernel = demand.quantization.kernel(gpu)
    return Fit(
        gpu=gpu,
        count=count,
        cache=cache,
        needed=needed,
        available=available,
        parts=parts,
        tokens=tokens,
        reasons=tuple(_reasons(demand, gpu, count, cache, kernel, needed, available)),
        kernel=kernel,
    )


def suggested_cache(quantization: Quantization, gpu: Gpu) -> Cache:
    """FP8 for quantized weights where the GPU runs it, else 16 bits."""
    small = gpus.cache_type("fp8")
    return small if quantization.bits < 16 and small.runs_on(gpu) else gpus.cache_type("bf16")


def would_fit(demand: Demand, among: Iterable[Gpu]) -> tuple[Fit, ...]:
    """For each GPU the smallest number of them that fits; fewest GPUs first, then least memory."""
    found = []
    for gpu in among:
        tried = (fit(demand, gpu, count) for count in COUNTS)
        found += [first] if (first := next((one for one in tried if one.fits), None)) else []
    return tuple(sorted(found, key=lambda one: (one.count, one.available)))


def would(demand: Demand, among: Iterable[Gpu]) -> str:
    """What would fit, in a sentence."""
    options = would_fit(demand, among)
    if not options:
        return "Nothing in the catalogue would fit."
    return f"{', '.join(option.name for option in options[:5])} would fit."


def _reasons(
    demand: Demand,
    gpu: Gpu,
    count: int,
    cache: Cache,
    kernel: str | None,
    needed: float,
    available: float,
) -> Iterable[str]:
    model = demand.model
    if demand.context > model.context:
        yield f"{demand.context:,} tokens are beyond {model.name}'s context of {model.context:,}."
    if count not in COUNTS or model.heads % count or model.vocabulary % count or model.feed_forward % count:
        yield (
            f"{count} GPUs can't share {model.name}'s {model.heads} attention heads evenly: "
            f"take {', '.join(str(one) for one in COUNTS if model.heads % one == 0)}."
        )
    if count > gpu.per_node:
        yield f"One node has {gpu.per_node} x {gpu.name} at most, and engines over several nodes come later."
    if gpu.slice and count > 1:
        yield f"An engine can have one MIG slice only: {gpu.name} can't be joined to others."
    if kernel is None:
        yield f"No kernel for {demand.quantization.name} on {gpu.name} is known to vLLM 0.33."
    if not cache.runs_on(gpu):
        yield f"vLLM 0.33 has no {cache.name} cache on {gpu.name}: take bf16."
    if needed > available:
        yield f"{needed:.1f} GiB are needed and {available:.1f} GiB are there."
