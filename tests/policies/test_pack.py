"""The packs over the engine's own protocol: started as the engine starts them, from another folder."""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import analyzer_pb2 as wire
from pulumi.runtime.proto.analyzer_pb2_grpc import AnalyzerStub

from facts.site import ROOT
from policies.read.values import OUTPUT, SECRET, SIGNATURE
from policies.rules import load
from policies.waivers import Waiver

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
STACK = "urn:pulumi:dev::sovereign::pulumi:pulumi:Stack::sovereign-dev"
SETTINGS = {"zone": "local", "state": {"backend": "file://state", "secretsProvider": "passphrase"}}

#: as `sovereign env` has it: a run on one's own machine that calls nobody
ENVIRONMENT = {"PULUMI_SKIP_UPDATE_CHECK": "true", "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true"}


@dataclass
class Pack:
    """A running pack, its site, and the calls of the engine in short."""

    stub: Any
    site: Path
    process: subprocess.Popen[str]

    def configure(self, settings: Any = SETTINGS, dry_run: bool = True) -> None:
        self.stub.ConfigureStack(
            wire.AnalyzerStackConfigureRequest(
                stack="dev",
                project="sovereign",
                dry_run=dry_run,
                config={"sovereign:settings": json.dumps(settings)} if settings else {},
            )
        )

    def analyze(
        self,
        name: str,
        inputs: dict[str, Any],
        token: str = "kubernetes:core/v1:ConfigMap",
        provider: str = "",
    ) -> Any:
        properties = Struct()
        properties.update(inputs)
        return self.stub.Analyze(
            wire.AnalyzeRequest(
                urn=urn(name, token),
                type=token,
                name=name,
                properties=properties,
                provider=wire.AnalyzerProviderResource(urn=provider),
            )
        )

    def analyze_stack(self, *names: str, token: str = "kubernetes:core/v1:ConfigMap") -> Any:
        resources = [wire.AnalyzerResource(urn=urn(name, token), type=token, name=name) for name in names]
        return self.stub.AnalyzeStack(wire.AnalyzeStackRequest(resources=resources))

    @property
    def verdict(self) -> Any:
        return json.loads((self.site / ".sovereign" / "stacks" / "dev" / "verdict.json").read_text())


def urn(name: str, token: str = "kubernetes:core/v1:ConfigMap") -> str:
    return f"urn:pulumi:dev::sovereign::{token}::{name}"


def config_map(**data: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c", "namespace": "n"},
        "data": data,
    }


@contextmanager
def started(pack: str, tmp_path: Path, **variables: str) -> Iterator[Pack]:
    site = tmp_path / "site"
    if not site.exists():
        (site / "zones").mkdir(parents=True)
        zone = yaml.safe_load((ROOT / "stacks" / "zones" / "local.yaml").read_text())
        (site / "zones" / "local.yaml").write_text(yaml.safe_dump(zone | {"runners": []}))
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:1", str(ROOT / "policies" / pack)],
        cwd=tmp_path,
        env={**ENVIRONMENT, "PATH": os.environ["PATH"], "SOVEREIGN_SITE": str(site), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert port.isdigit(), process.stderr.read() if process.stderr else ""
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Pack(AnalyzerStub(channel), site, process)
        process.terminate()
        assert process.stdout.read() == "", "a pack may print nothing but its port"
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def pack(tmp_path: Path) -> Iterator[Pack]:
    with started("sovereign", tmp_path) as running:
        running.configure()
        yield running


def told(response: Any) -> list[tuple[str, str]]:
    return [(one.policyName, one.urn.rpartition("::")[2]) for one in response.diagnostics]


def test_a_known_leak_is_refused_on_its_resource(pack: Pack) -> None:
    response = pack.analyze("a", config_map(u="https://evil.example"))
    assert told(response) == [("walkers.hosts", "a")]
    [one] = response.diagnostics
    assert one.enforcementLevel == wire.MANDATORY
    assert "evil.example" in one.message
    assert "route K49" in one.message


def test_nothing_is_changed_by_a_pack(pack: Pack) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        pack.stub.Remediate(wire.AnalyzeRequest(urn=urn("a")))
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED  # which the engine takes for "nothing"


def test_what_is_clean_passes_and_the_verdict_is_stored(pack: Pack) -> None:
    assert told(pack.analyze("a", config_map(u="https://audit.llm-audit.svc"))) == []
    assert told(pack.analyze_stack("a")) == []
    verdict = pack.verdict
    assert (verdict["verdict"], verdict["resources"]) == ("pass", 1)
    assert verdict["rules"] == [rule.id for rule in load()]


def test_the_unknown_is_decided_with_the_whole_plan_and_hides_nothing(pack: Pack) -> None:
    inputs = config_map(a=UNKNOWN, b="https://evil.example", c=["x", UNKNOWN])
    assert told(pack.analyze("a", inputs)) == [("walkers.hosts", "a")]
    paths = {one.message.split(" can't")[0].rpartition(" ")[2] for one in pack.analyze_stack("a").diagnostics}
    assert {"data.a", "data.c[1]"} <= paths
    assert pack.verdict["verdict"] == "refuse"
    assert {one["verdict"] for one in pack.verdict["findings"]} == {"refuse", "undecided"}


def test_when_it_is_for_real_the_unknown_is_refused_before_it_is_made(tmp_path: Path) -> None:
    with started("sovereign", tmp_path) as pack:
        pack.configure(dry_run=False)
        assert told(pack.analyze("a", config_map(a=UNKNOWN)))
        pack.analyze_stack("a")
        assert not (pack.site / ".sovereign").exists()


def test_when_it_is_for_real_what_another_resource_decides_waits_for_the_whole_plan(tmp_path: Path) -> None:
    container = {
        "name": "c",
        "image": f"registry.sovereign.internal/c@sha256:{'0' * 64}",
        "envFrom": [{"configMapRef": {"name": "c"}}],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "n"},
        "spec": {"automountServiceAccountToken": False, "containers": [container]},
    }
    with started("sovereign", tmp_path) as pack:
        pack.configure(dry_run=False)
        assert told(pack.analyze("p", pod, "kubernetes:core/v1:Pod")) == []


def test_a_secret_is_judged_in_clear_and_never_shown(pack: Pack) -> None:
    hidden = {SIGNATURE: SECRET, "value": "https://exfil-77.evil.example"}
    token = "kubernetes:core/v1:Secret"
    inputs = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"url": hidden}}
    response = pack.analyze("s", inputs, token)
    assert ("walkers.hosts", "s") in told(response)
    stack = pack.analyze_stack("s", token=token)
    assert "exfil" not in str(response) + str(stack) + json.dumps(pack.verdict)


def test_an_output_value_is_read(pack: Pack) -> None:
    known = {SIGNATURE: OUTPUT, "value": "https://evil.example"}
    assert told(pack.analyze("a", config_map(u=known))) == [("walkers.hosts", "a")]
    assert told(pack.analyze("b", config_map(u={SIGNATURE: OUTPUT}))) == []
    assert told(pack.analyze_stack("b"))
    assert pack.verdict["verdict"] == "refuse"


def test_a_resource_whose_inputs_were_never_seen_is_refused(pack: Pack) -> None:
    assert ("unknowns.inputs", "ghost") in told(pack.analyze_stack("ghost"))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (None, "zone.missing"),
        ({**SETTINGS, "zone": "moon"}, "There is no zone file"),
        ({"zone": 1}, "zone.missing"),
    ],
)
def test_without_a_zone_nothing_passes(pack: Pack, settings: Any, said: str) -> None:
    pack.configure(settings)
    assert told(pack.analyze("a", config_map())) == []
    response = pack.analyze_stack("a")
    assert [one.policyName for one in response.diagnostics] == ["zone.missing"]
    assert said in response.diagnostics[0].message + response.diagnostics[0].policyName
    assert pack.verdict["verdict"] == "refuse"


def test_a_site_that_cannot_be_used_refuses(tmp_path: Path) -> None:
    (tmp_path / "site" / "rules").mkdir(parents=True)
    (tmp_path / "site" / "rules" / "own.py").write_text("import nothing_of_that_name")
    with started("sovereign", tmp_path) as pack:
        pack.configure()
        pack.analyze("a", config_map())
        assert "own.py" in pack.analyze_stack("a").diagnostics[0].message


def test_a_disabled_rule_is_missing_from_the_verdict(pack: Pack) -> None:
    off = wire.PolicyConfig(enforcementLevel=wire.DISABLED)
    pack.stub.Configure(wire.ConfigureAnalyzerRequest(policyConfig={"walkers.hosts": off}))
    assert told(pack.analyze("a", config_map(u="https://evil.example"))) == []
    pack.analyze_stack("a")
    assert "walkers.hosts" not in pack.verdict["rules"]


def test_a_disabled_or_lowered_rule_is_told_by_one_that_stays_on(pack: Pack) -> None:
    levels = {"walkers.hosts": wire.DISABLED, "run.rules": wire.DISABLED, "images.pinned": wire.ADVISORY}
    config = {name: wire.PolicyConfig(enforcementLevel=level) for name, level in levels.items()}
    pack.stub.Configure(wire.ConfigureAnalyzerRequest(policyConfig=config))
    assert [name for name, _ in told(pack.analyze_stack())] == ["run.rules"] * 3
    assert {one["seen"] for one in pack.verdict["findings"]} == set(levels)
    assert pack.verdict["verdict"] == "refuse"


def test_the_rules_of_the_run_see_the_run(tmp_path: Path) -> None:
    hosted = {"GITHUB_ACTIONS": "true", "RUNNER_ENVIRONMENT": "github-hosted"}
    with started("sovereign", tmp_path, **hosted, https_proxy="http://proxy.example.com:3128") as pack:
        pack.configure()
        assert {name for name, _ in told(pack.analyze_stack())} == {"run.calls", "run.machine"}


def test_the_provider_of_a_resource_is_found(pack: Pack) -> None:
    provider = urn("own", "pulumi:providers:kubernetes")
    kubeconfig = {"clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:6443"}}]}
    pack.analyze(
        "own",
        {"kubeconfig": json.dumps(kubeconfig), "cluster": "c", "namespace": "elsewhere"},
        "pulumi:providers:kubernetes",
    )
    inputs = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": []}}
    pack.analyze("p", inputs, "kubernetes:core/v1:Pod", provider)
    token = "kubernetes:core/v1:Pod"
    resources = [
        wire.AnalyzerResource(urn=provider, type="pulumi:providers:kubernetes", name="own"),
        wire.AnalyzerResource(urn=urn("p", token), type=token, name="p"),
    ]
    response = pack.stub.AnalyzeStack(wire.AnalyzeStackRequest(resources=resources))
    assert "elsewhere" in str([one.message for one in response.diagnostics])


@pytest.mark.parametrize(
    ("name", "rules"),
    [("organization/sovereign/ground", []), ("somebody/else/ground", ["stack-references.owner"])],
)
def test_a_stack_reference_is_judged_by_its_name(pack: Pack, name: str, rules: list[str]) -> None:
    token = "pulumi:pulumi:StackReference"
    outputs = Struct()
    outputs.update({"name": name, "outputs": {"endpoint": "https://evil.example"}})
    reference = wire.AnalyzerResource(urn=urn("r", token), type=token, name="r", properties=outputs)
    response = pack.stub.AnalyzeStack(wire.AnalyzeStackRequest(resources=[reference]))
    assert [one for one, _ in told(response)] == rules


def test_the_rules_of_state_and_secrets_key_see_the_settings(pack: Pack) -> None:
    state = {"backend": "https://api.pulumi.com", "secretsProvider": "awskms://alias/x?region=us-east-1"}
    pack.configure({"zone": "local", "state": state})
    names = {name for name, _ in told(pack.analyze_stack())}
    assert {"state.backend", "state.secrets-provider"} <= names


def test_each_rule_is_a_policy_with_all_that_there_is_to_say(pack: Pack) -> None:
    info = pack.stub.GetAnalyzerInfo(_empty())
    assert [one.name for one in info.policies] == [rule.id for rule in load()]
    for one in info.policies:
        assert one.enforcementLevel == wire.MANDATORY
        assert one.description
        assert one.remediation_steps
        assert one.framework.name
        assert one.url.startswith("docs/rules.md#")


def test_three_selections_add_up_to_the_whole(tmp_path: Path) -> None:
    for name in ("residency", "egress", "protection"):
        with started(name, tmp_path) as pack:
            pack.configure()
            pack.analyze("a", config_map(u="https://evil.example" if name == "egress" else "x"))
            pack.analyze_stack("a")
            assert pack.stub.GetAnalyzerInfo(_empty()).name == name
    assert pack.verdict["rules"] == [rule.id for rule in load()]
    assert pack.verdict["verdict"] == "refuse"


@pytest.mark.parametrize("name", ["sovereign", "residency", "egress", "protection"])
def test_a_pack_names_the_environment_of_the_checkout(name: str) -> None:
    folder = ROOT / "policies" / name
    project = yaml.safe_load((folder / "PulumiPolicy.yaml").read_text())
    assert project["name"] == name
    assert (folder / project["runtime"]["options"]["virtualenv"]).resolve() == ROOT / ".venv"


def _empty() -> Any:
    from google.protobuf.empty_pb2 import Empty

    return Empty()


def waived(site: Path, expires: date) -> None:
    """Two people let the ConfigMap `a` name a host outside."""
    keys = {"Ana": Ed25519PrivateKey.generate(), "Jean": Ed25519PrivateKey.generate()}
    zone = site / "zones" / "local.yaml"
    signers = {
        name: key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        for name, key in keys.items()
    }
    data = yaml.safe_load((ROOT / "stacks" / "zones" / "local.yaml").read_text(encoding="utf-8"))
    zone.write_text(yaml.safe_dump({**data, "signers": signers}), encoding="utf-8")
    waiver = Waiver(
        rule="walkers.hosts",
        urn=urn("a"),
        owner="Ana",
        approver="Jean",
        reason="moved in January with the vendor",
        asked=expires - timedelta(days=20),
        expires=expires,
    )
    signatures = {
        name: base64.b64encode(key.sign(waiver.signed_bytes())).decode() for name, key in keys.items()
    }
    (site / "waivers").mkdir(exist_ok=True)
    signed = {**waiver.model_dump(mode="json"), "signatures": signatures}
    (site / "waivers" / "a.yaml").write_text(yaml.safe_dump(signed), encoding="utf-8")


LEAK = config_map(u="https://evil.example")


def judged(tmp_path: Path, inputs: dict[str, Any], dry_run: bool = True) -> list[tuple[str, str, int]]:
    """What a run of the pack says of `a` alone and of the plan."""
    with started("sovereign", tmp_path) as pack:
        pack.configure(dry_run=dry_run)
        said = [*pack.analyze("a", inputs).diagnostics, *pack.analyze_stack("a").diagnostics]
        return [(one.policyName, one.message, one.enforcementLevel) for one in said]


def test_a_waived_finding_is_shown_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "site" / "zones").mkdir(parents=True)
    waived(tmp_path / "site", date.today() + timedelta(days=10))
    [(rule, message, level)] = judged(tmp_path, LEAK)
    assert (rule, level) == ("walkers.hosts", wire.ADVISORY)
    assert "by Ana and Jean (a.yaml). ends in 10 days" in message
    verdict = json.loads((tmp_path / "site/.sovereign/stacks/dev/verdict.json").read_text())
    assert verdict["verdict"] == "pass"
    assert verdict["waived"][0]["waiver"]["owner"] == "Ana"


def test_an_ended_waiver_lets_what_was_released_be_and_nothing_new(tmp_path: Path) -> None:
    (tmp_path / "site" / "zones").mkdir(parents=True)
    waived(tmp_path / "site", date.today() + timedelta(days=10))
    assert judged(tmp_path, LEAK, dry_run=False)[0][2] == wire.ADVISORY  # released
    waived(tmp_path / "site", date.today() - timedelta(days=1))
    [(_, message, level)] = judged(tmp_path, LEAK)
    assert level == wire.ADVISORY
    assert "ended on" in message
    [(_, _, level)] = judged(tmp_path, config_map(u="https://evil.example/other"))
    assert level == wire.MANDATORY


def test_a_waiver_that_does_not_hold_refuses_the_run(tmp_path: Path) -> None:
    (tmp_path / "site" / "zones").mkdir(parents=True)
    waived(tmp_path / "site", date.today() + timedelta(days=10))
    file = tmp_path / "site" / "waivers" / "a.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("walkers.hosts", "images.pinned"))
    [(rule, message, level)] = judged(tmp_path, config_map(u="fine"))
    assert (rule, level) == ("zone.missing", wire.MANDATORY)
    assert "Ana has not signed it as it is" in message


def test_a_state_is_judged_without_being_told_of_its_stack(tmp_path: Path) -> None:
    """As `pulumi policy analyze` asks: no ConfigureStack, and secrets as a word."""
    site = tmp_path / "site"
    (site / "zones").mkdir(parents=True)
    shutil.copy(ROOT / "stacks" / "zones" / "local.yaml", site / "zones" / "local.yaml")
    (site / "Pulumi.dev.yaml").write_text(
        yaml.safe_dump({"config": {"sovereign:settings": SETTINGS, "sovereign:key": {"secure": "x"}}})
    )
    with started("sovereign", tmp_path) as pack:
        assert told(pack.analyze("a", config_map(password="[secret]"))) == []
        assert told(pack.analyze("b", LEAK)) == [("walkers.hosts", "b")]
        assert told(pack.analyze_stack("a", "b")) == []
    assert not (site / ".sovereign").exists(), "nothing was run, so nothing is kept"


def test_an_interrupt_ends_it_though_the_engine_asked_no_further(tmp_path: Path) -> None:
    with started("sovereign", tmp_path) as pack:
        pack.configure()
        pack.process.send_signal(signal.SIGINT)
        assert pack.process.wait(timeout=30) == 0
