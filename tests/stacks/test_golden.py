"""The rendered stacks as files that a reviewer reads, and what each setting changes in them.

.venv/bin/python -m pytest tests/stacks/test_golden.py --golden     writes them anew
"""

import copy
from typing import Any

import pytest
import yaml

from components.serving.engine import ArgumentError
from facts.site import ROOT, Site
from stacks import ground, settings
from tests.stacks.support import AnsweredKubeconfig, objects
from tests.stacks.test_settings import put
from tests.support.render import Asked

FOLDER = ROOT / "tests" / "stacks" / "golden"
SITES = {
    "local": ROOT / "stacks",
    "onprem-paris": ROOT / "stacks",
    "hospital": ROOT / "tests" / "sites" / "example-hospital",
}


@pytest.fixture(autouse=True)
def answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ground, "Kubeconfig", AnsweredKubeconfig)


def rendered(stack: str, change: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """All objects by kind and name, with random values (keys, certificates) taken out."""
    site = Site(SITES[stack])
    data = yaml.safe_load(site.stack_file(stack).read_text(encoding="utf-8"))["config"][settings.KEY]
    for key, value in (change or {}).items():
        put(data, key, value)
    chosen = settings.parse(data, site.stack_file(stack))
    made = [one for one in objects(site, stack, chosen) if one.type.startswith("kubernetes:")]
    return {f"{one.kind} {one.name}": plain(one) for one in made}


def plain(one: Asked) -> dict[str, Any]:
    inputs = copy.deepcopy(one.inputs)
    if one.kind == "Secret":
        inputs["data"] = dict.fromkeys(sorted(inputs["data"]), "(secret)")
    return inputs


def text(objects: dict[str, dict[str, Any]]) -> str:
    """A document an object, sorted, without the admission policies: those are told by docs/rules.md."""
    parts = [
        f"# {name}\n{yaml.safe_dump(inputs, sort_keys=True, width=110)}"
        for name, inputs in sorted(objects.items())
        if not name.startswith("ValidatingAdmissionPolic")
    ]
    return "---\n".join(parts)


@pytest.mark.parametrize("stack", SITES)
def test_the_rendered_stack_is_the_reviewed_one(stack: str, pytestconfig: pytest.Config) -> None:
    file, now = FOLDER / f"{stack}.yaml", text(rendered(stack))
    if pytestconfig.getoption("--golden"):
        FOLDER.mkdir(exist_ok=True)
        file.write_text(now, encoding="utf-8")
    assert file.read_text(encoding="utf-8") == now, (
        f"The stack {stack} renders otherwise than {file}: if that is meant, write it anew with --golden "
        "and let the difference be reviewed."
    )


ENGINE = "Deployment llm-serving/vllm-llama-3-3-70b"
QUOTA = "ResourceQuota llm-serving/vllm-llama-3-3-70b"
GATEWAY = "Deployment llm-gateway/llm-gateway"
#: a setting, another value, and the objects that may then differ, appear or go
CHANGES: list[tuple[str, Any, set[str]]] = [
    ("images.vllm", f"registry.sovereign.internal/v@sha256:{'1' * 64}", {ENGINE}),
    ("images.verifier", f"registry.sovereign.internal/v@sha256:{'1' * 64}", {ENGINE}),
    ("images.gateway", f"registry.sovereign.internal/v@sha256:{'1' * 64}", {GATEWAY}),
    (
        "images.audit",
        f"registry.sovereign.internal/v@sha256:{'1' * 64}",
        {"StatefulSet llm-audit/llm-audit"},
    ),
    ("models.0.image", f"registry.sovereign.internal/v@sha256:{'1' * 64}", {ENGINE}),
    ("models.0.quantization", "int4", {ENGINE}),
    ("models.0.maxLength", 16384, {ENGINE}),
    ("models.0.concurrency", 24, {ENGINE}),
    ("models.0.cache", "bf16", {ENGINE}),
    ("models.0.gpus", 8, {ENGINE, QUOTA}),
    ("models.0.replicas", 2, {ENGINE, QUOTA}),
    ("models.0.spare", 1, {ENGINE}),
    (
        "models.0.autoscale",
        {"maximum": 3},
        {ENGINE, QUOTA, "HorizontalPodAutoscaler llm-serving/vllm-llama-3-3-70b"},
    ),
    ("models.0.path", "/models/other", {ENGINE}),
    ("models.0.architecture", "llama-3.1-70b", {ENGINE}),
    ("models.0.failureDomain", "topology.kubernetes.io/rack", {ENGINE}),
    ("models.0.writableRoot", {"reason": "the hook of the GPU runtime", "until": "2027-01-31"}, {ENGINE}),
    ("models.0.priority", 7, {"PriorityClass llm-serving-vllm-llama-3-3-70b"}),
    ("models.0.arguments", ["--enable-chunked-prefill"], {ENGINE}),
    ("models.0.weights.digest", f"sha256:{'1' * 64}", {ENGINE}),
    ("models.0.weights.readRate", 500, {ENGINE}),
    (
        "models.0.weights.size",
        "90Gi",
        {
            "PersistentVolume simulated-llm-serving-llama-3-3-70b",
            "PersistentVolumeClaim llm-serving/weights-llama-3-3-70b",
        },
    ),
    (
        "models.0.weights.cache",
        {"storageClass": "local-encrypted", "storageKey": "k", "size": "80Gi"},
        {ENGINE},
    ),
    ("clients.networks", ["10.96.1.0/24"], {"NetworkPolicy llm-gateway/llm-gateway"}),
    ("clients.host", "llm.simulated.svc.cluster.local", {"Secret llm-gateway/llm-gateway-tls"}),
    ("audit.networks", ["10.96.2.0/24"], {"NetworkPolicy llm-audit/llm-audit"}),
    (
        "audit.size",
        "60Gi",
        {"PersistentVolume simulated-audit-records", "PersistentVolumeClaim llm-audit/audit-records"},
    ),
    ("retentionDays", 3650, {"StatefulSet llm-audit/llm-audit"}),
    (
        "observers",
        ["team"],
        {f"RoleBinding llm-{place}/observer" for place in ("gateway", "serving", "audit")},
    ),
    (
        "namespaces.monitoring",
        "prometheus",
        {
            "NetworkPolicy llm-gateway/llm-gateway",
            "NetworkPolicy llm-serving/vllm-server",
            "NetworkPolicy llm-audit/llm-audit",
        },
    ),
    ("embedded.nodes", 5, set()),
    ("state.secretsProvider", "hashivault://key", set()),
]


@pytest.fixture(scope="module")
def before() -> dict[str, dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ground, "Kubeconfig", AnsweredKubeconfig)
        return rendered("local")


@pytest.mark.parametrize(("key", "value", "expected"), CHANGES, ids=[key for key, *_ in CHANGES])
def test_a_setting_changes_what_it_is_for_and_nothing_else(
    before: dict[str, dict[str, Any]], key: str, value: Any, expected: set[str]
) -> None:
    after = rendered("local", {key: value})
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    # a certificate's change shows only in bytes that are taken out here
    assert changed == {name for name in expected if not name.startswith("Secret ")}


def test_more_engines_leave_those_that_run_alone(before: dict[str, dict[str, Any]]) -> None:
    """What a change of the number of engines touches in a pod would start all of them anew."""
    after = rendered("local", {"models.0.replicas": 3, "models.0.spare": 1})
    assert after[ENGINE]["spec"]["template"] == before[ENGINE]["spec"]["template"]


def test_every_setting_of_a_model_is_tried() -> None:
    tried = {key.split(".")[2] for key, *_ in CHANGES if key.startswith("models.0.")}
    known = {field.alias for field in settings.Model.model_fields.values()}
    assert known - tried <= {"name", "weights", "gpu"}


def test_a_second_model_stands_beside_the_first() -> None:
    data = yaml.safe_load((SITES["local"] / "Pulumi.local.yaml").read_text(encoding="utf-8"))
    first = data["config"][settings.KEY]["models"][0]
    small = {**first, "name": "Llama-3.1-8B", "architecture": "llama-3.1-8b", "gpus": 1, "priority": 10}
    after = rendered("local", {"models": [first, {**small, "path": "/models/small"}]})
    before = rendered("local")
    new = "vllm-llama-3-1-8b"
    assert after.keys() - before.keys() == {
        f"Deployment llm-serving/{new}",
        f"Service llm-serving/{new}",
        f"ServiceAccount llm-serving/{new}",
        f"PodDisruptionBudget llm-serving/{new}",
        f"ResourceQuota llm-serving/{new}",
        f"Secret llm-serving/{new}-tls",
        f"PriorityClass llm-serving-{new}",
        "ConfigMap llm-serving/weights-llama-3-1-8b-key",
        "PersistentVolumeClaim llm-serving/weights-llama-3-1-8b",
        "PersistentVolume simulated-llm-serving-llama-3-1-8b",
    }
    assert {name for name in before if before[name] != after[name]} == {GATEWAY}
    quota = after[f"ResourceQuota llm-serving/{new}"]["spec"]
    assert quota["hard"]["requests.nvidia.com/gpu"] == "2"
    assert quota["scopeSelector"]["matchExpressions"][0]["values"] == [f"llm-serving-{new}"]
    selector = after[f"Service llm-serving/{new}"]["spec"]["selector"]
    assert selector == {"app": "vllm-server", "llm.kit/model": "Llama-3.1-8B"}


def test_a_slice_of_a_gpu_is_asked_for_by_its_profile() -> None:
    change = {
        "models.0.gpu": "H100-MIG-3G40",
        "models.0.gpus": 1,
        "models.0.architecture": "llama-3.1-8b",
        "models.0.concurrency": 2,
    }
    pod = rendered("hospital", change)["Deployment ki-modell/vllm-llama-3-3-70b"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/mig-3g.40gb"] == "1"
    assert "nvidia.com/gpu" not in pod["containers"][0]["resources"]["limits"]
    assert pod["nodeSelector"] == {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}


def test_a_node_cache_is_filled_by_the_check_and_read_by_the_engine() -> None:
    cache = {"storageClass": "local-encrypted", "storageKey": "k", "size": "80Gi"}
    pod = rendered("local", {"models.0.weights.cache": cache})[ENGINE]["spec"]["template"]["spec"]
    (check,), (engine,) = pod["initContainers"], pod["containers"]
    assert "--copy-to=/models/llama-3.3-70b" in check["args"]
    assert "/models-source/llama-3.3-70b" in check["args"]
    writes = {mount["mountPath"] for mount in check["volumeMounts"] if not mount["readOnly"]}
    assert writes == {"/models", "/tmp"}
    assert all(mount["readOnly"] for mount in engine["volumeMounts"] if mount["mountPath"] == "/models")


@pytest.mark.parametrize(
    "argument", ["--max-model-len=1", "--enable-log-requests", "--no-enable-ssl-refresh"]
)
def test_an_argument_that_the_kit_sets_is_refused(argument: str) -> None:
    with pytest.raises(ArgumentError, match=r"models\.arguments: .* the kit sets"):
        rendered("local", {"models.0.arguments": [argument]})
