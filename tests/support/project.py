"""A Pulumi project of any Kubernetes objects, run through the real engine: for load, scale and speed."""

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from policies.read.settings import KEY
from tests.support.cluster import ROOT, LiveCluster
from toolchain import build
from toolchain.engine import Engine
from toolchain.providers import kubernetes

STACK = "objects"
PACK = ROOT / "policies" / "sovereign"

_PROGRAM = '''\
"""Makes the objects of objects.json, each after its namespace."""

import json
from pathlib import Path

import pulumi
import pulumi_kubernetes

access = json.loads(Path("access.json").read_text())
provider = pulumi_kubernetes.Provider(
    "cluster",
    kubeconfig=pulumi.Output.secret(access["kubeconfig"]),
    cluster_identifier=access["uid"],
    enable_server_side_apply=True,
)
namespaces = {}
for item in json.loads(Path("objects.json").read_text()):
    version, kind, metadata = item["apiVersion"], item["kind"], item["metadata"]
    token = f"kubernetes:{version if '/' in version else 'core/' + version}:{kind}"
    place = metadata.get("namespace")
    made = pulumi.CustomResource(
        token,
        f"{place or 'cluster'}/{metadata['name']}",
        item,
        pulumi.ResourceOptions(
            provider=provider, depends_on=[namespaces[place]] if place in namespaces else None
        ),
    )
    if kind == "Namespace":
        namespaces[metadata["name"]] = made
'''


@dataclass
class Project:
    """A project in `folder` for the objects, with a state and a site of its own, on a running cluster."""

    folder: Path
    cluster: LiveCluster
    objects: Sequence[Mapping[str, Any]]

    @cached_property
    def engine(self) -> Engine:
        return Engine(
            executable=build.ensure(["pulumi"])["pulumi"],
            root=self.folder,
            home=self.folder / "home",
            backend=f"file://{self.folder / 'state'}",
            config_file=self.folder / f"Pulumi.{STACK}.yaml",
            passphrase_file=self.folder / "passphrase",
            variables={"SOVEREIGN_SITE": str(self.folder)},
        )

    def create(self) -> None:
        """Writes the project and makes its stack."""
        (self.folder / "zones").mkdir(parents=True)
        shutil.copy(ROOT / "stacks" / "zones" / "local.yaml", self.folder / "zones")
        (self.folder / "__main__.py").write_text(_PROGRAM, encoding="utf-8")
        (self.folder / "objects.json").write_text(json.dumps(list(self.objects)), encoding="utf-8")
        access = {"kubeconfig": self.cluster.kubeconfig.read_text(encoding="utf-8"), "uid": self.cluster.uid}
        (self.folder / "access.json").write_text(json.dumps(access), encoding="utf-8")
        (self.folder / "passphrase").write_text("of this test alone", encoding="utf-8")
        runtime = {"name": "python", "options": {"virtualenv": sys.prefix}}
        self._yaml("Pulumi.yaml", {"name": "sovereign", "runtime": runtime})
        state = {"backend": self.engine.backend, "secretsProvider": "passphrase"}
        self._yaml(f"Pulumi.{STACK}.yaml", {"config": {KEY: {"zone": "local", "state": state}}})
        kubernetes.install(self.engine.home, Path(sys.executable), ROOT)
        self.engine.create_stack(STACK, "passphrase")

    def preview(self, *, packs: bool) -> str:
        """Runs a preview; its output. Raises AssertionError where the plan is refused or fails."""
        return self._run("preview", packs)

    def up(self, *, packs: bool) -> str:
        """Makes the objects; the engine's output."""
        return self._run("up", packs, "--yes")

    def destroy(self) -> str:
        """Deletes them all."""
        return self._run("destroy", False, "--yes")

    def _run(self, verb: str, packs: bool, *arguments: str) -> str:
        policy = ["--policy-pack", str(PACK)] if packs else []
        done = self.engine.run([verb, "--stack", STACK, *arguments, *policy])
        assert done.returncode == 0, f"pulumi {verb}: {done.stdout[-4000:]}{done.stderr[-4000:]}"
        return done.stdout

    def _yaml(self, name: str, data: Mapping[str, Any]) -> None:
        (self.folder / name).write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
