"""A real API server takes every object of the local stack, holds pods to `restricted`, says who it is."""

import base64
import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.onprem.cluster import identify
from components.onprem.kubeconfig import ClusterError, Kubeconfig
from facts.site import ROOT, Site
from stacks import ground, secret_config, settings
from stacks.settings import Namespaces
from tests.stacks.support import AnsweredKubeconfig, objects
from tests.support.cluster import LiveCluster
from tests.support.render import Asked

pytestmark = pytest.mark.cluster

#: namespaces of this test's own, in a cluster that others use too
OURS = Namespaces(gateway="admission-gateway", serving="admission-serving", audit="admission-audit")


@pytest.fixture(scope="module")
def asked(cluster: LiveCluster) -> Iterator[list[Asked]]:
    site = Site(ROOT / "stacks")
    chosen = settings.load(site.stack_file("local")).model_copy(update={"namespaces": OURS})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ground, "Kubeconfig", AnsweredKubeconfig)
        made = [one for one in objects(site, "local", chosen) if one.type.startswith("kubernetes:")]
    namespaces = [one.inputs for one in made if one.kind == "Namespace"]
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=as_list(namespaces))
    yield made
    cluster.kubectl("delete", "namespace", *(one["metadata"]["name"] for one in namespaces), "--wait=false")


def as_list(items: list[dict[str, Any]]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def pod(one: Asked) -> dict[str, Any]:
    template = one.inputs["spec"]["template"]
    meta = {"name": one.inputs["metadata"]["name"], "namespace": one.inputs["metadata"]["namespace"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**meta, "labels": template["metadata"]["labels"]},
        "spec": copy.deepcopy(template["spec"]),
    }


def test_every_object_is_admitted(cluster: LiveCluster, asked: list[Asked]) -> None:
    applied = cluster.kubectl(
        *("apply", "--server-side", "--dry-run=server", "--validate=strict", "-o", "name", "-f", "-"),
        stdin=as_list([one.inputs for one in asked]),
    )
    assert len(applied.split()) == len(asked)


def test_pods_pass_the_restricted_standard(cluster: LiveCluster, asked: list[Asked]) -> None:
    pods = [pod(one) for one in asked if one.kind in ("Deployment", "StatefulSet")]
    assert len(pods) == 3
    # a pod's account has to be there; all else of a pod is looked at without it
    for one in pods:
        one["spec"].pop("serviceAccountName")
        one["spec"].pop("priorityClassName", None)
        cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(one))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("securityContext", "runAsNonRoot"), False),
        (("containers", 0, "securityContext", "allowPrivilegeEscalation"), True),
        (("containers", 0, "securityContext", "capabilities"), {"add": ["NET_ADMIN"]}),
        (("hostNetwork",), True),
    ],
)
def test_a_pod_that_is_not_hardened_is_refused(
    cluster: LiveCluster, asked: list[Asked], path: tuple[str | int, ...], value: Any
) -> None:
    weak = pod(next(one for one in asked if one.kind == "StatefulSet"))
    weak["spec"].pop("serviceAccountName")
    place: Any = weak["spec"]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    if path[-1] == "runAsNonRoot":
        weak["spec"]["containers"][0]["securityContext"].pop("runAsNonRoot")
    with pytest.raises(AssertionError, match=r"violates PodSecurity \"restricted:v1\.36\""):
        cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(weak))


def test_the_cluster_says_who_it_is(cluster: LiveCluster) -> None:
    access = Kubeconfig.read(cluster.kubeconfig)
    assert identify(access, cluster.uid) == cluster.uid
    with pytest.raises(ClusterError, match=r"correct cluster\.kubeconfig"):
        identify(access, "00000000-0000-4000-8000-000000000000")


def test_a_cluster_that_is_gone_is_said(cluster: LiveCluster, tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(cluster.kubeconfig.read_text().replace(cluster.server, "https://127.0.0.1:1"))
    with pytest.raises(
        ClusterError, match=r"No cluster answers at https://127\.0\.0\.1:1 .*sovereign cluster up"
    ):
        Kubeconfig.read(file).uid()


def test_a_cluster_that_is_another_is_not_trusted(cluster: LiveCluster, tmp_path: Path) -> None:
    """The address is right, and the authority is someone else's."""
    chosen = settings.load(ROOT / "stacks" / "Pulumi.local.yaml")
    made = secret_config.ensure({}, chosen, datetime.now(UTC))
    foreign = json.loads(made[secret_config.CERTIFICATES])["ca"]
    data = yaml.safe_load(Kubeconfig.read(cluster.kubeconfig).text)
    trusted = data["clusters"][0]["cluster"]
    trusted["certificate-authority-data"] = base64.b64encode(foreign.encode()).decode()
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(data))
    with pytest.raises(ClusterError, match=r"not the one that .* trusts"):
        Kubeconfig.read(file).uid()
