"""Machines with GPUs by region, and which of them hold a model. Data with sources in instances.yaml."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from facts import gpus, sizing
from facts.catalogue import CatalogueError, entry
from facts.gpus import Gpu
from facts.sizing import Demand, Fit

_FILE = Path(__file__).with_name("instances.yaml")


class NotThere(CatalogueError):
    """A model that the GPUs of a region can't hold, or a machine that isn't offered there; the message says
    what would do."""


@dataclass(frozen=True)
class Instance:
    """A machine: its type as the cloud names it, and its GPUs."""

    name: str
    gpu: Gpu
    count: int

    @property
    def nvlink(self) -> bool:
        """Whether its GPUs reach each other without PCIe."""
        return self.gpu.nvlink and self.count > 1


@dataclass(frozen=True)
class Offer:
    """A machine, and how a model fits on as many of its GPUs as an engine takes."""

    instance: Instance
    fit: Fit

    def __str__(self) -> str:
        return f"{self.fit.name} ({self.instance.name})"


def instances(
    cloud: str, region: str, gpu: str | None = None, attested: Collection[str] = ()
) -> tuple[Instance, ...]:
    """The machines of a cloud's region, all or those with one GPU, smallest first. `attested`: types that a
    site has been told it is offered there."""
    found = [
        instance
        for instance, regions in _known(cloud)
        if (region in regions or instance.name in attested) and gpu in (None, instance.gpu.name)
    ]
    return tuple(sorted(found, key=lambda one: (one.count, one.gpu.memory, one.name)))


def zones(cloud: str, region: str, type: str) -> tuple[str, ...]:
    """The ids of the availability zones in which alone a machine is offered; none where that isn't known."""
    family = entry(_FILE, "families").get(cloud, {}).get(type.partition(".")[0], {})
    return tuple(family.get("zones", {}).get(region, ()))


def would_fit_in(
    cloud: str, region: str, demand: Demand, attested: Collection[str] = ()
) -> tuple[Offer, ...]:
    """For each GPU of a region the fewest that hold a demand, and the smallest machine that has them."""
    there = instances(cloud, region, attested=attested)
    fits = sizing.would_fit(demand, {one.gpu.name: one.gpu for one in there}.values())
    offers = ((fit, _smallest(there, fit.gpu.name, fit.count)) for fit in fits)
    return tuple(Offer(instance, fit) for fit, instance in offers if instance is not None)


def choose(
    cloud: str, region: str, demand: Demand, gpu: str, count: int, attested: Collection[str] = ()
) -> Instance:
    """The smallest machine for an engine on `count` GPUs. Raises NotThere where the region has none, or the
    model doesn't fit on them: then with what would fit there."""
    there = instances(cloud, region, attested=attested)
    kind = gpus.gpu(gpu)
    found = _smallest(there, gpu, count)
    fit = sizing.fit(demand, kind, count)
    if found is not None and fit.fits:
        return found
    what = f"{demand.model.name} as {demand.quantization.name} on {fit.name} in {region}"
    why = " ".join(fit.reasons) if found is not None else _absent(there, gpu, count, region)
    raise NotThere(f"{what}: {why} {_advice(cloud, region, demand, attested)}")


def _smallest(there: tuple[Instance, ...], gpu: str, count: int) -> Instance | None:
    return next((one for one in there if one.gpu.name == gpu and one.count >= count), None)


def _absent(there: tuple[Instance, ...], gpu: str, count: int, region: str) -> str:
    if not there:
        return f"Which GPUs {region} has is not known."
    names = ", ".join(dict.fromkeys(one.gpu.name for one in there))
    return f"No machine there is known to have {count} x {gpu}; there is {names}."


def _advice(cloud: str, region: str, demand: Demand, attested: Collection[str]) -> str:
    """What would fit in the region, as it is asked for or quantized otherwise."""
    if not instances(cloud, region, attested=attested):
        return "Ask describe-instance-type-offerings, and name the machines that it answers in the settings."
    asked = would_fit_in(cloud, region, demand, attested)
    if asked:
        return f"There would fit {', '.join(map(str, asked))}."
    others = [
        f"as {one.quantization.name} {' or '.join(map(str, offers))}"
        for one in _otherwise(demand)
        if (offers := would_fit_in(cloud, region, one, attested))
    ]
    if others:
        return f"There would fit {', '.join(others)}."
    return "Nothing that is known there holds it: ask for less context or fewer requests at once."


def _otherwise(demand: Demand) -> Iterator[Demand]:
    """The demand with every other quantization, largest first."""
    for one in sorted(gpus.all_quantizations().values(), key=lambda one: -one.bits):
        if one != demand.quantization:
            yield replace(demand, quantization=one, cache=None)


@cache
def _known(cloud: str) -> tuple[tuple[Instance, frozenset[str]], ...]:
    """The machines of a cloud, and the regions of each."""
    families = entry(_FILE, "families").get(cloud, {})
    return tuple(
        (Instance(f"{family}.{size}", gpus.gpu(data["gpu"]), int(count)), frozenset(data["regions"]))
        for family, data in families.items()
        for size, count in data["sizes"].items()
    )
