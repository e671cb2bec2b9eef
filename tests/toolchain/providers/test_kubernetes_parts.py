"""The parts of the Kubernetes provider that need no cluster, as plain function calls."""

import base64
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from toolchain.providers.core import Autonaming, Naming, Refused, Urn, paths
from toolchain.providers.core.values import UNKNOWN, Secret
from toolchain.providers.kubernetes import (
    checkpoint,
    drift,
    immutable,
    imported,
    kubeconfig,
    managers,
    naming,
    objects,
    settings,
)
from toolchain.providers.kubernetes.install import install
from toolchain.providers.kubernetes.objects import Kind
from toolchain.providers.kubernetes.readiness import readiness_of, selector
from toolchain.providers.kubernetes.reasons import reasons
from toolchain.providers.kubernetes.refusals import ApiError, Redaction, sentence

ROOT = Path(__file__).resolve().parents[3]
MUTABLE = {"Secret": True, "ConfigMap": True}
FIXED = {"Secret": False, "ConfigMap": False}


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        ("kubernetes:core/v1:Namespace", Kind("", "v1", "Namespace")),
        ("kubernetes:apps/v1:Deployment", Kind("apps", "v1", "Deployment")),
        ("kubernetes:stable.example.com/v1:CronTab", Kind("stable.example.com", "v1", "CronTab")),
    ],
)
def test_tokens_name_kinds(token: str, kind: Kind) -> None:
    assert objects.kind_of_token(token) == kind
    assert objects.kind_of({"apiVersion": kind.api_version, "kind": kind.name}) == kind


@pytest.mark.parametrize("token", ["kubernetes:apps:Deployment", "aws:s3/bucket:Bucket", "kubernetes"])
def test_other_tokens_are_refused(token: str) -> None:
    with pytest.raises(Refused, match="no kind of Kubernetes object"):
        objects.kind_of_token(token)


def test_inputs_are_normalised() -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "uid": "1", "creationTimestamp": None, "labels": None},
        "data": {"a": base64.b64encode(b"x").decode() + "\n"},
        "stringData": {"b": "y"},
        "status": {},
    }
    assert objects.normalised(secret) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s"},
        "data": {"a": base64.b64encode(b"x").decode(), "b": base64.b64encode(b"y").decode()},
    }
    unknown = objects.normalised(secret | {"stringData": {"b": UNKNOWN}})
    assert unknown["stringData"] == {"b": UNKNOWN}
    custom = {"apiVersion": "example.org/v1", "kind": "X", "metadata": {}, "spec": {"null": None}}
    assert objects.normalised(custom)["spec"] == {"null": None}


def test_keys_of_json_schema_are_written_with_dashes_and_read_with_underscores() -> None:
    sdk = {"spec": [{"x_kubernetes_int_or_string": True, "x_other": 1}]}
    assert objects.dashed(sdk) == {"spec": [{"x-kubernetes-int-or-string": True, "x_other": 1}]}
    assert objects.underscored(objects.dashed(sdk)) == sdk


def test_names_are_made_up_as_the_settings_say() -> None:
    urn = Urn("urn:pulumi:s::p::parent:x:Y$kubernetes:core/v1:ConfigMap::conf")
    assert (urn.type, urn.name) == ("kubernetes:core/v1:ConfigMap", "conf")

    def named(given: Naming, old: dict[str, Any] | None = None, **metadata: Any) -> Any:
        obj: dict[str, Any] = {"metadata": metadata}
        naming.name(obj, old or {}, urn, given)
        return obj["metadata"].get("name")

    made = named(Naming(b"seed"))
    assert made == named(Naming(b"seed")) != named(Naming(b"seeds"))
    assert len(made) == len("conf-") + 8
    assert named(Naming(b"seed"), name="own") == "own"
    assert named(Naming(b"seed", Autonaming.ENFORCE, "asked")) == "asked"
    old = {"metadata": {"name": "conf-1", "annotations": {"pulumi.com/autonamed": "true"}}}
    assert named(Naming(b"seed"), old) == "conf-1"
    with pytest.raises(Refused, match="forbid made-up names"):
        named(Naming(b"seed", Autonaming.DISABLE))
    with pytest.raises(Refused, match="generateName"):
        named(Naming(b"seed"), generateName="x-")


def test_the_state_has_the_official_plugins_keys() -> None:
    live = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "managedFields": [1]}}
    inputs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}}
    marked = inputs | {"data": {"k": Secret("v")}}
    state = checkpoint.build(inputs, live | {"data": {"k": "v"}}, marked, "pulumi-kubernetes-1", "v1")
    assert state == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a"},
        "data": {"k": Secret("v")},
        "__inputs": marked,
        "__initialApiVersion": "v1",
        "__fieldManager": "pulumi-kubernetes-1",
    }
    assert checkpoint.inputs_of(state) == inputs
    assert checkpoint.manager_of(state, inputs) == "pulumi-kubernetes-1"
    asked = {"metadata": {"annotations": {"pulumi.com/patchFieldManager": "mine"}}}
    assert checkpoint.manager_of(state, asked) == "mine"


@pytest.mark.parametrize(
    ("kind", "path", "old", "mutable", "replaced"),
    [
        ("apps/v1 Deployment", "spec.selector.matchLabels.app", {}, MUTABLE, True),
        ("apps/v1 Deployment", "spec.replicas", {}, MUTABLE, False),
        ("apps/v1 Deployment", "metadata.name", {}, MUTABLE, True),
        ("apps/v1 Deployment", "metadata.labels.a", {}, MUTABLE, False),
        ("apps/v1 StatefulSet", "spec.volumeClaimTemplates[0].spec", {}, MUTABLE, True),
        ("batch/v1 Job", "spec.template.spec.containers[0].image", {}, MUTABLE, True),
        ("batch/v1 Job", "spec.parallelism", {}, MUTABLE, False),
        ("v1 PersistentVolumeClaim", "spec.storageClassName", {}, MUTABLE, True),
        ("v1 PersistentVolumeClaim", "spec.resources.requests.storage", {}, MUTABLE, False),
        ("v1 Pod", "spec.containers[2].env[0].value", {}, MUTABLE, True),
        ("v1 Pod", "spec.containers[2].image", {}, MUTABLE, False),
        ("v1 Service", "spec.clusterIP", {}, MUTABLE, True),
        ("storage.k8s.io/v1 StorageClass", "parameters.encrypted", {}, MUTABLE, True),
        ("rbac.authorization.k8s.io/v1 RoleBinding", "roleRef.name", {}, MUTABLE, True),
        ("v1 ConfigMap", "data.a", {}, MUTABLE, False),
        ("v1 ConfigMap", "data.a", {}, FIXED, True),
        ("v1 ConfigMap", "data.a", {"immutable": True}, MUTABLE, True),
        ("v1 ConfigMap", "immutable", {}, FIXED, False),
        ("v1 ConfigMap", "immutable", {"immutable": True}, MUTABLE, True),
        ("v1 Secret", "data.a", {"immutable": True}, MUTABLE, True),
        ("v1 Secret", "type", {}, MUTABLE, True),
        ("example.org/v1 Secret", "data.a", {}, FIXED, False),
    ],
)
def test_what_is_replaced(
    kind: str, path: str, old: dict[str, Any], mutable: dict[str, bool], replaced: bool
) -> None:
    version, name = kind.split()
    parsed = objects.kind_of({"apiVersion": version, "kind": name})
    assert immutable.replaces(parsed, parsed, old, mutable)(paths.parsed(path)) is replaced


def test_another_group_is_another_object_and_another_version_is_not() -> None:
    old, new = Kind("extensions", "v1beta1", "Ingress"), Kind("networking.k8s.io", "v1", "Ingress")
    assert immutable.replaces(old, new, {}, MUTABLE)(("apiVersion",))
    assert not immutable.replaces(Kind("apps", "v1beta2", "X"), Kind("apps", "v1", "X"), {}, MUTABLE)(
        ("apiVersion",)
    )


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1000m", "1", True),
        ("0.5", "500m", True),
        ("1Gi", "1073741824", True),
        ("1G", "1Gi", False),
        ("1e3", 1000, True),
        (1, "1", True),
        ("a", "b", False),
        (True, 1, False),
        (True, True, True),
        ("", "0", False),
    ],
)
def test_quantities_are_the_same_by_their_amount(one: Any, other: Any, same: bool) -> None:
    assert drift.same(one, other) is same


def _owned(manager: str, fields: dict[str, Any], operation: str = "Apply", **more: str) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "fieldsV1": fields} | more


def test_drift_is_seen_in_what_was_set_and_nowhere_else() -> None:
    inputs = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "labels": {"a": "1"}},
        "spec": {
            "replicas": 2,
            "containers": [
                {"name": "b", "image": "b:1", "resources": {"limits": {"cpu": "1000m"}}},
                {"name": "c", "image": "c:1", "ports": [{"containerPort": 80}]},
            ],
            "rules": [{"from": "x"}],
            "empty": [],
            "off": False,
        },
    }
    live = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "d",
            "uid": "1",
            "managedFields": [
                _owned(
                    "us",
                    {
                        "f:spec": {
                            "f:containers": {
                                'k:{"name":"b"}': {"f:image": {}},
                                'k:{"name":"c"}': {
                                    "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {"f:x": {}}}
                                },
                            }
                        }
                    },
                )
            ],
        },
        "spec": {
            "replicas": 5,
            "defaulted": True,
            "containers": [
                {"name": "injected", "image": "x"},
                {"name": "c", "image": "c:2", "ports": [{"containerPort": 80, "protocol": "TCP"}]},
                {"name": "b", "image": "b:1", "resources": {"limits": {"cpu": "1"}}},
            ],
            "rules": [{"from": "x"}, {"from": "everywhere"}],
        },
        "status": {"replicas": 5},
    }
    assert drift.observed(inputs, live) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {
            "replicas": 5,
            "containers": [
                {"name": "b", "image": "b:1", "resources": {"limits": {"cpu": "1000m"}}},
                {"name": "c", "image": "c:2", "ports": [{"containerPort": 80}]},
            ],
            "rules": [{"from": "x"}, {"from": "everywhere"}],
            "empty": [],
            "off": False,
        },
    }


def test_an_import_takes_what_people_set() -> None:
    live = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "s",
            "namespace": "n",
            "uid": "1",
            "resourceVersion": "2",
            "labels": {"a": "1"},
            "managedFields": [
                _owned(
                    "helm",
                    {
                        "f:metadata": {"f:labels": {"f:a": {}}},
                        "f:spec": {
                            "f:ports": {
                                'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}, "f:name": {}}
                            }
                        },
                    },
                ),
                _owned("kube-controller-manager", {"f:spec": {"f:clusterIP": {}}}, "Update"),
            ],
        },
        "spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 80, "name": "http", "protocol": "TCP"}]},
        "status": {"loadBalancer": {}},
    }
    assert imported.inputs_of(live) == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s", "namespace": "n", "labels": {"a": "1"}},
        "spec": {"ports": [{"port": 80, "name": "http"}]},
    }


def test_fields_move_to_one_manager() -> None:
    live = {
        "apiVersion": "v1",
        "metadata": {
            "managedFields": [
                _owned("us", {"f:a": {}}),
                _owned("kubectl-edit", {"f:b": {}}, "Update"),
                _owned("kubectl", {"f:c": {}}, "Update", subresource="scale"),
                _owned("pulumi-kubernetes", {"f:e": {"f:x": {}}}, "Update"),
                _owned("autoscaler", {"f:d": {}}, "Update"),
                _owned("kubectl", {"f:status": {}}, "Update", subresource="status"),
            ]
        },
    }
    assert managers.taken_over(live, "us")
    moved = managers.moved(live, "us")
    assert moved[0]["manager"] == "us"
    assert moved[0]["fieldsV1"] == {"f:a": {}, "f:b": {}, "f:c": {}, "f:e": {"f:x": {}}}
    assert [entry["manager"] for entry in moved[1:]] == ["autoscaler", "kubectl"]
    assert not managers.taken_over({"metadata": {"managedFields": moved}}, "us")


def _nothing(path: str, query: Any) -> None:
    return None


def _judged(obj: dict[str, Any]) -> tuple[bool, bool]:
    readiness = readiness_of(obj)
    assert readiness is not None
    progress = readiness.judge(obj, _nothing)
    return progress.done, progress.failed


def _workload(kind: str, spec: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
    version = "batch/v1" if kind == "Job" else "v1" if kind == "Pod" else "apps/v1"
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": "x", "namespace": "n", "generation": 2},
        "spec": spec,
        "status": {"observedGeneration": 2} | status,
    }


@pytest.mark.parametrize(
    ("obj", "done", "failed"),
    [
        (_workload("Deployment", {"replicas": 2}, {}), False, False),
        (_workload("Deployment", {"replicas": 0}, {}), True, False),
        (
            _workload(
                "Deployment",
                {"replicas": 2},
                {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2},
            ),
            True,
            False,
        ),
        (
            _workload(
                "Deployment",
                {"replicas": 2},
                {
                    "replicas": 2,
                    "updatedReplicas": 2,
                    "availableReplicas": 2,
                    "observedGeneration": 1,
                },
            ),
            False,
            False,
        ),
        (
            _workload(
                "Deployment",
                {"replicas": 2},
                {"replicas": 3, "updatedReplicas": 2, "availableReplicas": 3},
            ),
            False,
            False,
        ),
        (
            _workload(
                "Deployment",
                {},
                {"conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]},
            ),
            False,
            True,
        ),
        (_workload("StatefulSet", {"replicas": 1}, {"readyReplicas": 0}), False, False),
        (
            _workload(
                "StatefulSet",
                {"replicas": 1},
                {"readyReplicas": 1, "updateRevision": "b", "currentRevision": "a"},
            ),
            False,
            False,
        ),
        (
            _workload(
                "StatefulSet",
                {"replicas": 1},
                {"readyReplicas": 1, "updateRevision": "b", "currentRevision": "b"},
            ),
            True,
            False,
        ),
        (
            _workload(
                "DaemonSet",
                {},
                {"desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 2},
            ),
            False,
            False,
        ),
        (_workload("DaemonSet", {}, {"desiredNumberScheduled": 0}), True, False),
        (_workload("Job", {}, {"active": 1}), False, False),
        (
            _workload("Job", {}, {"conditions": [{"type": "Complete", "status": "True"}]}),
            True,
            False,
        ),
        (_workload("Job", {}, {"conditions": [{"type": "Failed", "status": "True"}]}), False, True),
        (_workload("Job", {"suspend": True}, {}), True, False),
        (_workload("Pod", {}, {"phase": "Running"}), False, False),
        (_workload("Pod", {}, {"phase": "Failed"}), False, True),
        (_workload("Pod", {}, {"phase": "Succeeded"}), True, False),
    ],
)
def test_when_workloads_are_ready(obj: dict[str, Any], done: bool, failed: bool) -> None:
    assert _judged(obj) == (done, failed)


def test_annotations_choose_what_is_waited_for() -> None:
    def waited(text: str, **status: Any) -> tuple[bool, bool]:
        annotations = {"pulumi.com/waitFor": text}
        return _judged(
            {
                "apiVersion": "example.org/v1",
                "kind": "X",
                "metadata": {"annotations": annotations},
                "status": status,
            }
        )

    ready = [{"type": "Ready", "status": "True"}]
    assert waited("condition=Ready", conditions=ready) == (True, False)
    assert waited("condition=Ready=False", conditions=ready) == (False, False)
    assert waited("jsonpath={.status.phase}=Up", phase="Up") == (True, False)
    assert waited('["jsonpath={.status.phase}", "condition=Ready"]', phase="Up") == (False, False)
    with pytest.raises(Refused, match="waitFor"):
        waited("jsonpath={.status.items[0]}")
    skipped = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"annotations": {"pulumi.com/skipAwait": "true"}},
    }
    assert readiness_of(skipped) is None


def test_selectors_are_written_as_queries() -> None:
    spec = {
        "selector": {
            "matchLabels": {"a": "1"},
            "matchExpressions": [
                {"key": "b", "operator": "In", "values": ["2", "3"]},
                {"key": "c", "operator": "DoesNotExist"},
            ],
        }
    }
    assert selector({"spec": spec}) == "a=1,b in (2,3),!c"


def test_reasons_name_pods_and_events() -> None:
    pod = {
        "metadata": {"name": "web-1"},
        "status": {
            "phase": "Pending",
            "containerStatuses": [
                {
                    "name": "web",
                    "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling"}},
                    "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
                }
            ],
        },
    }

    def look(path: str, query: Any) -> dict[str, Any]:
        if path.endswith("/pods"):
            return {"items": [pod]}
        return {"items": [{"reason": "FailedMount", "message": "no such\nvolume", "lastTimestamp": "1"}]}

    web = _workload("Deployment", {"selector": {"matchLabels": {"app": "web"}}}, {})
    assert reasons(web, look) == [
        "pod web-1: container web waits: ImagePullBackOff: Back-off pulling",
        "pod web-1: container web ended with exit code 137 (OOMKilled)",
        "event FailedMount: no such volume",
    ]


def test_refusals_name_the_object_and_hide_its_secrets() -> None:
    obj = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"}}
    encoded = base64.b64encode(b"hunter2!").decode()
    redact = Redaction({"data": Secret({"a": encoded}), "type": Secret("x")})
    error = ApiError(
        422,
        {
            "message": f'Secret "s" is invalid: data[a]: Invalid value: "{encoded}": not "x" or hunter2!',
            "details": {"name": "s", "kind": "Secret"},
        },
    )
    assert sentence(obj, error, redact) == (
        'Secret n/s: the API server refuses it: data[a]: Invalid value: "[secret]": not "[secret]" or [secret].'
    )


def test_conflicts_and_fixed_fields_are_read_from_the_answer() -> None:
    conflict = ApiError(
        409,
        {
            "details": {
                "causes": [
                    {
                        "reason": "FieldManagerConflict",
                        "message": 'conflict with "kubectl-edit" using apps/v1',
                        "field": ".spec.replicas",
                    }
                ]
            }
        },
    )
    assert conflict.conflicts == [("kubectl-edit", ".spec.replicas")]
    assert not conflict.exists
    assert ApiError(409, {"message": "the object has been modified"}).exists
    fixed = ApiError(
        422,
        {
            "details": {
                "causes": [
                    {"field": "spec.selector", "message": "Invalid value: {}: field is immutable"},
                    {"field": "spec", "message": "Forbidden: updates to statefulset spec are forbidden"},
                    {"field": "spec.replicas", "message": "Invalid value: -1"},
                ]
            }
        },
    )
    assert fixed.fixed_fields == ["spec.selector", "spec"]


@pytest.mark.parametrize(
    ("given", "ambient", "told"),
    [
        ({"kubeconfig": "/k"}, "", {}),
        ({"kubeconfig": Secret("/k"), "clusterIdentifier": "x", "kubeClientSettings": {"qps": 1}}, "", {}),
        ({"kubeconfig": UNKNOWN, "upsertExistingObjects": UNKNOWN}, "", {}),
        ({}, "", {"kubeconfig": "is missing"}),
        ({"kubeconfig": ""}, "", {"kubeconfig": "is missing"}),
        ({"kubeconfig": "/k"}, "/k", {"kubeconfig": "KUBECONFIG says"}),
        ({"kubeconfig": "/k", "enableServerSideApply": "false"}, "", {"enableServerSideApply": "always"}),
        ({"kubeconfig": "/k", "enableServerSideApply": True}, "", {}),
        ({"kubeconfig": "/k", "renderYamlToDirectory": "x"}, "", {"renderYamlToDirectory": "leave it out"}),
        ({"kubeconfig": "/k", "deleteUnreachable": "true"}, "", {"deleteUnreachable": "leave it out"}),
        ({"kubeconfig": "/k", "typo": 1}, "", {"typo": "is no setting"}),
        ({"kubeconfig": "/k", "enablePatchForce": "perhaps"}, "", {"enablePatchForce": "neither"}),
    ],
)
def test_the_providers_settings_are_judged(given: dict[str, Any], ambient: str, told: dict[str, str]) -> None:
    found = {str(problem.path[0]): problem.reason for problem in settings.problems(given, ambient)}
    assert found.keys() == told.keys()
    assert all(text in found[key] for key, text in told.items())


CONFIG: dict[str, Any] = {
    "current-context": "c",
    "contexts": [
        {"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "n"}},
        {"name": "other", "context": {"cluster": "k2"}},
    ],
    "clusters": [
        {"name": "k", "cluster": {"server": "https://api.example:6443/"}},
        {"name": "k2", "cluster": {"server": "https://api2.example"}},
    ],
    "users": [{"name": "u", "user": {"token": "t0ken"}}],
}


def _config(**changes: Any) -> str:
    """CONFIG with `cluster` or `user` of the current context changed."""
    config = json.loads(json.dumps(CONFIG))
    config["clusters"][0]["cluster"] |= changes.get("cluster", {})
    config["users"][0]["user"] |= changes.get("user", {})
    return yaml.safe_dump(config)


def test_a_kubeconfig_leads_to_a_server(tmp_path: Path) -> None:
    access = kubeconfig.load(_config())
    assert (access.server, access.namespace, access.bearer()) == ("https://api.example:6443", "n", "t0ken")
    assert "t0ken" not in repr(access)
    assert kubeconfig.load(_config(), context="other").server == "https://api2.example"
    (tmp_path / "token").write_text("renewed\n")
    path = tmp_path / "config"
    path.write_text(_config(user={"token": "", "tokenFile": "token"}))
    assert kubeconfig.load(str(path)).bearer() == "renewed"
    assert kubeconfig.destination(json.dumps(CONFIG)) == ("https://api.example:6443", "")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (_config(user={"exec": {"command": "aws"}}), "runs a program for its credentials"),
        (_config(user={"auth-provider": {"name": "gcp"}}), "auth-provider"),
        (_config(user={"username": "u", "password": "p4ss"}), "uses a password"),
        (_config(user={"as": "root"}), "acts as another user"),
        (_config(cluster={"insecure-skip-tls-verify": True}), "switches off the check"),
        (_config(cluster={"proxy-url": "http://proxy"}), "goes through a proxy"),
        (_config(cluster={"server": "http://api.example"}), "no https address"),
        (_config(cluster={"server": "https://u:p4ss@api.example"}), "no https address"),
        (_config(cluster={"certificate-authority-data": "?"}), "no base64"),
        (_config(cluster={"certificate-authority": "ca.crt"}), "no absolute path"),
        (_config(user={"client-certificate-data": "YQ=="}), "and not the other"),
        (_config(cluster={"colour": "red"}), "doesn't know"),
        ("a: [", "neither a kubeconfig's text nor an absolute path"),
        ("a: [\nb", "is no YAML \\(line"),
        ("- a\n- b", "is no kubeconfig"),
        ("/does/not/exist", "can't be read: No such file"),
        ("~/../../does/not/exist", "can't be read"),
        ("relative/config", "neither"),
        ("apiVersion: v1\nkind: Config", "no current-context"),
        ("current-context: x\ncontexts: []", "has no context 'x'; it has none"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_says_why(text: str, told: str) -> None:
    with pytest.raises(Refused, match=told) as refusal:
        kubeconfig.load(text)
    assert "p4ss" not in str(refusal.value)
    assert "t0ken" not in str(refusal.value)


def test_the_plugin_is_installed_once_and_answers(tmp_path: Path) -> None:
    launcher = install(tmp_path / "home", Path(sys.executable), ROOT)
    assert launcher == (
        tmp_path / "home" / "plugins" / "resource-kubernetes-v4.34.2" / "pulumi-resource-kubernetes"
    )
    assert launcher.stat().st_mode & stat.S_IXUSR
    before = launcher.stat()
    assert install(tmp_path / "home", Path(sys.executable), ROOT) == launcher
    assert launcher.stat().st_mtime_ns == before.st_mtime_ns
    assert (tmp_path / "home" / "logs").is_file()
    assert [path.name for path in launcher.parent.iterdir()] == [launcher.name]
    with subprocess.Popen(
        [launcher, "127.0.0.1:1"], stdout=subprocess.PIPE, text=True, cwd=tmp_path, env={"PATH": os.defpath}
    ) as plugin:
        assert plugin.stdout is not None
        assert 0 < int(plugin.stdout.readline()) < 65536
        plugin.send_signal(2)
        assert plugin.wait(5) == 0


def test_logs_of_an_engine_are_removed_and_no_more_are_kept(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "pulumi-20261125T151235-31960-up.log").write_bytes(b"x")
    install(tmp_path, Path(sys.executable), ROOT)
    assert (tmp_path / "logs").is_file()


def test_a_plugin_ends_with_its_engine(tmp_path: Path) -> None:
    launcher = install(tmp_path, Path(sys.executable), ROOT)
    # the shell stands in for the engine: it starts the plugin and is killed
    script = f"'{launcher}' & echo $!; wait"
    with subprocess.Popen(
        ["sh", "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as engine:
        assert engine.stdout is not None
        plugin = int(engine.stdout.readline())
        assert engine.stdout.readline().strip().isdigit()  # its port: it serves
        engine.kill()
        assert engine.stdout.read() == ""  # ends when the plugin, the last to hold it, ends
    for _ in range(100):
        if not _runs(plugin):
            return
        time.sleep(0.05)
    raise AssertionError("the plugin outlives its engine")


def _runs(pid: int) -> bool:
    """Whether the process runs; one that has ended may stay listed until its new parent has read how."""
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
