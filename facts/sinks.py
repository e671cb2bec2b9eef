"""Where what collects logs, metrics and alerts sends them, by the kind of output. Data in sinks.yaml."""

from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from facts.reading import read
from facts.words import plain


class Tool(BaseModel):
    """The outputs of one tool; the head of sinks.yaml says what the groups mean."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    local: tuple[str, ...]
    own: dict[str, tuple[str, ...]]
    vendors: dict[str, tuple[str, ...]]
    clouds: dict[str, tuple[str, str]]


@cache
def tool(name: str) -> Tool:
    """The outputs of a tool, with kinds and keys in their plain spelling."""
    data = read(Path(__file__).with_name("sinks.yaml"))[name]
    groups = {
        group: {plain(kind): [plain(key) for key in keys] for kind, keys in data[group].items()}
        for group in ("own", "vendors", "clouds")
    }
    return Tool.model_validate({"local": [plain(kind) for kind in data["local"]], **groups})
