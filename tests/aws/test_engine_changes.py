"""Changes of a stack on AWS that stands, as the engine itself shows them in a review of its exported state."""

import json
from pathlib import Path
from typing import Any

import pytest

from facts.site import ROOT
from tests.cli.support import run_out
from tests.support.aws_stacks import PARIS, Rendered, rendered

pytestmark = pytest.mark.engine


def exported(stack: Rendered) -> dict[str, Any]:
    """What `pulumi stack export` would write where all that AWS makes is there."""
    root = f"urn:pulumi:{stack.name}::sovereign::pulumi:pulumi:Stack::sovereign-{stack.name}"
    made: list[dict[str, Any]] = [{"urn": root, "type": "pulumi:pulumi:Stack", "custom": False}]
    for one in stack.resources:
        if one.package == "kubernetes" or one.type == "pulumi:providers:kubernetes":
            continue
        entry = {"urn": one.urn, "type": one.type, "custom": one.custom, "parent": one.parent or root}
        if one.is_provider:
            entry |= {"id": "p1", "inputs": one.inputs, "outputs": one.inputs}
        elif one.custom:
            # the provider's own tags are none of the stand-in's here
            told = {key: value for key, value in stack.answers[one.urn].items() if key != "tagsAll"}
            provider = f"{one.provider.rpartition('::')[0]}::p1"
            entry |= {"id": told["id"], "inputs": one.inputs, "outputs": told, "provider": provider}
            entry |= one.options
        made.append(entry)
    key = {"type": "cloud", "state": {"url": "awskms:///alias/nobody", "encryptedkey": "AAAA"}}
    return {"version": 3, "deployment": {"secrets_providers": key, "resources": made}}


def changed(folder: Path, *replacements: tuple[str, str]) -> Path:
    """A site with the stack and its zone, with other words in both."""
    site = folder / "site"
    (site / "zones").mkdir(parents=True)
    for name in (f"Pulumi.{PARIS}.yaml", f"zones/{PARIS}.yaml"):
        text = (ROOT / "stacks" / name).read_text(encoding="utf-8")
        for old, new in replacements:
            text = text.replace(old, new)
        (site / name).write_text(text, encoding="utf-8")
    (folder / "state.json").write_text(json.dumps(exported(rendered(PARIS)), default=str), encoding="utf-8")
    return site


def review(site: Path) -> Any:
    state = site.parent / "state.json"
    return run_out("--site", site, "plan", PARIS, "--json", "--state", state, timeout=600)


def test_another_launch_template_shows_the_roll_of_its_node_group(tmp_path: Path) -> None:
    site = changed(tmp_path, ("70b: {count: 2}", "70b: {count: 2, type: g6.48xlarge}"))
    done = review(site)
    assert done.returncode == 0, done.stderr + done.stdout
    found = [one for one in json.loads(done.stdout)["changes"] if one["type"].startswith("aws:")]
    assert {(one["op"], one["urn"].rpartition("::")[2]) for one in found} == {
        ("update", f"{PARIS}-gpu-llama-3-3-70b")
    }
    assert {one["type"].rpartition(":")[2] for one in found} == {"LaunchTemplate", "NodeGroup"}


def test_another_network_is_refused_by_the_cluster_that_would_be_replaced(tmp_path: Path) -> None:
    done = review(changed(tmp_path, ("10.40.0.0/16", "10.50.0.0/16")))
    assert done.returncode == 3
    assert "the engine stopped; nothing was changed" in done.stderr
    assert f'Cluster "{PARIS}": unable to replace resource' in done.stderr
    assert "marked for protection" in done.stderr
