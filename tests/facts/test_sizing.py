"""Sizing against published figures, and what must hold of any model, GPU and demand."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facts import gpus, models, sizing
from facts.catalogue import CatalogueError
from facts.sizing import GIB, Demand, fit, would_fit

ROOT = Path(__file__).resolve().parents[2]
LLAMA_70B = models.find("llama-3.3-70b")
LLAMA_8B = models.find("llama-3.1-8b")
H100 = gpus.gpu("H100-80")


def demand(
    quantization: str = "fp8", context: int = 32768, concurrency: int = 8, cache: str | None = None
) -> Demand:
    chosen = gpus.cache_type(cache) if cache else None
    return Demand(LLAMA_70B, gpus.quantization(quantization), context, concurrency, chosen)


def test_parameters_are_those_of_the_model_cards() -> None:
    assert LLAMA_70B.parameters == 70_553_706_496  # meta-llama/Llama-3.1-70B, safetensors metadata
    assert LLAMA_8B.parameters == 8_030_261_248  # meta-llama/Llama-3.1-8B, safetensors metadata
    assert models.find("llama-3.2-1b").parameters == 1_235_814_400  # meta-llama/Llama-3.2-1B


@pytest.mark.parametrize(
    ("quantization", "gigabytes", "source"),
    [
        ("bf16", 141.1, "meta-llama/Llama-3.3-70B-Instruct, sum of the safetensors files"),
        ("fp8", 72.7, "RedHatAI Llama-3.3-70B w8a8 repository, sum of files"),
        ("int4", 39.77, "Llama 70B AWQ repositories on Hugging Face, sum of files"),
    ],
)
def test_weights_are_as_large_as_published_repositories(
    quantization: str, gigabytes: float, source: str
) -> None:
    size = sizing.weights(LLAMA_70B, gpus.quantization(quantization)) / 1e9
    assert size == pytest.approx(gigabytes, rel=0.002), source


def test_cache_per_token_is_as_published() -> None:
    bf16, fp8 = gpus.cache_type("bf16"), gpus.cache_type("fp8")
    assert sizing.cache_per_token(LLAMA_8B, bf16) == 131_072  # docs.rs kv-cache-size, Llama 3.1 8B
    assert sizing.cache_per_token(LLAMA_70B, bf16) == 327_680
    assert sizing.cache_per_token(LLAMA_70B, fp8) == 163_840


@pytest.mark.parametrize(
    ("count", "weights", "activations", "runtime"),
    [(1, 14.96, 1.26, 1.79), (2, 7.48, 1.26, 3.58)],
)
def test_an_engine_takes_what_the_memory_profile_of_vllm_shows(
    count: int, weights: float, activations: float, runtime: float
) -> None:
    """vllm-project/vllm#10511, "Memory profiling results" of Meta-Llama-3-8B on H100, a GPU's share."""
    found = fit(Demand(LLAMA_8B, gpus.quantization("bf16"), 8192, 1), H100, count)
    share = {name: size / count for name, size in found.parts.items()}
    assert share["weights"] == pytest.approx(weights, abs=0.01)
    assert share["activations"] == pytest.approx(activations, abs=0.05)
    assert share["runtime"] == pytest.approx(runtime, abs=0.05)


def test_the_cache_left_is_what_vllm_found() -> None:
    """The same profile: 53.29 GiB for the cache of 79.22 GiB, at 0.90."""
    found = fit(Demand(LLAMA_8B, gpus.quantization("bf16"), 8192, 1), H100, 1)
    left = 0.90 * 79.22 - (found.needed - found.parts["cache"])
    assert left == pytest.approx(53.29, abs=0.1)


def test_where_nvidia_measured_saturation_the_cache_is_full() -> None:
    """docs.nvidia.com/nim/benchmarking: Llama 3.3 70B FP8 on 2 x H100-80, 5,000 tokens in and 500 out: at 50
    requests throughput still grows (814 tokens/s), at 100 the first token takes 8 s."""
    assert fit(demand(context=5500, concurrency=50), H100, 2).fits
    assert not fit(demand(context=5500, concurrency=100), H100, 2).fits


def kaito(weights: float, per_token: float, tokens: int, count: int) -> float:
    """GiB that KAITO asks of `count` GPUs (kaito-project/kaito, pkg/workspace/estimator/budget.go):
    weights grow by 2 %, each GPU has an overhead of 2.3 GiB and 5 % of its share of the weights."""
    return (weights * 1.02 + per_token * tokens) / GIB + count * (2.3 + 0.05 * weights / count / GIB)


@pytest.mark.parametrize(
    ("quantization", "gpu", "count"),
    [("fp8", "H100-80", 2), ("fp8", "H200", 1), ("int4", "A100-80", 2), ("bf16", "A100-80", 4)],
)
def test_it_asks_for_nearly_what_kaito_asks_for(quantization: str, gpu: str, count: int) -> None:
    asked = demand(quantization)
    ours = fit(asked, gpus.gpu(gpu), count)
    per_token = sizing.cache_per_token(LLAMA_70B, ours.cache)
    theirs = kaito(sizing.weights(LLAMA_70B, asked.quantization), per_token, 8 * 32768, count)
    assert ours.needed == pytest.approx(theirs, rel=0.05)
    row = f"| {quantization} on {count} x {gpu} | {ours.needed:.1f} | {theirs:.1f} |"
    assert row in (ROOT / "docs" / "sizing.md").read_text(encoding="utf-8")


def test_reference_cases() -> None:
    assert fit(demand(), H100, 2).fits
    assert fit(demand(), gpus.gpu("H200"), 1).fits
    assert not fit(demand(), H100, 1).fits
    assert not fit(demand("bf16"), H100, 2).fits
    assert not fit(demand("int4", context=8192, concurrency=1), gpus.gpu("A100-40"), 1).fits
    assert not fit(demand("int4", context=8192, concurrency=1), gpus.gpu("L40S"), 1).fits


@pytest.mark.parametrize(
    ("asked", "gpu", "count", "reason"),
    [
        (demand(), "H100-80", 3, "can't share llama-3.3-70b's 64 attention heads"),
        (demand(context=200_000), "H100-80", 8, "beyond llama-3.3-70b's context of 131,072"),
        (demand(cache="fp8"), "A100-80", 8, "no fp8 cache on A100-80"),
        (demand("nvfp4"), "MI300X", 8, "No kernel for nvfp4 on MI300X"),
        (demand("bf16"), "H100-80", 2, "GiB are needed and 145.5 GiB are there"),
        (demand(), "H100-MIG-3G40", 2, "one MIG slice only"),
    ],
)
def test_what_can_t_be_is_refused_with_its_reason(asked: Demand, gpu: str, count: int, reason: str) -> None:
    found = fit(asked, gpus.gpu(gpu), count)
    assert not found.fits
    assert any(reason in said for said in found.reasons), found.reasons


@pytest.mark.parametrize("find", [models.find, gpus.gpu, gpus.quantization, gpus.cache_type])
def test_an_unknown_name_is_answered_with_what_there_is(find) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(CatalogueError, match=r"There is no .* 'fp-eight' in the catalogue\..* It has "):
        find("fp-eight")


def test_a_site_adds_a_model(tmp_path: Path) -> None:
    own = tmp_path / "models.yaml"
    kit = (ROOT / "facts" / "models.yaml").read_text(encoding="utf-8")
    own.write_text(kit.replace("llama-3.1-8b:", "hospital-8b:"), encoding="utf-8")
    assert models.find("hospital-8b", own).layers == 32
    own.write_text("models: {odd: {layers: many}}", encoding="utf-8")
    models.all_models.cache_clear()
    with pytest.raises(CatalogueError, match=r"models\.odd\.layers: is missing or no whole number"):
        models.find("odd", own)


def test_simulated_nodes_have_the_memory_that_the_catalogue_says() -> None:
    simulated = (ROOT / "toolchain" / "cluster" / "gpus.yaml").read_text(encoding="utf-8")
    for product, mebibytes in re.findall(r"^(\S+): (\d+)$", simulated, re.MULTILINE):
        known = gpus.gpu_of_product(product)
        assert 0.94 <= known.memory * 1024 / int(mebibytes) <= 1.0, product


ANY_MODEL = st.sampled_from(sorted(models.all_models()))
ANY_GPU = st.sampled_from(sorted(name for name, gpu in gpus.all_gpus().items() if gpu.slice is None))
ANY_QUANTIZATION = st.sampled_from(sorted(gpus.all_quantizations()))
TOKENS = st.integers(1, 131_072)
REQUESTS = st.integers(1, 512)


@given(
    ANY_MODEL, ANY_QUANTIZATION, ANY_GPU, st.sampled_from(sizing.COUNTS), TOKENS, TOKENS, REQUESTS, REQUESTS
)
def test_more_context_never_needs_less_memory(
    model: str, quantization: str, gpu: str, count: int, context: int, more: int, at_once: int, extra: int
) -> None:
    shape, stored = models.find(model), gpus.quantization(quantization)
    small = fit(Demand(shape, stored, min(context, more), at_once), gpus.gpu(gpu), count)
    large = fit(Demand(shape, stored, max(context, more), at_once + extra), gpus.gpu(gpu), count)
    assert large.needed >= small.needed
    assert small.fits or not large.fits


@given(ANY_MODEL, ANY_QUANTIZATION, ANY_GPU, TOKENS, REQUESTS)
def test_more_gpus_never_fit_less(
    model: str, quantization: str, gpu: str, context: int, concurrency: int
) -> None:
    asked = Demand(models.find(model), gpus.quantization(quantization), context, concurrency)
    answers = [fit(asked, gpus.gpu(gpu), count) for count in sizing.COUNTS]
    assert [one.fits for one in answers] == sorted(one.fits for one in answers)
    assert [one.tokens for one in answers] == sorted(one.tokens for one in answers)


@given(ANY_MODEL, ANY_QUANTIZATION, ANY_GPU, st.sampled_from(sizing.COUNTS), TOKENS, REQUESTS)
def test_what_fits_has_room_for_what_was_asked(
    model: str, quantization: str, gpu: str, count: int, context: int, concurrency: int
) -> None:
    asked = Demand(models.find(model), gpus.quantization(quantization), context, concurrency)
    found = fit(asked, gpus.gpu(gpu), count)
    assert found.needed == pytest.approx(sum(found.parts.values()))
    if found.fits:
        assert found.tokens >= context * concurrency
        assert any(one.gpu == found.gpu and one.count <= count for one in would_fit(asked, [found.gpu]))
