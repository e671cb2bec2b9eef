"""Packs and program through the real engine: what a user types, and what it may not do."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from facts.site import ROOT
from policies.read import UnreadableInput, parse
from policies.rules import load
from tests.support.cluster import LiveCluster
from tests.support.project import PACK
from toolchain import build
from toolchain.engine import Engine
from toolchain.providers import kubernetes

pytestmark = pytest.mark.engine

STACK = "guarded"

PROGRAM = '''\
"""Two components, which need no provider: what the second one is given comes from the configuration."""

import pulumi
from facts import zones
from facts.site import Site
from policies import program

site, given = Site.current(), pulumi.Config()
program.guard(site, pulumi.get_stack(), zones.load(site.zone_file("local")))


class Gateway(pulumi.ComponentResource):
    def __init__(self, name, props):
        super().__init__("sovereign:index:Gateway", name, props)


Gateway("first", {"url": "https://audit.llm-audit.svc"})
Gateway("second", {"url": given.get("url") or "https://audit.llm-audit.svc"})
if given.get("type"):
    pulumi.ComponentResource(given.get("type"), "third")
if given.get("chart"):
    from pulumi_kubernetes.helm.v3 import Chart, LocalChartOpts

    later = pulumi.Output.from_input(pulumi.UNKNOWN)  # as an output is before its resource is made
    Chart("vllm", LocalChartOpts(path=given.get("chart"), values={"host": later}))
if given.get("remote-chart"):
    from pathlib import Path

    from pulumi_kubernetes import Provider
    from pulumi_kubernetes.helm.v4 import Chart

    kubeconfig, uid = Path("kubeconfig").read_text(), Path("uid").read_text()
    cluster = Provider("cluster", kubeconfig=kubeconfig, cluster_identifier=uid)
    later = pulumi.Output.from_input(pulumi.UNKNOWN)
    values, options = {"host": later}, pulumi.ResourceOptions(provider=cluster)
    Chart("vllm", chart=given.get("remote-chart"), values=values, opts=options)
'''


@dataclass
class Guarded:
    """A project of a site of its own, somewhere else than the checkout."""

    folder: Path
    engine: Engine

    def run(self, verb: str, *arguments: str, pack: str | None = None, **config: str) -> Any:
        given = [part for key, value in config.items() for part in ("--config", f"{key}={value}")]
        packs = ["--policy-pack", str(ROOT / "policies" / pack)] if pack else []
        settings = self.folder / f"Pulumi.{STACK}.yaml"
        before = settings.read_text()
        try:
            return self.engine.run([verb, "--stack", STACK, *arguments, *given, *packs])
        finally:
            settings.write_text(before)  # --config stays in the file

    def up(self, *arguments: str, pack: str | None = None, **config: str) -> Any:
        return self.run("up", "--yes", *arguments, pack=pack, **config)

    @property
    def verdict(self) -> Any:
        return json.loads((self.folder / ".sovereign" / "stacks" / STACK / "verdict.json").read_text())


@pytest.fixture
def guarded(tmp_path: Path) -> Guarded:
    (tmp_path / "zones").mkdir()
    zone = (ROOT / "stacks" / "zones" / "local.yaml").read_text()
    (tmp_path / "zones" / "local.yaml").write_text(zone)
    (tmp_path / "__main__.py").write_text(PROGRAM)
    (tmp_path / "passphrase").write_text("of this test alone")
    runtime = {"name": "python", "options": {"virtualenv": sys.prefix}}
    (tmp_path / "Pulumi.yaml").write_text(yaml.safe_dump({"name": "sovereign", "runtime": runtime}))
    state = {"backend": f"file://{tmp_path / 'state'}", "secretsProvider": "passphrase"}
    settings = {"config": {"sovereign:settings": {"zone": "local", "state": state}}}
    (tmp_path / f"Pulumi.{STACK}.yaml").write_text(yaml.safe_dump(settings))
    engine = Engine(
        executable=build.ensure(["pulumi"])["pulumi"],
        root=tmp_path,
        home=tmp_path / "home",
        backend=state["backend"],
        config_file=tmp_path / f"Pulumi.{STACK}.yaml",
        passphrase_file=tmp_path / "passphrase",
        variables={"SOVEREIGN_SITE": str(tmp_path)},
    )
    engine.create_stack(STACK, "passphrase")
    return Guarded(tmp_path, engine)


def said(done: Any) -> str:
    return f"{done.stdout}{done.stderr}"


def test_up_without_packs_is_refused_and_with_them_it_runs_once(guarded: Guarded) -> None:
    plain = guarded.up()
    assert plain.returncode != 0
    assert "No plan of this stack has been judged" in said(plain)
    assert "Traceback" not in said(plain)

    judged = guarded.up(pack="sovereign")
    assert judged.returncode == 0, said(judged)
    assert guarded.verdict["consumed"] is True
    assert guarded.verdict["rules"] == [rule.id for rule in load()]
    assert guarded.verdict["resources"] == 3

    assert guarded.up().returncode != 0
    skipped = guarded.up("--skip-preview")
    assert skipped.returncode != 0


def test_a_leak_is_refused_with_a_sentence_and_a_verdict(guarded: Guarded) -> None:
    done = guarded.run("preview", pack="sovereign", url="https://evil.example/x")
    assert done.returncode != 0
    assert "evil.example" in said(done)
    assert "route K49" in said(done)
    assert guarded.verdict["verdict"] == "refuse"
    assert guarded.up(pack="sovereign", url="https://evil.example/x").returncode != 0
    assert guarded.up("--skip-preview", url="https://evil.example/x").returncode != 0


def test_a_plan_that_passed_lets_only_itself_through(guarded: Guarded) -> None:
    assert guarded.run("preview", pack="sovereign").returncode == 0
    other = guarded.up("--skip-preview", url="https://other.llm-audit.svc")
    assert other.returncode != 0
    assert "have changed since" in said(other)
    assert guarded.up("--skip-preview").returncode == 0


def test_a_rule_that_is_switched_off_is_noticed(guarded: Guarded) -> None:
    config = guarded.folder / "off.json"
    config.write_text(json.dumps({"walkers.hosts": "disabled"}))
    arguments = ("--policy-pack-config", str(config))
    done = guarded.up(*arguments, pack="sovereign", url="https://evil.example")
    assert done.returncode != 0
    assert "the policy configuration lowers or disables it" in said(done)


def test_one_selection_does_not_suffice(guarded: Guarded) -> None:
    done = guarded.up(pack="residency")
    assert done.returncode != 0
    assert "without these rules" in said(done)


def test_a_type_that_no_rule_knows_is_refused_unless_the_site_allows_it(guarded: Guarded) -> None:
    token = "example:index:Widget"
    done = guarded.run("preview", pack="sovereign", type=token)
    assert done.returncode != 0
    assert "route P09" in said(done)
    (guarded.folder / "types.yaml").write_text(f"types: [{token}]\n")
    assert guarded.run("preview", pack="sovereign", type=token).returncode == 0


def test_a_chart_with_an_unknown_input_is_refused(guarded: Guarded) -> None:
    done = guarded.run("preview", pack="sovereign", chart="./chart")
    assert done.returncode != 0
    assert "a component without objects" in said(done)
    assert [one["route"] for one in guarded.verdict["findings"]] == ["P15"]


@pytest.mark.cluster
def test_a_chart_that_the_plugin_would_render_is_refused_by_the_kits_own(
    guarded: Guarded, cluster: LiveCluster
) -> None:
    kubernetes.install(guarded.engine.home, Path(sys.executable), ROOT)
    (guarded.folder / "kubeconfig").write_text(cluster.kubeconfig.read_text())
    (guarded.folder / "uid").write_text(cluster.uid)
    done = guarded.run("preview", pack="sovereign", **{"remote-chart": "./chart"})
    assert done.returncode != 0
    assert "helm template" in said(done)


def test_a_zone_that_is_not_there_is_refused(guarded: Guarded) -> None:
    (guarded.folder / "zones" / "local.yaml").unlink()
    done = guarded.run("preview", pack="sovereign")
    assert done.returncode != 0
    assert "There is no zone file" in said(done)


def test_what_the_engine_writes_is_what_the_readers_read(guarded: Guarded) -> None:
    leak = guarded.run("preview", "--json", "--show-sames", pack="sovereign", url="https://evil.example")
    plan = parse(leak.stdout.encode(), "preview")
    assert {one.name for one in plan.resources} == {f"sovereign-{STACK}", "first", "second"}
    assert (plan.stack.zone, plan.stack.secrets_provider) == ("local", "passphrase")
    assert guarded.up(pack="sovereign").returncode == 0
    partial = guarded.run("preview", "--json", url="https://evil.example")
    with pytest.raises(UnreadableInput, match="--show-sames"):
        parse(partial.stdout.encode(), "preview")
    state = parse(guarded.engine.run(["stack", "export", "--stack", STACK]).stdout.encode(), "state")
    assert {one.name for one in state.resources} == {f"sovereign-{STACK}", "first", "second"}


def test_the_engine_judges_a_state_by_a_pack(guarded: Guarded) -> None:
    def analyzed() -> Any:
        pack = ["--policy-pack", str(ROOT / "policies" / "sovereign")]
        return guarded.engine.run(["policy", "analyze", "--stack", STACK, *pack])

    assert guarded.up(pack="sovereign").returncode == 0
    assert analyzed().returncode == 0, said(analyzed())
    state = json.loads(guarded.engine.run(["stack", "export", "--stack", STACK]).stdout)
    for resource in state["deployment"]["resources"]:
        if resource["urn"].endswith("::first"):
            resource["inputs"] = resource["outputs"] = {"url": "https://evil.example"}
    (guarded.folder / "state.json").write_text(json.dumps(state))
    guarded.engine.run(["stack", "import", "--stack", STACK, "--file", str(guarded.folder / "state.json")])
    leak = analyzed()
    assert leak.returncode == 1
    assert "evil.example; it is outside zone local" in said(leak)


def test_the_pack_is_where_the_command_line_looks_for_it() -> None:
    assert (PACK / "PulumiPolicy.yaml").is_file()
