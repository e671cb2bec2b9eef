"""What models are made of: shape, context, licence. Data with sources in models.yaml, and in a site's own."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from facts.catalogue import CatalogueError, choose, entry

_FILE = Path(__file__).with_name("models.yaml")
_COUNTS = ("layers", "hidden", "heads", "kvHeads", "headSize", "feedForward", "vocabulary", "context")


@dataclass(frozen=True)
class Model:
    """A decoder of the Llama family; counts as in its config.json, `context` in tokens."""

    name: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_size: int
    feed_forward: int
    vocabulary: int
    tied: bool
    context: int
    licence: str

    @property
    def shape(self) -> dict[str, Any]:
        """What `of_shape` reads."""
        counts = (
            self.layers,
            self.hidden,
            self.heads,
            self.kv_heads,
            self.head_size,
            self.feed_forward,
            self.vocabulary,
            self.context,
        )
        return {**dict(zip(_COUNTS, counts, strict=True)), "tied": self.tied, "licence": self.licence}

    @property
    def linear_parameters(self) -> int:
        """Weights of the linear layers, which quantization shrinks: attention and gated feed-forward."""
        attention = 2 * self.hidden * self.heads * self.head_size
        keys_and_values = 2 * self.hidden * self.kv_heads * self.head_size
        return self.layers * (attention + keys_and_values + 3 * self.hidden * self.feed_forward)

    @property
    def other_parameters(self) -> int:
        """Weights that stay at 16 bits: embedding, output layer unless tied, norms."""
        embeddings = (1 if self.tied else 2) * self.vocabulary * self.hidden
        return embeddings + (2 * self.layers + 1) * self.hidden

    @property
    def parameters(self) -> int:
        return self.linear_parameters + self.other_parameters


def find(name: str, own: Path | None = None) -> Model:
    """A model by its catalogue name; `own` is a site's models.yaml. Raises CatalogueError."""
    return choose("model", name, all_models(own))


@cache
def all_models(own: Path | None = None) -> dict[str, Model]:
    """The kit's models, and those in a site's file, which may replace one. Raises CatalogueError."""
    files = [_FILE, *([own] if own is not None and own.is_file() else [])]
    return {
        name: of_shape(name, data, f"{file}: models.{name}")
        for file in files
        for name, data in entry(file, "models").items()
    }


def of_shape(name: str, data: Mapping[str, Any], where: str) -> Model:
    """A model from its catalogue entry. Raises CatalogueError that names `where`."""
    for key in _COUNTS:
        if not isinstance(data.get(key), int) or isinstance(data[key], bool) or data[key] < 1:
            raise CatalogueError(f"{where}.{key}: is missing or no whole number above 0: see config.json.")
    if not isinstance(data.get("tied"), bool) or not isinstance(data.get("licence"), str):
        raise CatalogueError(f"{where}: needs tied (true or false) and licence.")
    shape = {key: data[key] for key in _COUNTS}
    return Model(
        name=name,
        layers=shape["layers"],
        hidden=shape["hidden"],
        heads=shape["heads"],
        kv_heads=shape["kvHeads"],
        head_size=shape["headSize"],
        feed_forward=shape["feedForward"],
        vocabulary=shape["vocabulary"],
        tied=data["tied"],
        context=shape["context"],
        licence=data["licence"],
    )
