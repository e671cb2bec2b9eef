"""What a program asks the engine for, recorded without an engine: the SDK's own mocks answer for it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks
from pulumi.runtime import test as until_done

from tests.support import runtime


@dataclass(frozen=True)
class Asked:
    """One resource as the engine would receive it."""

    type: str
    name: str
    inputs: dict[str, Any]

    @property
    def kind(self) -> str:
        return self.type.rpartition(":")[2]


class _Recorder(Mocks):
    def __init__(self) -> None:
        self.asked: list[Asked] = []

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.asked.append(Asked(args.typ, args.name, _plain(args.inputs)))
        return f"{args.name}-id", dict(args.inputs)

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"the program called {args.token}")


_SECRET = "4dabf18193072939515e22adb298388d"


def _plain(value: Any) -> Any:
    """The value with secrets in clear, and whole numbers as such: the wire knows floats only."""
    if isinstance(value, dict):
        return _plain(value["value"]) if _SECRET in value else {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def render(
    build: Callable[[], None], config: dict[str, str] | None = None, stack: str = "local"
) -> list[Asked]:
    """Runs `build` as a program of the stack, with this configuration, until all it asked for is answered."""
    recorder = _Recorder()
    runtime.begin(recorder, stack)
    pulumi.runtime.set_all_config(config or {})
    until_done(build)()  # type: ignore[no-untyped-call]
    return recorder.asked


def of_type(asked: list[Asked], kind: str) -> dict[str, dict[str, Any]]:
    """The inputs of all objects of a kind, by name."""
    return {one.name: one.inputs for one in asked if one.kind == kind}
