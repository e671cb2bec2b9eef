"""What GPUs have and which quantizations run on them. Data with sources in gpus.yaml, quantizations.yaml."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from facts.catalogue import choose, entry

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Gpu:
    """A GPU, or a MIG slice of one. `memory` in GiB as a program sees it; `capability` None for ROCm."""

    name: str
    products: tuple[str, ...]
    resource: str
    memory: float
    capability: float | None
    nvlink: bool
    per_node: int
    slice: str | None = None


@dataclass(frozen=True)
class Kernel:
    """How a quantization runs from a compute capability on."""

    capability: float
    how: str


@dataclass(frozen=True)
class Quantization:
    """How weights are stored; `bits` a weight of a linear layer takes, scales included."""

    name: str
    bits: float
    kernels: tuple[Kernel, ...]
    rocm: str | None

    def kernel(self, gpu: Gpu) -> str | None:
        """How this GPU runs it; None where it can't, or where nobody has shown that it can."""
        if gpu.capability is None:
            return self.rocm
        return next((k.how for k in self.kernels if gpu.capability >= k.capability), None)


@dataclass(frozen=True)
class Cache:
    """How keys and values are stored; `bits` of one number."""

    name: str
    bits: int
    capability: float
    rocm: bool

    def runs_on(self, gpu: Gpu) -> bool:
        return self.rocm if gpu.capability is None else gpu.capability >= self.capability


@cache
def all_gpus() -> dict[str, Gpu]:
    return {
        name: Gpu(
            name=name,
            products=tuple(data["product"]),
            resource=data.get("resource", "nvidia.com/gpu"),
            memory=float(data["memoryGib"]),
            capability=None if data["capability"] is None else float(data["capability"]),
            nvlink=data["link"] == "nvlink",
            per_node=int(data["perNode"]),
            slice=data.get("slice"),
        )
        for name, data in entry(_HERE / "gpus.yaml", "gpus").items()
    }


@cache
def all_quantizations() -> dict[str, Quantization]:
    return {
        name: Quantization(
            name,
            float(data["bitsPerWeight"]),
            tuple(Kernel(float(kernel["from"]), kernel["how"]) for kernel in data["kernels"]),
            data.get("rocm"),
        )
        for name, data in entry(_HERE / "quantizations.yaml", "quantizations").items()
    }


@cache
def all_caches() -> dict[str, Cache]:
    return {
        name: Cache(name, int(data["bits"]), float(data["from"]), bool(data["rocm"]))
        for name, data in entry(_HERE / "quantizations.yaml", "caches").items()
    }


def gpu(name: str) -> Gpu:
    """Raises CatalogueError."""
    return choose("GPU", name, all_gpus())


def gpu_of_product(product: str) -> Gpu:
    """The whole GPU that a node label nvidia.com/gpu.product names. Raises CatalogueError."""
    whole = {gpu.products[0]: gpu for gpu in all_gpus().values() if gpu.slice is None}
    return choose("GPU product", product, whole)


def quantization(name: str) -> Quantization:
    """Raises CatalogueError."""
    return choose("quantization", name, all_quantizations())


def cache_type(name: str) -> Cache:
    """Raises CatalogueError."""
    return choose("type of cache", name, all_caches())
