"""An honest estate of any size: Kubernetes objects that a careful site would deploy, for speed and scale."""

from typing import Any

REGISTRY = "registry.sovereign.internal"
DIGEST = "sha256:" + "0" * 64


def estate(size: int) -> list[dict[str, Any]]:
    """`size` objects in teams of eight: a namespace, its default deny, a small service and what it needs."""
    objects: list[dict[str, Any]] = []
    team = 0
    while len(objects) < size:
        objects.extend(_team(f"team-{team:04d}"))
        team += 1
    return objects[:size]


def engines(count: int, start: int = 0) -> list[dict[str, Any]]:
    """One Deployment of `count` engines of four GPUs, in a namespace of its own. `start`: seconds that each
    takes until it counts as available, as if it loaded weights; simulated pods are ready at once."""
    labels = {"app": "engine"}
    pod = _pod()
    pod["containers"][0]["resources"] = {
        "limits": {"nvidia.com/gpu": "4"},
        "requests": {"nvidia.com/gpu": "4"},
    }
    namespace, deny, account = _team("engines")[:3]
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "engine", "namespace": "engines", "labels": labels},
        "spec": {
            "replicas": count,
            "minReadySeconds": start,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    return [namespace, deny, account, deployment]


def _team(name: str) -> list[dict[str, Any]]:
    labels = {"app": "worker"}
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "default-deny", "namespace": name},
            "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
        },
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "worker", "namespace": name},
            "automountServiceAccountToken": False,
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "worker", "namespace": name},
            "data": {"level": "info", "queue.yaml": "workers: 4\nretries: 3\n"},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "worker", "namespace": name, "labels": labels},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": _pod()},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "worker", "namespace": name},
            "spec": {"selector": labels, "ports": [{"name": "https", "port": 8443, "protocol": "TCP"}]},
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "worker", "namespace": name},
            "spec": {
                "podSelector": {"matchLabels": labels},
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [
                    {
                        "from": [{"podSelector": {"matchLabels": labels}}],
                        "ports": [{"protocol": "TCP", "port": 8443}],
                    }
                ],
                "egress": [],
            },
        },
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "worker", "namespace": name},
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels}},
        },
    ]


def _pod() -> dict[str, Any]:
    return {
        "serviceAccountName": "worker",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "worker",
                "image": f"{REGISTRY}/worker@{DIGEST}",
                "args": ["--config=/etc/worker/queue.yaml"],
                "ports": [{"containerPort": 8443}],
                "resources": {"limits": {"cpu": "100m", "memory": "64Mi"}},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": True,
                },
                "volumeMounts": [{"name": "config", "mountPath": "/etc/worker", "readOnly": True}],
            }
        ],
        "volumes": [{"name": "config", "configMap": {"name": "worker"}}],
    }
