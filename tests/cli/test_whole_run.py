"""The whole way on a real API server, from a site outside the checkout: each test goes on from the last."""

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli import output
from tests.cli.support import COMMAND, ROOT, run_out

pytestmark = [pytest.mark.engine, pytest.mark.cluster]

STACK = "trial"
PACK = str(ROOT / "policies" / "sovereign")
RULE = '''"""How this site calls its namespaces."""

from policies.rule import rule


@rule("site.names", title="No namespace is called after a person", routes=["P25"], controls=[],
      fix="Choose another name.", pack="protection", kinds=["core/Namespace"])
def names(subject, zone):
    """Names are seen by everyone, so they say what a thing is and not whose."""
    if subject["metadata"]["name"].text() == "llm-miller":
        yield subject.refuse("metadata.name", seen="llm-miller", why="it names a person")
'''
Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Trial:
    """A site with a stack like `local`, in a cluster of its own."""

    site: Path

    def sovereign(self, *arguments: object, timeout: float = 600) -> Done:
        # what a user's shell may hold, and the kit must not look at
        astray = {"KUBECONFIG": "/nowhere", "AWS_ACCESS_KEY_ID": "x", "PULUMI_ACCESS_TOKEN": "x"}
        proxies = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "http_proxy"), "http://nobody.invalid:3128")
        astray |= {"CI": "true", **proxies}
        return run_out("--site", self.site, *arguments, timeout=timeout, environ={**os.environ, **astray})

    def json(self, *arguments: object, expect: int = 0) -> Any:
        done = self.sovereign(*arguments, "--json")
        assert done.returncode == expect, done.stderr + done.stdout
        assert "Traceback" not in done.stderr
        return json.loads(done.stdout)

    def pulumi(self, *arguments: str) -> Done:
        """Plain pulumi in the environment that `sovereign env` prints."""
        env = shlex.join([*COMMAND, "--site", str(self.site), "env", STACK])
        script = (
            f'set -e; eval "$({env} 2>/dev/null)"; '
            f"exec pulumi {shlex.join(arguments)} --stack {STACK} --non-interactive"
        )
        return subprocess.run(
            ["sh", "-c", script],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        from toolchain import build

        status = self.json("cluster", "status")
        program = build.ensure(("kubectl",))["kubectl"]
        done = subprocess.run(
            [program, "--kubeconfig", status["kubeconfig"], *arguments],
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def get(self, kind: str, name: str, namespace: str) -> Any:
        return json.loads(self.kubectl("get", kind, name, "-n", namespace, "-o", "json"))

    def recreate(self, kind: str, name: str, namespace: str, **spec: Any) -> None:
        """Another hand makes the object anew, with changes that can't be made in place."""
        made = self.get(kind, name, namespace)
        made["metadata"] = {"name": name, "namespace": namespace, "labels": made["metadata"].get("labels")}
        made["spec"].update(spec)
        del made["status"]
        self.kubectl("replace", "--force", "-f", "-", given=json.dumps(made))

    def up_until(self, words: str) -> subprocess.Popen[str]:
        """`up` in the background, as soon as its progress says these words."""
        process = subprocess.Popen(
            [*COMMAND, "--site", str(self.site), "up", STACK],
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        assert any(words in line for line in process.stderr), "it ended before it said so"
        return process

    def urns(self) -> list[str]:
        exported = json.loads(self.pulumi("stack", "export").stdout)
        return [resource["urn"] for resource in exported["deployment"]["resources"]]

    def write(self, stack: str = STACK, **changes: Any) -> None:
        data = yaml.safe_load((ROOT / "stacks" / "Pulumi.local.yaml").read_text(encoding="utf-8"))
        settings = data["config"]["sovereign:settings"]
        settings["state"]["backend"] = f"file://.sovereign/stacks/{stack}/state"
        for key, value in changes.pop("model", {}).items():
            settings["models"][0][key] = value
        for key, value in changes.items():
            settings[key] = {**settings.get(key, {}), **value} if isinstance(value, dict) else value
        text = yaml.safe_dump(data, sort_keys=False)
        (self.site / f"Pulumi.{stack}.yaml").write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    site = tmp_path_factory.mktemp("whole") / "site"
    (site / "zones").mkdir(parents=True)
    shutil.copyfile(ROOT / "stacks" / "zones" / "local.yaml", site / "zones" / "local.yaml")
    (site / "rules").mkdir()
    (site / "rules" / "names.py").write_text(RULE, encoding="utf-8")
    made = Trial(site)
    made.write()
    try:
        yield made
    finally:
        made.sovereign("cluster", "down", "--delete")


def test_from_nothing_to_ready(trial: Trial) -> None:
    summary = trial.json("up", STACK)
    assert summary["changes"]["create"] > 20
    assert {item["name"] for item in summary["workloads"]} >= {
        "vllm-llama-3-3-70b",
        "llm-gateway",
        "llm-audit",
    }
    assert all(item["ready"] == item["wanted"] > 0 for item in summary["workloads"])
    assert summary["outputs"]["zone"] == "local"


def test_the_shared_settings_file_and_the_checkout_stay_as_they_were(trial: Trial) -> None:
    assert "encryptionsalt" not in (trial.site / f"Pulumi.{STACK}.yaml").read_text()
    assert "secure:" not in (trial.site / f"Pulumi.{STACK}.yaml").read_text()


def test_secrets_are_encrypted_in_state_and_settings(trial: Trial) -> None:
    key = trial.pulumi("config", "get", "sovereign:auditKey").stdout.strip()
    assert len(key) > 20
    assert (trial.site / ".sovereign" / "pulumi-home" / "logs").is_file(), "the engine keeps a log of it all"
    for file in (trial.site / ".sovereign" / "stacks").rglob("*"):
        if file.is_file():
            text = file.read_text(encoding="utf-8", errors="replace")
            assert key not in text, file
            assert "PRIVATE KEY" not in text, file


def test_up_again_changes_nothing_within_a_minute(trial: Trial) -> None:
    start = time.monotonic()
    summary = trial.json("up", STACK)
    assert set(summary["changes"]) == {"same"}
    assert time.monotonic() - start < 60


def test_drift_is_seen_by_refresh(trial: Trial) -> None:
    opened = '[{"op": "add", "path": "/spec/ingress/-", "value": {}}]'
    trial.kubectl("patch", "networkpolicy", "vllm-server", "-n", "llm-serving", "--type=json", "-p", opened)
    trial.recreate("statefulset", "llm-audit", "llm-audit", serviceName="another")
    seen = trial.pulumi("refresh", "--yes", "--skip-preview", "--json")
    assert seen.returncode == 0, seen.stdout + seen.stderr
    changed = {
        event["resOutputsEvent"]["metadata"]["urn"].rpartition("::")[2]
        for line in seen.stdout.splitlines()
        if line.startswith("{") and "resOutputsEvent" in (event := json.loads(line))
        if event["resOutputsEvent"]["metadata"].get("op") == "update"
    }
    assert changed >= {"llm-serving/vllm-server", "llm-audit/llm-audit"}, seen.stdout


def test_an_object_of_another_hand_is_imported(trial: Trial) -> None:
    trial.kubectl("create", "configmap", "notes", "-n", "llm-serving", "--from-literal=a=b")
    provider = next(urn for urn in trial.urns() if "pulumi:providers:kubernetes::" in urn)
    options = ("--yes", "--protect=false", "--generate-code=false", "--provider", f"cluster={provider}")
    done = trial.pulumi("import", "kubernetes:core/v1:ConfigMap", "notes", "llm-serving/notes", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert any(urn.endswith("ConfigMap::notes") for urn in trial.urns())


def test_a_change_updates_replaces_and_deletes_exactly_what_differs(trial: Trial) -> None:
    trial.write(model={"maxLength": 16384})
    plan = trial.json("plan", STACK)
    assert (plan["verdict"], plan["findings"]) == ("pass", [])
    assert plan["digest"].startswith("sha256:")
    assert plan["resources"] > 20
    planned = {(change["op"], output.resource_name(change["urn"])) for change in plan["changes"]}
    assert planned == {
        ("update", 'Deployment "llm-serving/vllm-llama-3-3-70b"'),
        ("update", 'NetworkPolicy "llm-serving/vllm-server"'),  # drifted
        ("replace", 'StatefulSet "llm-audit/llm-audit"'),  # drifted, in an immutable field
        ("delete", 'ConfigMap "notes"'),  # imported, and not in the program
    }
    changes = trial.json("up", STACK)["changes"]
    assert (changes["update"], changes["replace"], changes["delete"]) == (2, 1, 1)
    assert "16384" in json.dumps(trial.get("deployment", "vllm-llama-3-3-70b", "llm-serving")["spec"])
    assert {} not in trial.get("networkpolicy", "vllm-server", "llm-serving")["spec"]["ingress"]
    assert trial.get("statefulset", "llm-audit", "llm-audit")["spec"]["serviceName"] == "llm-audit"
    assert trial.kubectl("get", "configmap", "notes", "-n", "llm-serving", "--ignore-not-found") == ""


def test_plain_pulumi_without_rules_is_refused_and_with_them_goes_through(trial: Trial) -> None:
    trial.write(model={"maxLength": 8192})
    refused = trial.pulumi("up", "--yes")
    assert refused.returncode != 0
    assert "No plan of this stack has been judged" in refused.stdout + refused.stderr
    assert "max-model-len=8192" not in json.dumps(
        trial.get("deployment", "vllm-llama-3-3-70b", "llm-serving")["spec"]
    )
    passed = trial.pulumi("up", "--yes", "--policy-pack", PACK)
    assert passed.returncode == 0, passed.stdout + passed.stderr
    assert "max-model-len=8192" in json.dumps(
        trial.get("deployment", "vllm-llama-3-3-70b", "llm-serving")["spec"]
    )


def test_a_leaking_stack_is_refused_with_its_finding(trial: Trial) -> None:
    data = yaml.safe_load((ROOT / "stacks" / "Pulumi.local.yaml").read_text(encoding="utf-8"))
    image = data["config"]["sovereign:settings"]["images"]["vllm"]
    elsewhere = image.replace("registry.sovereign.internal", "registry.example.com")
    trial.write("leak", images={"vllm": elsewhere}, namespaces={"gateway": "llm-miller"})
    plan = trial.json("plan", "leak", expect=1)
    assert plan["verdict"] == "refuse"
    leaks = [finding for finding in plan["findings"] if "registry.example.com" in finding["seen"]]
    assert leaks, plan["findings"]
    assert all(finding["urn"] and finding["fix"] for finding in leaks)
    assert "site.names" in {finding["rule"] for finding in plan["findings"]}
    done = trial.sovereign("up", "leak")
    assert done.returncode == 1
    assert "registry.example.com" in done.stdout
    assert "nothing was changed" in done.stdout


def test_an_interrupted_up_ends_cleanly(trial: Trial) -> None:
    trial.write(model={"maxLength": 4096})
    process = trial.up_until("planned:")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "Interrupted" in said
    assert "Traceback" not in said
    assert not engines(trial.site)


def test_an_api_server_that_dies_in_the_middle_is_told(trial: Trial) -> None:
    process = trial.up_until("planned:")
    record = trial.site / ".sovereign" / "cluster" / "pids" / "kube-apiserver.pid"
    os.kill(json.loads(record.read_text())["pid"], signal.SIGKILL)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 3, said
    assert "the engine stopped" in said
    assert "Traceback" not in said
    assert not engines(trial.site)
    assert trial.json("cluster", "status")["running"] is False
    done = trial.sovereign("down", STACK, "--yes")
    assert done.returncode == 3
    assert "sovereign cluster up" in done.stderr


def test_the_next_run_repairs_both(trial: Trial) -> None:
    trial.json("up", STACK)
    assert "4096" in json.dumps(trial.get("deployment", "vllm-llama-3-3-70b", "llm-serving")["spec"])


def test_a_release_is_brought_back_whole_by_one_command(trial: Trial) -> None:
    def length() -> str:
        spec = trial.get("deployment", "vllm-llama-3-3-70b", "llm-serving")["spec"]
        found = [one for one in spec["template"]["spec"]["containers"][0]["args"] if "max-model-len" in one]
        return str(found[0].rpartition("=")[2])

    releases = trial.json("rollback", STACK, "llama-3.3-70b", "--list")
    assert releases[-1]["model"]["maxLength"] == 4096
    before = str(releases[-2]["model"]["maxLength"])
    changes = trial.json("rollback", STACK, "llama-3.3-70b")["changes"]
    assert changes.get("update") == 1
    assert length() == before
    assert trial.json("up", STACK)["changes"].keys() == {"same"}
    trial.json("rollback", STACK, "llama-3.3-70b", "--end")
    assert length() == "4096"


def test_another_stack_with_a_zone_of_its_own_shares_the_cluster(trial: Trial) -> None:
    """The stack onprem-paris: an engine in each of two rooms, an address for its applications."""
    data = yaml.safe_load((ROOT / "stacks" / "Pulumi.onprem-paris.yaml").read_text(encoding="utf-8"))
    settings = data["config"]["sovereign:settings"]
    settings["state"]["backend"] = "file://.sovereign/stacks/onprem-paris/state"
    settings["embedded"].update(nodes=4, gpusPerNode=8)
    (trial.site / "Pulumi.onprem-paris.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    zone = yaml.safe_load((ROOT / "stacks" / "zones" / "paris.yaml").read_text(encoding="utf-8"))
    zone["runners"] = [socket.gethostname()]  # a CI service says that it runs here, see Trial.sovereign
    (trial.site / "zones" / "paris.yaml").write_text(yaml.safe_dump(zone), encoding="utf-8")
    ready = {one["name"]: one["ready"] for one in trial.json("up", "onprem-paris")["workloads"]}
    assert ready == {"llm-gateway": 2, "llm-audit": 1, "vllm-llama-3-3-70b": 2}
    rooms = {
        trial.get("node", pod["spec"]["nodeName"], "")["metadata"]["labels"]["topology.kubernetes.io/zone"]
        for pod in json.loads(trial.kubectl("get", "pods", "-n", "paris-serving", "-o", "json"))["items"]
    }
    assert len(rooms) == 2
    entrance = trial.get("service", "llm-gateway-entrance", "paris-gateway")
    assert entrance["status"]["loadBalancer"]["ingress"][0]["ip"] == "10.12.0.10"
    assert trial.json("up", STACK)["changes"].keys() == {"same"}
    assert trial.json("down", "onprem-paris", "--yes")["changes"]["delete"] > 20
    assert trial.get("deployment", "vllm-llama-3-3-70b", "llm-serving")["status"]["readyReplicas"] == 1


def test_a_renamed_namespace_is_made_anew_and_its_workloads_move(trial: Trial) -> None:
    trial.write(model={"maxLength": 4096}, namespaces={"audit": "llm-records"})
    changes = trial.json("up", STACK)["changes"]
    assert changes["replace"] == 1  # the volume, which is kept for one claim; all else has another name
    assert changes["create"] == changes["delete"] > 5
    assert trial.get("statefulset", "llm-audit", "llm-records")["status"]["readyReplicas"] == 1
    assert trial.kubectl("get", "namespace", "llm-audit", "--ignore-not-found") == ""


def test_down_deletes_all_and_is_content_with_nothing(trial: Trial) -> None:
    assert trial.json("down", STACK, "--yes")["changes"]["delete"] > 20
    for namespace in ("llm-gateway", "llm-serving", "llm-records"):
        assert trial.kubectl("get", "namespace", namespace, "--ignore-not-found") == ""
    assert trial.json("down", STACK, "--yes")["changes"].get("delete", 0) == 0
    trial.json("down", STACK, "--yes", "--cluster")
    assert trial.json("cluster", "status")["running"] is False
    assert not (trial.site / ".sovereign" / "stacks" / STACK).exists()
    assert trial.json("down", STACK, "--yes", "--cluster")["changes"] == {}
    assert not engines(trial.site)


def engines(site: Path) -> list[str]:
    """Command lines of processes that run for this site."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environ = (entry / "environ").read_bytes()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"PULUMI_HOME={site}".encode() in environ:
            found.append(command)
    return found
