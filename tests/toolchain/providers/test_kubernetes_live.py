"""The Kubernetes provider on a real API server, driven over its gRPC port as the engine drives it."""

import base64
import json
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.cluster import LiveCluster
from tests.toolchain.providers.driving import Driver, Failed, driven, shown
from toolchain.providers.core.engine import EngineLog
from toolchain.providers.core.values import UNKNOWN, Secret
from toolchain.providers.kubernetes import kubeconfig
from toolchain.providers.kubernetes.client import Client
from toolchain.providers.kubernetes.waiting import Waiter

pytestmark = pytest.mark.cluster

CONFIG_MAP, SECRET = "core/v1:ConfigMap", "core/v1:Secret"
NAMESPACE, SERVICE = "core/v1:Namespace", "core/v1:Service"
DEPLOYMENT = "apps/v1:Deployment"


@pytest.fixture
def provider(cluster: LiveCluster) -> Iterator[Driver]:
    with driven(cluster.kubeconfig, clusterIdentifier=cluster.uid) as driver:
        yield driver


@pytest.fixture
def namespace(cluster: LiveCluster) -> Iterator[str]:
    name = f"provider-{uuid.uuid4().hex[:8]}"
    cluster.request(
        "POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    )
    yield name
    cluster.request("DELETE", f"/api/v1/namespaces/{name}")


def config_map(namespace: str, data: Any, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": namespace} | metadata,
        "data": data,
    }


def deployment(namespace: str, replicas: int = 1, label: str = "web", **container: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": label}},
            "template": {
                "metadata": {"labels": {"app": label}},
                "spec": {"containers": [{"name": "web", "image": "registry.example/web:1"} | container]},
            },
        },
    }


def live(cluster: LiveCluster, kind: str, namespace: str, name: str) -> Any:
    return json.loads(
        cluster.kubectl("get", kind, name, "-n", namespace, "-o", "json", "--show-managed-fields")
    )


def test_an_object_is_made_changed_read_and_removed(
    cluster: LiveCluster, provider: Driver, namespace: str
) -> None:
    made = provider.create(SERVICE, "web", service(namespace, 80))
    assert made.id == f"{namespace}/web"
    assert made.state["__initialApiVersion"] == "v1"
    assert made.state["__inputs"] == made.inputs
    manager = made.state["__fieldManager"]
    assert len(manager) == len("pulumi-kubernetes-") + 8
    assert manager.startswith("pulumi-kubernetes-")
    owners = live(cluster, "service", namespace, "web")["metadata"]["managedFields"]
    assert (manager, "Apply") in [(owner["manager"], owner["operation"]) for owner in owners]

    difference = provider.diff(made, service(namespace, 81))
    assert difference.kinds == {"spec.ports[0].port": "UPDATE"}
    changed = provider.update(made, service(namespace, 81))
    assert changed.state["__fieldManager"] == manager
    assert live(cluster, "service", namespace, "web")["spec"]["ports"][0]["port"] == 81
    assert not provider.diff(changed, service(namespace, 81)).changed

    again = provider.read(changed)
    assert again is not None
    assert again.inputs == changed.inputs
    provider.delete(changed)
    assert provider.read(changed) is None
    provider.delete(changed)  # once more does no harm


def service(namespace: str, port: int, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": port, "name": "http"}]} | spec,
    }


def test_a_preview_makes_nothing_and_shows_what_the_server_would_add(
    cluster: LiveCluster, provider: Driver, namespace: str
) -> None:
    shown_service = provider.preview(SERVICE, "web", service(namespace, 80))
    assert shown_service["spec"]["type"] == "ClusterIP"
    assert shown_service["spec"]["clusterIP"] is UNKNOWN
    assert "status" not in shown_service
    assert cluster.kubectl("get", "services", "-n", namespace, "-o", "name") == ""


def test_a_name_is_made_up_from_the_seed_and_kept(provider: Driver, namespace: str) -> None:
    inputs = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"namespace": namespace}}
    first = provider.checked(CONFIG_MAP, "settings", inputs)
    assert first == provider.checked(CONFIG_MAP, "settings", inputs)
    assert first["metadata"]["name"].startswith("settings-")
    assert first["metadata"]["annotations"] == {"pulumi.com/autonamed": "true"}
    assert first != provider.checked(CONFIG_MAP, "settings", inputs, seed=b"other")
    assert first == provider.checked(CONFIG_MAP, "settings", inputs, seed=b"other", old=first)
    made = provider.create(CONFIG_MAP, "settings", inputs | {"data": {"a": "1"}})
    difference = provider.diff(made, inputs | {"data": {"a": "2"}})
    assert difference.replaces
    assert not difference.delete_first


def test_the_servers_own_validation_speaks_at_preview(provider: Driver, namespace: str) -> None:
    unselected = deployment(namespace)
    unselected["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    with pytest.raises(Failed, match=rf"^Deployment {namespace}/web: the API server refuses it: .*selector"):
        provider.preview(DEPLOYMENT, "web", unselected)
    mistyped = deployment(namespace)
    mistyped["spec"]["replica"] = 1
    with pytest.raises(Failed, match=r"\.spec\.replica: field not declared in schema"):
        provider.preview(DEPLOYMENT, "web", mistyped)


def test_admission_speaks_at_preview(cluster: LiveCluster, provider: Driver, namespace: str) -> None:
    cluster.kubectl(
        "label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted", "--overwrite"
    )
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "root", "namespace": namespace},
        "spec": {"containers": [{"name": "root", "image": "x"}]},
    }
    with pytest.raises(Failed, match=rf"^Pod {namespace}/root: the API server forbids it: .*PodSecurity"):
        provider.preview("core/v1:Pod", "root", pod)
    cluster.kubectl(
        "label", "namespace", namespace, "pod-security.kubernetes.io/warn=restricted", "--overwrite"
    )
    provider.preview(DEPLOYMENT, "web", deployment(namespace))
    assert "would violate PodSecurity" in provider.engine.text


def test_objects_of_a_namespace_to_be_made_are_tried_elsewhere(provider: Driver) -> None:
    absent = f"absent-{uuid.uuid4().hex[:8]}"
    shown_map = provider.preview(CONFIG_MAP, "settings", config_map(absent, {"a": "1"}))
    assert (shown_map["metadata"]["name"], shown_map["metadata"]["namespace"]) == ("settings", absent)
    with pytest.raises(Failed, match=rf"^Deployment {absent}/web: the API server refuses it: .*replicas"):
        provider.preview(DEPLOYMENT, "web", deployment(absent, replicas=-1))
    said = [line for line in provider.engine.lines if "isn't there yet" in line[1]]
    assert len(said) == 1
    assert f'"{absent}"' in said[0][1]


def test_what_is_not_known_yet_is_not_tried_and_that_is_told(provider: Driver, namespace: str) -> None:
    shown_map = provider.preview(CONFIG_MAP, "settings", config_map(namespace, {"a": UNKNOWN}))
    assert shown_map["data"] == {"a": UNKNOWN}
    assert "data.a isn't known before" in provider.engine.text


def test_an_object_of_somebody_else_is_not_overwritten(
    cluster: LiveCluster, provider: Driver, namespace: str
) -> None:
    cluster.kubectl("create", "configmap", "settings", "-n", namespace, "--from-literal=a=theirs")
    provider.preview(CONFIG_MAP, "settings", config_map(namespace, {"a": "ours"}))
    assert "already exists" in provider.engine.text
    with pytest.raises(
        Failed, match=rf"pulumi import kubernetes:core/v1:ConfigMap settings {namespace}/settings"
    ):
        provider.create(CONFIG_MAP, "settings", config_map(namespace, {"a": "ours"}))
    assert live(cluster, "configmap", namespace, "settings")["data"] == {"a": "theirs"}
    with driven(cluster.kubeconfig, upsertExistingObjects="true") as upserting:
        upserting.create(CONFIG_MAP, "settings", config_map(namespace, {"a": "ours"}))
    assert live(cluster, "configmap", namespace, "settings")["data"] == {"a": "ours"}


def test_an_object_that_is_there_and_may_not_be_either_is_refused_in_a_sentence(
    cluster: LiveCluster, provider: Driver, namespace: str
) -> None:
    cluster.kubectl("create", "deployment", "web", "--image=registry.example/web:1", "-n", namespace)
    with pytest.raises(Failed, match=rf"^Deployment {namespace}/web: the API server refuses it: .*replicas"):
        provider.preview(DEPLOYMENT, "web", deployment(namespace, replicas=-1))
    assert "already exists" in provider.engine.text


def test_a_change_is_waited_for_and_not_asked_for(cluster: LiveCluster, namespace: str) -> None:
    client = Client(kubeconfig.load(str(cluster.kubeconfig)))
    cluster.kubectl("create", "configmap", "settings", "-n", namespace)
    path = f"/api/v1/namespaces/{namespace}/configmaps/settings"
    version = client.get(path)["metadata"]["resourceVersion"]
    assert client.changed(path, version, 1) is False
    cluster.kubectl("label", "configmap", "settings", "-n", namespace, "seen=true")
    assert client.changed(path, version, 60) is True
    assert client.changed("/api/v1/namespaces/x/nothings/settings", version, 60) is None


@pytest.mark.parametrize("may_watch", [True, False])
def test_what_takes_longer_is_watched_and_a_deployer_that_may_not_waits_as_well(
    cluster: LiveCluster, namespace: str, may_watch: bool
) -> None:
    answers = []

    class Told(Client):
        def changed(self, path: str, version: str, seconds: int) -> bool | None:
            asked = path if may_watch else path.replace("/deployments/", "/nothings/")
            answers.append(super().changed(asked, version, seconds))
            return answers[-1]

    client = Told(kubeconfig.load(str(cluster.kubeconfig)))
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/web"
    slow = deployment(namespace)
    slow["spec"]["minReadySeconds"] = 3
    made = client.request("POST", path.rpartition("/")[0], None, slow)
    waiter = Waiter(client, EngineLog(), threading.Event())
    assert waiter.ready("urn", path, made, made, 60)["status"]["availableReplicas"] == 1
    assert True in answers if may_watch else set(answers) == {None}


def test_an_import_and_the_same_program_change_nothing(
    cluster: LiveCluster, provider: Driver, namespace: str
) -> None:
    cluster.kubectl("create", "configmap", "settings", "-n", namespace, "--from-literal=a=1")
    found = provider.import_(CONFIG_MAP, "settings", f"{namespace}/settings")
    assert found is not None
    assert found.inputs == config_map(namespace, {"a": "1"})
    assert not provider.diff(found, config_map(namespace, {"a": "1"})).changed
    assert provider.import_(CONFIG_MAP, "settings", f"{namespace}/absent") is None


@pytest.mark.parametrize("way", [(), ("--server-side",)])
def test_an_import_of_what_kubectl_applied_holds_what_was_applied(
    cluster: LiveCluster, provider: Driver, namespace: str, way: tuple[str, ...]
) -> None:
    applied = deployment(namespace, ports=[{"containerPort": 80}], resources={"limits": {"cpu": "1000m"}})
    cluster.kubectl("apply", "-f", "-", *way, stdin=json.dumps(applied))
    found = provider.import_(DEPLOYMENT, "web", f"{namespace}/web")
    assert found is not None
    difference = provider.diff(found, applied)
    # server-side, nobody knows any more that one CPU was written as 1000m
    assert set(difference.kinds) <= {"spec.template.spec.containers[0].resources.limits.cpu"}
    changed = provider.update(found, deployment(namespace, replicas=2))
    owners = live(cluster, "deployment", namespace, "web")["metadata"]["managedFields"]
    assert not [owner for owner in owners if owner["manager"].startswith("kubectl")]
    assert changed.state["spec"]["replicas"] == 2
    assert "resources" not in found.inputs or shown(changed.state)["spec"]["template"]["spec"]["containers"][
        0
    ].get("resources") in (None, {})


def test_drift_shows_and_is_put_right(cluster: LiveCluster, provider: Driver, namespace: str) -> None:
    wanted = deployment(namespace, replicas=1, env=[{"name": "A", "value": "1"}])
    made = provider.create(DEPLOYMENT, "web", wanted)
    same = provider.read(made)
    assert same is not None
    assert same.inputs == made.inputs
    cluster.kubectl("scale", "deployment/web", "-n", namespace, "--replicas=2")
    cluster.kubectl("set", "env", "deployment/web", "-n", namespace, "A=2", "B=3")
    cluster.kubectl("rollout", "status", "deployment/web", "-n", namespace)
    drifted = provider.read(made)
    assert drifted is not None
    difference = provider.diff(drifted, wanted)
    assert difference.kinds == {
        "spec.replicas": "UPDATE",
        "spec.template.spec.containers[0].env[0].value": "UPDATE",
    }
    provider.update(drifted, wanted)
    found = live(cluster, "deployment", namespace, "web")["spec"]
    assert found["replicas"] == 1
    # what was taken over from kubectl and isn't wanted goes as well
    assert found["template"]["spec"]["containers"][0]["env"] == [{"name": "A", "value": "1"}]


def test_an_object_that_is_gone_is_made_again(cluster: LiveCluster, provider: Driver, namespace: str) -> None:
    made = provider.create(SERVICE, "web", service(namespace, 80))
    cluster.kubectl("delete", "service", "web", "-n", namespace)
    assert provider.read(made) is None
    provider.update(made, service(namespace, 81))
    assert live(cluster, "service", namespace, "web")["spec"]["ports"][0]["port"] == 81


def test_a_conflict_names_the_manager_and_the_field(
    cluster: LiveCluster, provider: Driver, namespace: str
) -> None:
    made = provider.create(DEPLOYMENT, "web", deployment(namespace))
    scale = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"replicas": 2},
    }
    cluster.request(
        "PATCH",
        f"/apis/apps/v1/namespaces/{namespace}/deployments/web?fieldManager=autoscaler&force=true",
        scale,
        "application/apply-patch+yaml",
    )
    with pytest.raises(Failed, match=r'"autoscaler" manages spec\.replicas.*pulumi\.com/patchForce'):
        provider.update(made, deployment(namespace, replicas=3))
    with pytest.raises(Failed, match=r'"autoscaler" manages spec\.replicas'):
        provider.update(made, deployment(namespace, replicas=3), preview=True)
    left = provider.update(made, deployment(namespace, replicas=3), ignored=("spec.replicas",))
    assert left.state["spec"]["replicas"] == 2
    forced = deployment(namespace, replicas=3)
    forced["metadata"]["annotations"] = {"pulumi.com/patchForce": "true"}
    assert provider.update(made, forced).state["spec"]["replicas"] == 3


def test_fields_of_the_table_are_replaced(provider: Driver, namespace: str) -> None:
    made = provider.create(DEPLOYMENT, "web", deployment(namespace))
    difference = provider.diff(made, deployment(namespace, label="other"))
    assert difference.kinds["spec.selector.matchLabels.app"] == "UPDATE_REPLACE"
    assert difference.kinds["spec.template.metadata.labels.app"] == "UPDATE"
    assert difference.delete_first
    # the preview of the replacement is tried although the old one is still there
    shown_new = provider.preview(DEPLOYMENT, "web", deployment(namespace, label="other"))
    assert shown_new["metadata"]["name"] == "web"
    assert "already exists" not in provider.engine.text
    moved = deployment("default")
    assert not provider.diff(made, moved).delete_first


def test_what_only_the_server_knows_to_be_fixed_is_replaced(provider: Driver, namespace: str) -> None:
    def account(token: bool) -> dict[str, Any]:
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "once", "namespace": namespace},
            "spec": {
                "backoffLimit": 1 if token else 2,
                "completionMode": "Indexed" if token else "NonIndexed",
                "completions": 1,
                "suspend": True,
                "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "x"}]}},
            },
        }

    made = provider.create("batch/v1:Job", "once", account(True))
    difference = provider.diff(made, account(False))
    assert difference.kinds == {"spec.backoffLimit": "UPDATE", "spec.completionMode": "UPDATE_REPLACE"}
    assert difference.delete_first


def test_an_immutable_config_map_is_replaced_and_a_mutable_one_as_settings_say(
    cluster: LiveCluster, namespace: str
) -> None:
    with driven(cluster.kubeconfig, enableConfigMapMutable="true") as provider:
        made = provider.create(CONFIG_MAP, "settings", config_map(namespace, {"a": "1"}))
        assert provider.diff(made, config_map(namespace, {"a": "2"})).kinds == {"data.a": "UPDATE"}
        fixed = config_map(namespace, {"a": "1"}) | {"immutable": True}
        frozen = provider.update(made, fixed)
        assert provider.diff(frozen, fixed | {"data": {"a": "2"}}).kinds == {"data.a": "UPDATE_REPLACE"}
        assert provider.diff(frozen, config_map(namespace, {"a": "1"})).replaces
    with driven(cluster.kubeconfig) as provider:
        assert provider.diff(made, config_map(namespace, {"a": "2"})).replaces


def test_secrets_stay_secret(cluster: LiveCluster, provider: Driver, namespace: str) -> None:
    inputs = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "password", "namespace": namespace},
        "stringData": {"password": "correct horse"},
    }
    made = provider.create(SECRET, "password", inputs)
    encoded = {"password": base64.b64encode(b"correct horse").decode()}
    assert made.inputs["data"] == Secret(encoded)
    assert "stringData" not in made.inputs
    assert made.state["data"] == Secret(encoded)
    assert made.state["__inputs"]["data"] == Secret(encoded)
    assert not provider.diff(made, inputs).changed
    found = provider.read(made)
    assert found is not None
    assert found.inputs["data"] == Secret(encoded)
    imported = provider.import_(SECRET, "password", f"{namespace}/password")
    assert imported is not None
    assert imported.inputs["data"] == Secret(encoded)
    hidden = deployment(namespace, image=Secret("not a valid image"), imagePullPolicy=Secret("not-a-policy"))
    with pytest.raises(Failed) as failure:
        provider.preview(DEPLOYMENT, "web", hidden)
    assert "not-a-policy" not in str(failure.value)
    assert "[secret]" in str(failure.value)
    kept = provider.create(DEPLOYMENT, "web", deployment(namespace, image=Secret("registry.example/web:1")))
    containers = kept.state["spec"]["template"]["spec"]["containers"]
    assert isinstance(containers, Secret)


def test_a_deployment_that_cannot_start_says_why_and_is_kept(
    cluster: LiveCluster, provider: Driver, namespace: str
) -> None:
    stuck = deployment(namespace)
    stuck["spec"]["template"]["spec"]["nodeSelector"] = {"no": "such-node"}
    with pytest.raises(Failed) as failure:
        provider.create(DEPLOYMENT, "web", stuck, timeout=3)
    assert f"Deployment {namespace}/web isn't ready within 3 s" in str(failure.value)
    assert any("not scheduled" in reason for reason in failure.value.reasons)
    assert failure.value.id == f"{namespace}/web"
    assert failure.value.state["__inputs"]["kind"] == "Deployment"
    assert "replicas are available" in provider.engine.text

    half = provider.import_(DEPLOYMENT, "web", f"{namespace}/web")
    assert half is not None
    half.inputs = provider.checked(DEPLOYMENT, "web", stuck)
    half.state = failure.value.state
    with pytest.raises(Failed) as refreshed:
        provider.read(half)
    assert refreshed.value.inputs == half.inputs
    repaired = provider.update(half, deployment(namespace), timeout=60)
    assert repaired.state["status"]["availableReplicas"] == 1
    assert provider.read(repaired) is not None


def test_what_quota_or_pod_security_forbids_is_told(
    cluster: LiveCluster, provider: Driver, namespace: str
) -> None:
    cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    with pytest.raises(Failed) as failure:
        provider.create(DEPLOYMENT, "web", deployment(namespace), timeout=4)
    assert any("violates PodSecurity" in reason for reason in failure.value.reasons)


def test_annotations_say_how_long_to_wait(provider: Driver, namespace: str) -> None:
    unschedulable = deployment(namespace)
    unschedulable["spec"]["template"]["spec"]["nodeSelector"] = {"no": "such-node"}
    unschedulable["metadata"]["annotations"] = {"pulumi.com/timeoutSeconds": "1"}
    with pytest.raises(Failed, match="isn't ready within 1 s"):
        provider.create(DEPLOYMENT, "web", unschedulable)
    other = unschedulable | {"metadata": {"name": "other", "namespace": namespace}}
    other["metadata"]["annotations"] = {"pulumi.com/skipAwait": "true"}
    provider.create(DEPLOYMENT, "other", other)


def test_a_cancelled_wait_ends_soon_and_keeps_what_was_made(
    cluster: LiveCluster, provider: Driver, namespace: str
) -> None:
    stuck = deployment(namespace)
    stuck["spec"]["template"]["spec"]["nodeSelector"] = {"no": "such-node"}
    timer = threading.Timer(1.5, provider.cancel)
    timer.start()
    begun = time.monotonic()
    with pytest.raises(Failed, match="before the operation was cancelled") as failure:
        provider.create(DEPLOYMENT, "web", stuck)
    timer.join()
    assert time.monotonic() - begun < 20
    assert failure.value.id == f"{namespace}/web"


def test_jobs_claims_and_pods_are_waited_for(cluster: LiveCluster, provider: Driver, namespace: str) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": namespace},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": f"late-{namespace}",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    storage = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": f"late-{namespace}"},
        "provisioner": "example.org/none",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    made_storage = provider.create("storage.k8s.io/v1:StorageClass", "late", storage)
    provider.create("core/v1:PersistentVolumeClaim", "data", claim, timeout=20)
    unbound = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "unbound", "namespace": namespace},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "absent",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    with pytest.raises(Failed, match="it is Pending, of storage class absent"):
        provider.create("core/v1:PersistentVolumeClaim", "unbound", unbound, timeout=2)
    provider.delete(made_storage)
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "once", "namespace": namespace},
        "spec": {
            "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "x"}]}}
        },
    }
    assert provider.create("batch/v1:Job", "once", job, timeout=60).state["status"]["succeeded"] == 1


def test_a_kind_and_its_objects_made_in_one_run(
    cluster: LiveCluster, provider: Driver, namespace: str
) -> None:
    group = f"{namespace}.example.org"
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"models.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "models", "singular": "model", "kind": "Model"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "properties": {
                                "spec": {
                                    "type": "object",
                                    "x_kubernetes_validations": [
                                        {
                                            "rule": "self.digest == oldSelf.digest",
                                            "message": "Value is immutable",
                                        }
                                    ],
                                    "properties": {
                                        "digest": {"type": "string"},
                                        "size": {"x_kubernetes_int_or_string": True},
                                    },
                                }
                            },
                        }
                    },
                }
            ],
        },
    }

    def model(**spec: Any) -> dict[str, Any]:
        return {
            "apiVersion": f"{group}/v1",
            "kind": "Model",
            "metadata": {"name": "llama", "namespace": namespace},
            "spec": spec,
        }

    token = f"{group}/v1:Model"
    provider.preview("apiextensions.k8s.io/v1:CustomResourceDefinition", "models", definition)
    assert provider.preview(token, "llama", model(digest="a"))["spec"] == {"digest": "a"}
    assert "isn't known to the API server yet" in provider.engine.text
    made = provider.create("apiextensions.k8s.io/v1:CustomResourceDefinition", "models", definition)
    properties = made.state["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    assert "x_kubernetes_validations" in properties["spec"]
    llama = provider.create(token, "llama", model(digest="a", size="7Gi"))
    assert llama.id == f"{namespace}/llama"
    with pytest.raises(Failed, match=r"unknown field|not declared"):
        provider.preview(token, "other", model(digest="a", typo=1) | {"metadata": {"name": "b"}})
    with pytest.raises(Failed, match="already exists"):
        provider.create(token, "again", model(digest="b"))
    difference = provider.diff(llama, model(digest="b", size="7Gi"))
    assert difference.kinds == {"spec.digest": "UPDATE_REPLACE"}
    refreshed = provider.read(llama)
    assert refreshed is not None
    assert refreshed.inputs == llama.inputs
    provider.delete(made)
    assert provider.read(llama) is None
    provider.delete(llama)


def test_an_object_waits_for_its_namespace(cluster: LiveCluster, provider: Driver) -> None:
    name = f"late-{uuid.uuid4().hex[:8]}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    timer = threading.Timer(1.0, lambda: cluster.request("POST", "/api/v1/namespaces", body))
    timer.start()
    provider.create(CONFIG_MAP, "settings", config_map(name, {"a": "1"}))
    timer.join()
    assert f"waiting for the namespace {name}" in provider.engine.text
    cluster.request("DELETE", f"/api/v1/namespaces/{name}")


def test_a_namespace_is_gone_when_its_delete_returns(cluster: LiveCluster, provider: Driver) -> None:
    name = f"gone-{uuid.uuid4().hex[:8]}"
    made = provider.create(
        NAMESPACE, "ns", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    )
    assert made.id == name
    provider.create(CONFIG_MAP, "settings", config_map(name, {"a": "1"}))
    provider.delete(made)
    assert cluster.kubectl("get", "namespaces", name, "--ignore-not-found", "-o", "name") == ""


def test_a_delete_that_a_finalizer_holds_says_so(
    cluster: LiveCluster, provider: Driver, namespace: str
) -> None:
    made = provider.create(
        CONFIG_MAP, "settings", config_map(namespace, {"a": "1"}, finalizers=["example.org/hold"])
    )
    with pytest.raises(Failed, match=r"isn't gone within 2 s: it is ending, held by example\.org/hold"):
        provider.delete(made, timeout=2)
    cluster.kubectl(
        "patch", "configmap", "settings", "-n", namespace, "-p", '{"metadata":{"finalizers":null}}'
    )
    assert provider.read(made) is None


def test_another_cluster_than_the_one_that_is_meant_is_refused(cluster: LiveCluster) -> None:
    with driven() as provider, pytest.raises(Failed, match="which is another cluster"):
        provider.configure(
            kubeconfig=str(cluster.kubeconfig), clusterIdentifier="00000000-0000-0000-0000-000000000000"
        )


def test_objects_that_the_official_plugin_made_are_taken_over(
    cluster: LiveCluster, provider: Driver, namespace: str
) -> None:
    """It creates under the manager `pulumi-kubernetes`, and applies changes under the name in the state."""
    wanted = deployment(namespace)
    cluster.request(
        "POST",
        f"/apis/apps/v1/namespaces/{namespace}/deployments?fieldManager=pulumi-kubernetes",
        wanted,
    )
    found = provider.import_(DEPLOYMENT, "web", f"{namespace}/web")
    assert found is not None
    found.inputs = provider.checked(DEPLOYMENT, "web", wanted)
    found.state["__fieldManager"] = "pulumi-kubernetes-0123abcd"
    found.state["__inputs"] = found.inputs
    assert not provider.diff(found, wanted).changed
    fewer = deployment(namespace, image="registry.example/web:2")
    del fewer["spec"]["replicas"]
    assert (
        provider.update(found, fewer, preview=True)
        .state["spec"]["template"]["spec"]["containers"][0]["image"]
        .endswith(":2")
    )
    changed = provider.update(found, fewer)
    assert changed.state["__fieldManager"] == "pulumi-kubernetes-0123abcd"
    owners = {
        owner["manager"]: owner["operation"]
        for owner in live(cluster, "deployment", namespace, "web")["metadata"]["managedFields"]
        if owner.get("subresource") != "status"
    }
    assert owners == {"pulumi-kubernetes-0123abcd": "Apply"}


def test_unknown_namespaces_and_names_are_no_problem(provider: Driver) -> None:
    inputs = config_map("x", {}) | {"metadata": {"name": UNKNOWN, "namespace": UNKNOWN}}
    checked = provider.checked(CONFIG_MAP, "settings", inputs)
    assert checked["metadata"] == {"name": UNKNOWN, "namespace": UNKNOWN}
