"""Tables of vLLM's flags: what they know, and how they are read from a wheel's sources."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from facts import flags
from facts.flags import FlagsError, wheel
from facts.site import ROOT

SOURCES = {
    "vllm/entrypoints/openai/cli_args.py": """
from dataclasses import field
@config
class FrontendArgs:
    host: str | None = None
    enable_log_outputs: bool = False
    api_key: list[str] | None = None
    @staticmethod
    def add_cli_args(parser):
        frontend_kwargs = get_kwargs(FrontendArgs)
        for key, value in frontend_kwargs.items():
            parser.add_argument(f"--{key.replace('_', '-')}", **value)
def make_arg_parser(parser):
    parser.add_argument("--headless", action="store_true", default=False)
    parser.add_argument("--api-server-count", "-asc", type=int, default=1)
    return parser
""",
    "vllm/engine/arg_utils.py": """
class EngineArgs:
    @staticmethod
    def add_cli_args(parser):
        group = parser.add_argument_group(title="x")
        group.add_argument("--max-model-len", type=int)
        group.add_argument("--served-model-name", nargs="+", type=str)
        group.add_argument("--enforce-eager", action=argparse.BooleanOptionalAction)
        return parser
""",
    "vllm/envs.py": """
environment_variables = {
    "VLLM_NO_USAGE_STATS": lambda: os.environ.get("VLLM_NO_USAGE_STATS", "0") == "1",
    "VLLM_HOST_IP": lambda: os.getenv("VLLM_HOST_IP", ""),
}
""",
}


def test_a_wheels_sources_are_read_without_running_them() -> None:
    found = wheel.read(SOURCES, "9.9.9")
    assert {"host", "headless", "api-server-count", "asc", "max-model-len"} <= found.flags
    assert {"enable-log-outputs", "no-enable-log-outputs", "enforce-eager", "no-enforce-eager"} <= found.flags
    assert {"headless", "enforce-eager", "enable-log-outputs"} <= found.switches
    assert {"served-model-name", "api-key"} <= found.lists
    assert found.environment == {"VLLM_NO_USAGE_STATS", "VLLM_HOST_IP"}


def test_a_source_that_is_missing_is_said() -> None:
    with pytest.raises(FlagsError):
        wheel.read({"vllm/envs.py": SOURCES["vllm/envs.py"]}, "9.9.9")


def test_the_command_reads_a_wheel_file(tmp_path: Path) -> None:
    file = tmp_path / "vllm-9.9.9-cp38-abi3-manylinux1_x86_64.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in SOURCES.items():
            archive.writestr(name, text)
    done = subprocess.run(
        [sys.executable, "-m", "facts.flags", str(file)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(done.stdout)["version"] == "9.9.9"
    gone = subprocess.run(
        [sys.executable, "-m", "facts.flags", str(tmp_path / "none.whl")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert gone.returncode == 2
    assert "Traceback" not in gone.stderr


def test_the_pinned_version_and_the_two_before_have_tables() -> None:
    assert flags.versions()[0] == flags.PINNED
    assert len(flags.versions()) == 3
    for version in flags.versions():
        table = flags.table(version)
        assert table.version == version
        assert len(table.flags) > 250
        assert table.switches <= table.flags
        assert table.lists <= table.flags


def test_the_pinned_table_knows_what_the_kit_says() -> None:
    table = flags.table(flags.PINNED)
    assert {"max-model-len", "enable-ssl-refresh", "shutdown-timeout", "fingerprint-mode"} <= table.flags
    assert {"VLLM_NO_USAGE_STATS", "VLLM_ENGINE_READY_TIMEOUT_S"} <= table.environment
    assert "disable-log-requests" not in table.flags


def test_what_left_the_newest_table_says_what_came_instead() -> None:
    newest = flags.table(flags.versions()[0])
    listed = yaml.safe_load((ROOT / "facts" / "flags" / "replaced.yaml").read_text(encoding="utf-8"))
    known = {one["flag"].lstrip("-") for one in listed["replaced"]}
    for version in flags.versions()[1:]:
        for gone in flags.table(version).flags - newest.flags:
            assert gone.removeprefix("no-") in known or len(gone) < 4, gone
    assert "--enable-log-requests" in (flags.instead("disable_log_requests") or "")
    assert flags.instead("never-was") is None


def test_a_version_without_a_table_is_answered() -> None:
    with pytest.raises(FlagsError, match=r"no table of flags for vLLM '0\.1': known are 0\.33\.0"):
        flags.table("0.1")
