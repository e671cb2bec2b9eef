"""How pods are taken out of a service mesh in part. Data with sources in mesh.yaml."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

from facts.reading import read

Bypass = Literal["networks", "anywhere", "only"]
_BYPASSES: tuple[Bypass, ...] = ("networks", "anywhere", "only")


@cache
def annotations() -> Mapping[str, Bypass]:
    """Annotations of pods and namespaces, with what each lets around the mesh."""
    return {name: way for way in _BYPASSES for name in _data()[way]}


@cache
def injector() -> Mapping[str, Bypass]:
    """Settings of Istio's injector, with what each lets around the mesh."""
    return {name: way for way in _BYPASSES for name in _data()["injector"][way]}


@cache
def _data() -> dict[str, dict[str, list[str]]]:
    data: dict[str, dict[str, list[str]]] = read(Path(__file__).with_name("mesh.yaml"))
    return data
