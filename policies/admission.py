"""The rules that CEL can express, as ValidatingAdmissionPolicies: what no plan may, no kubectl may either.

Each rule says in `cel` what the API server can hold an object to (policies/rule.py). Here the zone's lists
are put in, and each rule becomes a policy that is bound to the stack's own namespaces, by the name that the
API server itself gives them: another stack in the cluster has policies and a zone of its own. What needs more
than one object, or a string taken apart as a shell would, stays with the plan: `unexpressed` lists it.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from facts.load_balancers import internal_annotations
from facts.zones import Zone
from policies.kubernetes import PODS
from policies.rule import Cel, Rule

#: set by the API server on every namespace, and not to be changed
_NAME_LABEL = "kubernetes.io/metadata.name"
VERSION = "admissionregistration.k8s.io/v1"

_PLURALS = {
    "core/Pod": ("", "v1", ("pods", "pods/ephemeralcontainers")),
    "core/PodTemplate": ("", "v1", ("podtemplates",)),
    "core/ReplicationController": ("", "v1", ("replicationcontrollers",)),
    "core/Service": ("", "v1", ("services",)),
    "core/Endpoints": ("", "v1", ("endpoints",)),
    "discovery.k8s.io/EndpointSlice": ("discovery.k8s.io", "v1", ("endpointslices",)),
    "apps/DaemonSet": ("apps", "v1", ("daemonsets",)),
    "apps/Deployment": ("apps", "v1", ("deployments",)),
    "apps/ReplicaSet": ("apps", "v1", ("replicasets",)),
    "apps/StatefulSet": ("apps", "v1", ("statefulsets",)),
    "batch/Job": ("batch", "v1", ("jobs",)),
    "batch/CronJob": ("batch", "v1", ("cronjobs",)),
    "networking.k8s.io/Ingress": ("networking.k8s.io", "v1", ("ingresses",)),
    "networking.k8s.io/NetworkPolicy": ("networking.k8s.io", "v1", ("networkpolicies",)),
}

#: where each kind keeps its pod
_POD = (
    "object.kind == 'Pod' ? object.spec : object.kind == 'PodTemplate' ? object.template.spec : "
    "object.kind == 'CronJob' ? object.spec.jobTemplate.spec.template.spec : object.spec.template.spec"
)
_LABELS = (
    "object.kind == 'Pod' || object.kind == 'PodTemplate' ? "
    "(has(object.metadata.labels) ? object.metadata.labels : {}) : "
    "object.kind == 'CronJob' ? (has(object.spec.jobTemplate.spec.template.metadata.labels) ? "
    "object.spec.jobTemplate.spec.template.metadata.labels : {}) : "
    "has(object.spec.template.metadata) && has(object.spec.template.metadata.labels) ? "
    "object.spec.template.metadata.labels : {}"
)
_CONTAINERS = (
    "variables.pod.containers + (has(variables.pod.initContainers) ? variables.pod.initContainers : []) + "
    "(has(variables.pod.ephemeralContainers) ? variables.pod.ephemeralContainers : [])"
)
#: as policies/vllm.py takes a container for vLLM: by its image, else by the label of its pod
_ENGINES = (
    "variables.containers.filter(c, c.image.lowerAscii().matches('/[^@]*vllm') || "
    "has(c.command) && c.command.exists(w, w.matches('(^|/)vllm$')) || "
    "'app' in variables.labels && variables.labels['app'] == 'vllm-server' && "
    "variables.pod.containers.exists(o, o.name == c.name))"
)
#: names of Services
_IN_CLUSTER = "^[a-z][a-z0-9-]*([.][a-z0-9-]+[.]svc([.]cluster[.]local)?)?$"
#: what the control plane writes of its own accord, such as the addresses of a Service's pods
_BY_HAND = "!request.userInfo.username.startsWith('system:serviceaccount:kube-system:')"

#: the collector of garbage must be able to let go of what was there before the policy: only then is an object
#: that is being deleted, and is otherwise as it was, not looked at
_STAYS = (
    "request.operation == 'CREATE' || !has(object.metadata.deletionTimestamp) || !has(object.spec) || "
    "object.spec != oldObject.spec || "
    "object.metadata.?labels.orValue({}) != oldObject.metadata.?labels.orValue({}) || "
    "object.metadata.?annotations.orValue({}) != oldObject.metadata.?annotations.orValue({})"
)

#: the kinds that some policy may be for
KINDS = frozenset(_PLURALS)


def policies(
    rules: Iterable[Rule], zone: Zone, prefix: str, namespaces: Iterable[str]
) -> list[dict[str, Any]]:
    """A policy and its binding for each rule with CEL, as Kubernetes objects named `prefix`-<rule>, for what
    is made in `namespaces`."""
    bound = {
        "namespaceSelector": {
            "matchExpressions": [{"key": _NAME_LABEL, "operator": "In", "values": sorted(namespaces)}]
        }
    }
    made: list[dict[str, Any]] = []
    for rule in rules:
        groups: dict[tuple[str, ...], list[Cel]] = {}
        for cel in rule.cel:
            groups.setdefault(_kinds(cel, rule), []).append(cel)
        for number, (kinds, cels) in enumerate(groups.items(), 1):
            name = f"{prefix}-{rule.id.replace('.', '-')}{f'-{number}' if len(groups) > 1 else ''}"
            made += _pair(name, rule, kinds, cels, zone, bound)
    return made


def unexpressed(rules: Iterable[Rule]) -> list[Rule]:
    """Kubernetes rules that the API server can't hold objects to: the plan alone does."""
    return [
        rule
        for rule in rules
        if not rule.cel and (rule.kinds or (rule.scope == "plan" and rule.pack == "egress"))
    ]


def _pair(
    name: str, rule: Rule, kinds: tuple[str, ...], cels: list[Cel], zone: Zone, bound: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    labels = {"app.kubernetes.io/part-of": "sovereign", "llm.kit/rule": rule.id}
    policy = {
        "apiVersion": VERSION,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [_resources(kind) for kind in kinds]},
            "matchConditions": [
                {"name": "stays", "expression": _STAYS},
                *(
                    [{"name": "by-hand", "expression": _BY_HAND}]
                    if any("Endpoint" in k for k in kinds)
                    else []
                ),
            ],
            "variables": _variables() if set(kinds) <= set(PODS) else [],
            "validations": [_validation(cel, rule, zone) for cel in cels],
        },
    }
    binding = {
        "apiVersion": VERSION,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "policyName": name,
            "validationActions": ["Deny", "Audit"],
            "matchResources": bound,
        },
    }
    return policy, binding


def _kinds(cel: Cel, rule: Rule) -> tuple[str, ...]:
    return tuple(sorted(kind for kind in cel.kinds or rule.kinds if kind in _PLURALS))


def _resources(kind: str) -> dict[str, Any]:
    group, version, plurals = _PLURALS[kind]
    return {
        "apiGroups": [group],
        "apiVersions": [version],
        "operations": ["CREATE", "UPDATE"],
        "resources": list(plurals),
        "scope": "Namespaced",
    }


def _variables() -> list[dict[str, str]]:
    named = {"pod": _POD, "labels": _LABELS, "containers": _CONTAINERS, "engines": _ENGINES}
    return [{"name": name, "expression": text} for name, text in named.items()]


def _validation(cel: Cel, rule: Rule, zone: Zone) -> dict[str, str]:
    return {
        "expression": _filled(cel.expression, zone),
        "message": f"{rule.routes[0]} {rule.id}: {rule.title}. {rule.fix}"[:900],
        "reason": "Forbidden",
    }


def _filled(expression: str, zone: Zone) -> str:
    """The expression with the zone's lists in place."""
    lists = {
        "networks": [str(network) for network in zone.networks],
        "registries": [
            f"^{re.escape(registry)}/[^@]+@sha256:[0-9a-f]{{64}}$" for registry in zone.registries
        ],
        "hosts": [_IN_CLUSTER, *(_host_pattern(host) for host in zone.hosts)],
        "internal": [
            f"{name}={value}" for name, values in internal_annotations().items() for value in values
        ],
    }
    for name, items in lists.items():
        expression = expression.replace("{" + name + "}", json.dumps(sorted(items)))
    return expression


def _host_pattern(host: str) -> str:
    """A zone's host as a regular expression; `*.` stands for any number of labels."""
    name = host.removeprefix("*.")
    return f"^([a-z0-9-]+[.])+{re.escape(name)}$" if host.startswith("*.") else f"^{re.escape(name)}$"
