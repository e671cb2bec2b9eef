"""A plan from a site outside the checkout: its own zone, an extra type, rules of its own; through the real
engine.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.onprem.kubeconfig import Kubeconfig
from facts.site import ROOT
from tests.support.cluster import LiveCluster

pytestmark = [pytest.mark.cluster, pytest.mark.engine]

EXAMPLE = ROOT / "tests" / "sites" / "example-hospital"
SOVEREIGN = Path(sys.executable).with_name("sovereign")

Edit = Callable[[dict[str, Any]], None]


def site(folder: Path, cluster: LiveCluster, edit: Edit) -> Path:
    """The example site in `folder`, for the live cluster, with its settings edited."""
    shutil.copytree(EXAMPLE, folder)
    access = yaml.safe_load(Kubeconfig.read(cluster.kubeconfig).text)
    access["contexts"][0]["name"] = access["current-context"] = "hospital"
    (folder / "kubeconfig").write_text(yaml.safe_dump(access))
    file = folder / "Pulumi.hospital.yaml"
    stack = yaml.safe_load(file.read_text())
    settings = stack["config"]["sovereign:settings"]
    settings["cluster"]["uid"] = cluster.uid
    edit(settings)
    file.write_text(yaml.safe_dump(stack))
    return folder


def plan(folder: Path) -> subprocess.CompletedProcess[str]:
    passphrase = folder / "passphrase"
    passphrase.write_text("of this test only")
    return subprocess.run(
        [SOVEREIGN, "--site", folder, "plan", "hospital", "--json"],
        cwd=folder,
        env={**os.environ, "PULUMI_CONFIG_PASSPHRASE_FILE": str(passphrase)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_site_outside_the_checkout_plans(tmp_path: Path, cluster: LiveCluster) -> None:
    done = plan(site(tmp_path / "site", cluster, lambda settings: None))
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["verdict"] == "pass"
    assert said["findings"] == []
    stored = json.loads((tmp_path / "site/.sovereign/stacks/hospital/verdict.json").read_text())
    assert {"hospital.approved-model", "hospital.never-to-zero"} <= set(stored["rules"])


def test_a_rule_of_the_sites_own_refuses(tmp_path: Path, cluster: LiveCluster) -> None:
    done = plan(
        site(
            tmp_path / "site",
            cluster,
            lambda settings: settings["models"][0].update(name="unvetted", architecture="llama-3.3-70b"),
        )
    )
    assert done.returncode == 1, done.stderr
    said = json.loads(done.stdout)
    assert [finding["rule"] for finding in said["findings"]] == ["hospital.approved-model"]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        pytest.param(
            lambda settings: settings["cluster"].update(uid="00000000-0000-4000-8000-000000000000"),
            "correct cluster.kubeconfig and cluster.context, or cluster.uid",
            id="another cluster",
        ),
        pytest.param(
            lambda settings: settings["cluster"].pop("uid"), "If that is the one you mean", id="unnamed"
        ),
        pytest.param(
            lambda settings: settings["cluster"].update(kubeconfig="gone"),
            "There is no kubeconfig",
            id="no file",
        ),
        pytest.param(lambda settings: settings.update(zone="elsewhere"), "no zone file", id="no zone"),
        pytest.param(lambda settings: settings.update(zonne="x"), "did you mean zone?", id="misspelt"),
    ],
)
def test_a_mistake_is_a_sentence(tmp_path: Path, cluster: LiveCluster, edit: Edit, said: str) -> None:
    done = plan(site(tmp_path / "site", cluster, edit))
    assert done.returncode in (2, 3)
    assert said in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
