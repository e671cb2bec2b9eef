"""The examples of tests/routes/, applied by hand to a real API server that holds the generated policies."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from facts.zones import Zone
from policies import admission, rules
from policies.judge import judge
from policies.model import Verdict
from policies.rule import Rule
from tests.support import examples
from tests.support.cluster import LiveCluster
from tests.support.examples import FOLDER, Example
from toolchain.cluster.api import ApiError

pytestmark = pytest.mark.cluster

PLACE = "admission-examples"
IMAGE = f"registry.hospital.example/c@sha256:{'4f' * 32}"
RULES: dict[str, Rule] = {rule.id: rule for rule in rules.load()}
WITH_CEL = {id for id, rule in RULES.items() if rule.cel}
ZONE = Zone.model_validate(yaml.safe_load((FOLDER / "zone.yaml").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def guarded(cluster: LiveCluster) -> Iterator[LiveCluster]:
    """The cluster with the policies for the examples' zone, and a namespace that they are bound to."""
    made = admission.policies(RULES.values(), ZONE, PLACE, [PLACE])
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": PLACE}}
    everything = json.dumps({"apiVersion": "v1", "kind": "List", "items": [namespace, *made]})
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=everything)
    leak = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "leak", "namespace": PLACE},
        "spec": {"type": "ExternalName", "externalName": "api.example.com"},
    }
    for _ in range(60):  # a policy holds a moment after it is there
        if refusal(cluster, leak) is not None:
            break
        time.sleep(0.5)
    yield cluster
    names = [f"{one['kind']}/{one['metadata']['name']}" for one in made]
    cluster.kubectl("delete", *names, f"namespace/{PLACE}", "--wait=false")


def wait_for_refusal(act: Callable[[], Any]) -> str:
    """What the API server says against it, as soon as the policies hold; they take a moment."""
    for _ in range(60):
        try:
            act()
        except ApiError as error:
            if error.status == 403:
                return str(error)
        time.sleep(0.5)
    raise AssertionError("it was never refused")


def change(cluster: LiveCluster, url: str, patch: dict[str, Any]) -> None:
    cluster.request("PATCH", url, patch, "application/merge-patch+json")


def refusal(cluster: LiveCluster, item: dict[str, Any], place: str = PLACE) -> str | None:
    """What the API server says against creating the object; None where it takes it (dry run)."""
    group, _, version = item["apiVersion"].rpartition("/")
    root = f"/apis/{group}/{version}" if group else f"/api/{version}"
    plural = item["kind"].lower() + ("" if item["kind"] == "Endpoints" else "s")
    plural = plural.replace("policys", "policies").replace("ingresss", "ingresses")
    path = f"{root}/namespaces/{place}/{plural}?dryRun=All"
    try:
        cluster.request("POST", path, item)
    except ApiError as error:
        return str(error)
    return None


def objects(example: Example) -> list[dict[str, Any]]:
    """The example's objects of kinds that the policies are for, as a hand would apply them in PLACE."""
    found = []
    for resource in example.plan.resources:
        text = json.dumps(resource.inputs, default=lambda marker: None)
        item = json.loads(text)
        patch = resource.type.endswith("Patch")  # part of an object: nobody creates one
        if patch or resource.kind not in admission.KINDS or not {"apiVersion", "metadata"} <= item.keys():
            continue
        item["metadata"] = {**item["metadata"], "namespace": PLACE}
        found.append(item)
    return found


def test_another_stack_in_the_cluster_is_not_held_to_this_zone(guarded: LiveCluster) -> None:
    own: dict[str, Any] = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "own"}}
    own["spec"] = {"type": "ExternalName", "externalName": "api.example.com"}
    assert refusal(guarded, own) is not None
    assert refusal(guarded, own, "default") is None


def test_what_was_there_before_can_be_deleted_and_nothing_else(guarded: LiveCluster) -> None:
    """Objects older than the policies: another namespace's policies are bound to theirs afterwards."""
    place = "admission-older"
    replicas = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "older", "namespace": place, "finalizers": ["example.org/hold"]},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "older"}},
            "template": {
                "metadata": {"labels": {"app": "older"}},
                "spec": {"containers": [{"name": "c", "image": "registry.example.com/c:latest"}]},
            },
        },
    }
    guarded.kubectl("create", "namespace", place)
    guarded.kubectl("create", "-f", "-", stdin=json.dumps(replicas))
    made = admission.policies(RULES.values(), ZONE, place, [place])
    guarded.kubectl(
        "apply",
        "--server-side",
        "-f",
        "-",
        stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": made}),
    )
    url = f"/apis/apps/v1/namespaces/{place}/replicasets/older"
    try:
        guarded.kubectl("delete", "replicaset", "older", "-n", place, "--wait=false")
        refused = wait_for_refusal(lambda: change(guarded, f"{url}?dryRun=All", {"spec": {"replicas": 1}}))
        assert "images.pinned" in refused
        change(guarded, url, {"metadata": {"finalizers": None}})
        assert guarded.kubectl("get", "replicaset", "older", "-n", place, "--ignore-not-found") == ""
    finally:
        names = [f"{one['kind']}/{one['metadata']['name']}" for one in made]
        guarded.kubectl("delete", *names, f"namespace/{place}", "--wait=false")


def readable(example: Example) -> bool:
    """Whether the example is for the common zone, and holds plain values only."""
    return example.zone == ZONE and not any(
        finding.verdict is Verdict.UNDECIDED
        for finding in judge(example.plan, example.zone, RULES.values()).findings
    )


ALL = [examples.read(file) for file in examples.files()]
CLEAN = [one for one in ALL if not one.leak and one.zone == ZONE and objects(one)]
LEAKS = [
    one
    for one in ALL
    if one.leak
    and readable(one)
    and objects(one)
    and {finding.rule for finding in judge(one.plan, ZONE, RULES.values()).findings} & WITH_CEL
]

#: leaks that the API server takes: each needs what one expression over one object doesn't see
BEYOND_CEL = {
    # other policies; an empty list is gone when CEL looks
    *("K05/leak-empty-beside-deny", "K05/leak-empty-egress", "K05/leak-no-types"),
    # ports against networks of the zone, ports by name
    *("K07/leak-network", "K07/leak-port-domain", "K07/leak-port-name", "K07/leak-range"),
    # annotations of many controllers, and what another object says of one
    *("K12/leak-contradiction", "K14/leak-auth-signin", "K14/leak-auth-tls-error-page", "K14/leak-auth-url"),
    *(
        "K14/leak-config-backend",
        "K14/leak-internet-facing",
        "K14/leak-mirror",
        "K14/leak-permanent-redirect",
    ),
    *("K14/leak-snippet", "K14/leak-snippets", "K14/leak-temporal-redirect"),
    "K17/leak-search",
    # proxies by other names, in another object, in a shell
    *("K19/leak-config-map", "K19/leak-export", "K19/leak-grpc", "K19/leak-socks", "K19/leak-websockets"),
    # flags and variables by the hundred, JSON in a flag, a shell: the plan reads them as vLLM does
    *("K20/leak-download", "K20/leak-draft", "K20/leak-hf", "K20/leak-modelscope-download"),
    *("K20/leak-spec-model", "K20/leak-token-flag", "K20/leak-tokenizer", "K21/leak-server"),
    *("K22/leak-empty", "K22/leak-no-host", "K22/leak-outside"),
    *("K23/leak-adapter", "K23/leak-adapter-described", "K23/leak-adapter-list", "K23/leak-adapter-mapping"),
    *("K23/leak-aws-endpoint-url", "K23/leak-aws-endpoint-url-s3", "K23/leak-ec-transfer"),
    *("K23/leak-kv-transfer", "K23/leak-lmcache-remote-url", "K23/leak-loader-az", "K23/leak-loader-gs"),
    *("K23/leak-loader-hf", "K23/leak-loader-oci", "K23/leak-loader-s3", "K23/leak-no-host"),
    *("K23/leak-no-json", "K23/leak-other-key", "K23/leak-runai-streamer-s3-endpoint"),
    *("K23/leak-s3-endpoint-url", "K23/leak-tensorizer", "K23/leak-weight-transfer"),
    *("K24/leak-exported", "K24/leak-flag-apart", "K24/leak-flag-equals", "K24/leak-jaeger"),
}
#: honest plans that the API server refuses in the service's own namespaces: CEL is stricter there
STRICTER = {
    # one network of the zone holds it, and no exception is worked out
    *("K02/clean-except", "K03/clean-nothing-left", "K49/clean-except"),
    *("K06/clean-other-label", "K07/clean-no-dns", "K07/clean-node-local", "K07/clean-own-namespace"),
    # systems that the zone names by digest run in namespaces of their own
    *("K09/clean-system", "K10/clean-baseline", "K10/clean-system", "K17/clean-system"),
    *("K12/clean-asked", "K12/clean-site-address", "K14/clean-dashboard", "K14/clean-other-service"),
    *("K15/clean-own-host", "K17/clean-loopback", "K17/clean-site-resolver"),
    # the engine as the kit renders it, and no other way to say the same
    *("K20/clean-no-token", "K20/clean-shell", "K21/clean-common-track", "K21/clean-config-map"),
    *("K21/clean-do-not-track", "K21/clean-own-server", "K22/clean-text-only", "K23/clean-local"),
    *("K24/clean-in-cluster", "S04/clean-off-words"),
}


@pytest.mark.parametrize("example", LEAKS, ids=[one.name for one in LEAKS])
def test_a_leak_applied_by_hand_is_refused(guarded: LiveCluster, example: Example) -> None:
    said = [refusal(guarded, item) for item in objects(example)]
    assert any(said) == (example.name not in BEYOND_CEL), said


@pytest.mark.parametrize("example", CLEAN, ids=[one.name for one in CLEAN])
def test_an_honest_object_is_taken(guarded: LiveCluster, example: Example) -> None:
    said = [refusal(guarded, item) for item in objects(example)]
    assert any(said) == (example.name in STRICTER), said


def test_a_refusal_names_rule_and_way_out(guarded: LiveCluster) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"hostNetwork": True, "containers": [{"name": "c", "image": IMAGE}]},
    }
    said = refusal(guarded, pod)
    assert said is not None
    assert "K09 node-access.host-network: No pod may use the node's network. Remove hostNetwork" in said


def test_more_than_fifty_leaks_are_tried() -> None:
    assert len(LEAKS) - len(BEYOND_CEL) > 50
    assert len(CLEAN) - len(STRICTER) > 40


def test_every_expression_is_understood(guarded: LiveCluster) -> None:
    """The API server types each expression against its kinds; a warning is an expression that can't hold."""
    found = json.loads(guarded.kubectl("get", "validatingadmissionpolicies", "-o", "json"))["items"]
    ours = [item for item in found if item["metadata"]["name"].startswith(f"{PLACE}-")]
    assert {item["metadata"]["labels"]["llm.kit/rule"] for item in ours} == WITH_CEL
    warnings = [
        (item["metadata"]["name"], warning["warning"])
        for item in ours
        for warning in item.get("status", {}).get("typeChecking", {}).get("expressionWarnings", [])
    ]
    assert warnings == []
