"""Which containers are taken for vLLM, and how their flags are read."""

from typing import Any

import pytest

from policies import vllm
from policies.model import Plan, Resource
from policies.rule import Subject
from policies.vllm import Engine

_IMAGE = "registry.hospital.example/vllm-openai@sha256:" + "a" * 64
_OTHER = "registry.hospital.example/tools@sha256:" + "a" * 64


def engines(spec: dict[str, Any], labels: dict[str, str] | None = None) -> list[Engine]:
    inputs = {"metadata": {"name": "p", "labels": labels or {}}, "spec": spec}
    resource = Resource("urn:p", "kubernetes:core/v1:Pod", "p", inputs)
    return list(vllm.engines(Subject(Plan.of([resource]), resource)))


def engine(*args: str, command: list[str] | None = None) -> Engine:
    container: dict[str, Any] = {"image": _IMAGE, "args": list(args)}
    if command is not None:
        container["command"] = command
    return engines({"containers": [container]})[0]


@pytest.mark.parametrize(
    ("container", "found"),
    [
        ({"image": _IMAGE}, True),
        ({"image": _IMAGE, "command": ["/start.sh"]}, True),
        ({"image": "registry.hospital.example/vllm-router:1"}, False),
        ({"image": _OTHER, "command": ["vllm", "serve", "/m"]}, True),
        ({"image": _OTHER, "command": ["python3", "-m", "vllm.entrypoints.openai.api_server"]}, True),
        ({"image": _OTHER, "command": ["sh", "-c", "sleep 1 && exec vllm serve /m"]}, True),
        ({"image": _OTHER, "args": ["/usr/bin/env", "A=1", "/opt/venv/bin/vllm", "serve", "/m"]}, True),
        ({"image": _OTHER, "command": ["python3", "-c", "import vllm; vllm.LLM('a/b')"]}, True),
        ({"image": _OTHER, "command": ["cp", "-r", "/src/vllm", "/dst"]}, False),
        ({"image": _OTHER, "args": ["--upstream=vllm-server"]}, False),
    ],
)
def test_recognised(container: dict[str, Any], found: bool) -> None:
    assert bool(engines({"containers": [container]})) is found


def test_an_init_container_that_runs_something_else_is_none() -> None:
    spec = {
        "initContainers": [
            {"name": "verify", "image": _IMAGE, "command": ["sha256sum", "-c", "/m/manifest"]}
        ],
        "containers": [{"name": "engine", "image": _IMAGE, "args": ["/m"]}],
    }
    assert [one.container.group for one in engines(spec)] == ["containers"]


def test_the_label_counts_where_nothing_else_tells() -> None:
    spec = {"containers": [{"name": "engine", "image": _OTHER, "args": ["/m"]}]}
    assert len(engines(spec, {"app": "vllm-server"})) == 1
    assert not engines(spec, {"app": "worker"})


@pytest.mark.parametrize(
    "args",
    [
        ["/m", "--lora-modules", "a=/a", "b=/b"],
        ["serve", "/m", "--lora_modules", "a=/a", "b=/b", "--enforce-eager"],
        ["--enforce-eager", "/m", "--tensor-parallel-size", "4", "--lora-modules", "a=/a", "b=/b"],
        ["-tp", "4", "/m", "--no-enable-lora", "--lora-mod", "a=/a", "b=/b"],
    ],
)
def test_flags_and_the_model_are_told_apart(args: list[str]) -> None:
    read = engine(*args)
    assert [word.text for word in read.models] == ["/m"]
    assert [word.text for flag in read.flags("lora-modules") for word in flag.values] == ["a=/a", "b=/b"]


def test_a_dotted_flag_keeps_its_key() -> None:
    flag = next(engine("/m", "--kv_transfer_config.kv_ip=10.0.0.1").flags("kv-transfer-config"))
    assert (flag.key, flag.value.text) == ("kv_ip", "10.0.0.1")


def test_a_flag_is_not_taken_for_the_beginning_of_another() -> None:
    assert not list(engine("--model", "/m").flags("model-loader-extra-config"))


def test_what_a_script_sets_overrules() -> None:
    read = engine("export VLLM_NO_USAGE_STATS=0; vllm serve /m", command=["sh", "-c"])
    found = read.setting("VLLM_NO_USAGE_STATS")
    assert found is not None
    assert found.text == "0"
