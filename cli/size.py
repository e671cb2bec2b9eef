"""`sovereign size MODEL`: does the model fit, on which GPUs, and where does the memory go?"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from cli import output, workspace
from cli.errors import EXIT_CODES, PASS, REFUSED, BadInput
from facts import gpus, models, sizing
from facts.gpus import Gpu
from facts.site import Site
from facts.sizing import Demand, Fit

if TYPE_CHECKING:
    from stacks.settings import Settings


@click.command("size", short_help="Does a model fit, and on which GPUs?", epilog=EXIT_CODES)
@click.argument("model")
@click.option(
    "--quantization",
    default="fp8",
    show_default=True,
    help="How the weights are stored: bf16, fp8, int4, nvfp4.",
)
@click.option("--gpu", "gpu_name", help="One kind of GPU, such as H100-80. Default: all of the catalogue.")
@click.option("--count", type=click.IntRange(1), help="GPUs of one engine. Default: the fewest that fit.")
@click.option(
    "--context",
    type=click.IntRange(1),
    default=32768,
    show_default=True,
    help="Tokens of one request at most.",
)
@click.option(
    "--concurrency", type=click.IntRange(1), default=8, show_default=True, help="Such requests at once."
)
@click.option(
    "--cache", "cache_name", help="Keys and values: fp8 or bf16. Default: fp8 where the GPU runs it."
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    model: str,
    quantization: str,
    gpu_name: str | None,
    count: int | None,
    context: int,
    concurrency: int,
    cache_name: str | None,
    as_json: bool,
) -> None:
    """Sizes MODEL: weights, cache of keys and values for CONTEXT x CONCURRENCY tokens, activations, runtime.

    Exit code 0: it fits; 1: it doesn't, and `would_fit` says what would. The formulas and how sure they are:
    docs/sizing.md.

    \b
    Examples:
      sovereign size llama-3.3-70b
      sovereign size llama-3.3-70b --gpu H100-80 --count 2 --context 32768 --concurrency 12
      sovereign size llama-3.3-70b --quantization int4 --gpu L40S --json
    """
    demand = Demand(
        model=models.find(model, workspace.current().models_file),
        quantization=gpus.quantization(quantization),
        context=context,
        concurrency=concurrency,
        cache=gpus.cache_type(cache_name) if cache_name else None,
    )
    if count is not None and gpu_name is None:
        raise BadInput("--count says how many of which GPU: give --gpu too, such as --gpu H100-80.")
    chosen = [gpus.gpu(gpu_name)] if gpu_name else list(gpus.all_gpus().values())
    fitting = sizing.would_fit(demand, gpus.all_gpus().values())
    answer = _answer(demand, chosen, count, fitting)
    if as_json:
        output.emit_json(as_data(answer, fitting))
    else:
        click.echo(_text(demand, answer, fitting, every=gpu_name is None))
    ctx.exit(PASS if answer.fits else REFUSED)


def _answer(demand: Demand, chosen: list[Gpu], count: int | None, fitting: tuple[Fit, ...]) -> Fit:
    """The GPUs asked for; else the smallest that fit; else the largest that were tried."""
    if count is not None:
        return sizing.fit(demand, chosen[0], count)
    best = next((fit for fit in fitting if fit.gpu in chosen), None)
    tried = (sizing.fit(demand, gpu, sizing.COUNTS[-1]) for gpu in chosen if gpu.slice is None)
    return best or max(tried, key=lambda fit: fit.available, default=sizing.fit(demand, chosen[0], 1))


def as_data(answer: Fit, fitting: tuple[Fit, ...]) -> dict[str, Any]:
    """What --json prints; sizes in GiB over all GPUs of an engine."""
    return {
        "fits": answer.fits,
        "needed_gib": round(answer.needed, 2),
        "available_gib": round(answer.available, 2),
        "parts": {name: round(size, 2) for name, size in answer.parts.items()},
        "would_fit": [
            {"gpu": fit.gpu.name, "count": fit.count, "cache": fit.cache.name, "kernel": fit.kernel}
            for fit in fitting
        ],
        "gpu": answer.gpu.name,
        "count": answer.count,
        "cache": answer.cache.name,
        "cache_tokens": answer.tokens,
        "kernel": answer.kernel,
        "reasons": list(answer.reasons),
    }


def _text(demand: Demand, answer: Fit, fitting: tuple[Fit, ...], every: bool) -> str:
    asked = (
        f"{demand.model.name} {demand.quantization.name}, {demand.concurrency} x {demand.context:,} tokens "
        f"at once"
    )
    rows = [(name, f"{size:8.1f}") for name, size in answer.parts.items()]
    rows += [("needed", f"{answer.needed:8.1f}"), ("available", f"{answer.available:8.1f}")]
    lines = [
        f"{asked}, on {answer.name} with a {answer.cache.name} cache:",
        output.table(("PART", "     GiB"), rows),
    ]
    if every or not answer.fits:
        lines += ["", "What would fit:", table(fitting) if fitting else "nothing in the catalogue."]
    said = " ".join(answer.reasons)
    room = f"room for {answer.tokens:,} tokens; {answer.kernel}"
    if not answer.gpu.nvlink and answer.count > 1:
        room += "; no NVLink: every layer waits for PCIe"
    lines += [
        "",
        f"{output.paint('fits', 'green')}: {room}"
        if answer.fits
        else f"{output.paint('does not fit', 'red')}: {said}",
    ]
    return "\n".join(lines)


def of_stack(settings: "Settings", site: Site) -> list[dict[str, Any]]:
    """How each model of a stack fits where its settings put it, and what a change of it costs."""
    from components.serving.vllm import downtime
    from stacks import served

    fits = served.fits(settings, site)
    return [
        {
            "model": model.name,
            "engines": f"{model.replicas} x {fits[model.name].name}",
            "quantization": model.demand.quantization.name,
            "fits": fits[model.name].fits,
            "needed_gib": round(fits[model.name].needed, 1),
            "available_gib": round(fits[model.name].available, 1),
            "cache_tokens": fits[model.name].tokens,
            "asked_tokens": model.demand.context * model.demand.concurrency,
            "change": downtime(model, given.weights.read_rate * 1_000_000),
        }
        for model, given in zip(served.served(settings, site), settings.models, strict=True)
    ]


def tell(sized: list[dict[str, Any]], report: Callable[[str], None]) -> None:
    """The sizing of a stack as lines of progress, before anything is planned."""
    for one in sized:
        verdict = "fits" if one["fits"] else "does not fit"
        report(
            f"{one['model']} {one['quantization']}, {one['engines']}: {verdict}, {one['needed_gib']} of "
            f"{one['available_gib']} GiB; room for {one['cache_tokens']:,} tokens, "
            f"{one['asked_tokens']:,} asked"
        )
        report(f"{one['model']}: {one['change'][:1].lower()}{one['change'][1:].removesuffix('.')}")


def table(fitting: tuple[Fit, ...]) -> str:
    """GPUs that would do, the fewest first."""
    return output.table(
        ("GPUS", "NEEDED GiB", "AVAILABLE", "TOKENS", "CACHE", "LINK", "KERNEL"),
        [
            (
                fit.name,
                f"{fit.needed:.1f}",
                f"{fit.available:.1f}",
                f"{fit.tokens:,}",
                fit.cache.name,
                "-" if fit.count == 1 else "nvlink" if fit.gpu.nvlink else "pcie",
                fit.kernel,
            )
            for fit in fitting
        ],
    )
