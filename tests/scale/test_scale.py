"""The sizes that the kit is meant for: a hundred GPU nodes, a thousand resources in a plan."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.cli.support import ROOT, run_out
from tests.support.cluster import LiveCluster
from tests.support.estate import estate
from tests.support.project import Project

pytestmark = [pytest.mark.engine, pytest.mark.cluster]

NODES, ENGINES = 100, 200


def test_a_plan_of_a_thousand_resources_is_judged_whole(cluster: LiveCluster, tmp_path: Path) -> None:
    project = Project(tmp_path / "project", cluster, estate(1000))
    project.create()
    said = project.preview(packs=True)
    assert "+ 1002 to create" in said  # with the stack and its provider


def test_the_stack_stands_up_on_a_hundred_nodes(tmp_path: Path) -> None:
    """A hundred nodes of eight GPUs hold two hundred engines of four, and as many are asked for."""
    shutil.copytree(ROOT / "stacks" / "zones", tmp_path / "zones")
    data = yaml.safe_load((ROOT / "stacks" / "Pulumi.local.yaml").read_text(encoding="utf-8"))
    settings = data["config"]["sovereign:settings"]
    settings["embedded"]["nodes"] = NODES
    settings["models"][0]["replicas"] = ENGINES
    (tmp_path / "Pulumi.hundred.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    try:
        done = run_out("--site", tmp_path, "up", "hundred", "--json", timeout=600)
        assert done.returncode == 0, done.stderr
        workloads = json.loads(done.stdout)["workloads"]
        ready = {item["name"]: (item["ready"], item["wanted"]) for item in workloads}
        assert ready["vllm-llama-3-3-70b"] == (ENGINES, ENGINES)
        status = json.loads(run_out("--site", tmp_path, "cluster", "status", "--json").stdout)
        assert status["nodes"] == NODES
    finally:
        run_out("--site", tmp_path, "down", "hundred", "--cluster", timeout=600)
