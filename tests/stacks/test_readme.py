"""stacks/README.md: each stack on AWS has its paragraph, and the figures in it are those of its settings."""

import re

import pytest

from facts import gpus, sizing
from facts.site import ROOT, Site
from stacks import aws, settings
from stacks.served import served

README = (ROOT / "stacks" / "README.md").read_text(encoding="utf-8")
SITE = Site(ROOT / "stacks")
STACKS = tuple(sorted(file.name.split(".")[1] for file in (ROOT / "stacks").glob("Pulumi.aws-*.yaml")))


def paragraph(stack: str) -> str:
    found = re.findall(rf"^### `{stack}`\n(.*?)^##", README, re.MULTILINE | re.DOTALL)
    assert len(found) == 1, f"stacks/README.md has no paragraph for {stack}"
    return " ".join(found[0].split())


def test_there_are_four() -> None:
    assert len(STACKS) == 4
    assert sorted(re.findall(r"^### `(aws-.*)`", README, re.MULTILINE)) == list(STACKS)


@pytest.mark.parametrize("stack", STACKS)
def test_a_paragraph_says_what_fits_there_and_for_how_long_records_are_kept(stack: str) -> None:
    chosen = settings.load(SITE.stack_file(stack))
    assert chosen.aws is not None
    (model,) = served(chosen, SITE)
    machines = aws.parts(chosen, SITE, chosen.aws).gpus[model.name]
    assert machines.gpu is not None
    fit = sizing.fit(model.demand, gpus.gpu(machines.gpu.name), model.gpus)
    assert fit.fits
    figures = (
        f"{model.demand.quantization.name} on {fit.name} ({machines.type}) takes "
        f"{fit.needed:.1f} of {fit.available:.1f} GiB"
    )
    said = paragraph(stack)
    assert figures in said
    assert f"`{chosen.aws.region}`" in said
    kept = "ten years" if chosen.retention_days == 3653 else f"{chosen.retention_days} days"
    assert f"Records are kept for {kept}" in said
    for zone in machines.zones:
        assert zone in said
