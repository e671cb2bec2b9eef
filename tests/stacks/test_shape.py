"""The objects of the shipped stacks: what the service promises, one test a promise."""

import base64
import re
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from facts.site import ROOT, Site
from stacks import ground
from tests.stacks.support import AnsweredKubeconfig, objects
from tests.support.render import Asked, of_type

ENGINE = "vllm-llama-3-3-70b"
SITES = {
    "local": ROOT / "stacks",
    "onprem-paris": ROOT / "stacks",
    "hospital": ROOT / "tests" / "sites" / "example-hospital",
}
WORKLOADS = ("Deployment", "StatefulSet")


@pytest.fixture(scope="module", params=list(SITES))
def asked(request: pytest.FixtureRequest) -> Iterator[list[Asked]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ground, "Kubeconfig", AnsweredKubeconfig)
        yield objects(Site(SITES[request.param]), request.param)


def pods(asked: list[Asked]) -> dict[str, dict[str, Any]]:
    return {
        one.inputs["metadata"]["name"]: one.inputs["spec"]["template"]
        for one in asked
        if one.kind in WORKLOADS
    }


def policy(asked: list[Asked], app: str) -> dict[str, Any]:
    (found,) = (
        inputs["spec"]
        for inputs in of_type(asked, "NetworkPolicy").values()
        if inputs["spec"]["podSelector"].get("matchLabels") == {"app": app}
    )
    return dict(found)


def namespace_of(asked: list[Asked], app: str) -> str:
    (found,) = (
        one.inputs["metadata"]["namespace"]
        for one in asked
        if one.kind in WORKLOADS and one.inputs["metadata"]["name"] == app
    )
    return str(found)


def test_every_object_has_a_name_and_a_place(asked: list[Asked]) -> None:
    cluster_wide = {
        "Namespace",
        "PersistentVolume",
        "PriorityClass",
        "StorageClass",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    }
    for one in asked:
        if one.type.startswith("kubernetes:"):
            meta = one.inputs["metadata"]
            assert meta["name"], one
            assert ("namespace" in meta) == (one.kind not in cluster_wide), one


def test_namespaces_are_restricted_at_a_pinned_version(asked: list[Asked]) -> None:
    namespaces = of_type(asked, "Namespace")
    assert len(namespaces) == 3
    for inputs in namespaces.values():
        labels = inputs["metadata"]["labels"]
        for mode in ("enforce", "audit", "warn"):
            assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"
            assert re.fullmatch(r"v1\.\d+", labels[f"pod-security.kubernetes.io/{mode}-version"])


def test_every_namespace_denies_by_default(asked: list[Asked]) -> None:
    denied = {
        inputs["metadata"]["namespace"]
        for inputs in of_type(asked, "NetworkPolicy").values()
        if inputs["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    }
    assert denied == set(of_type(asked, "Namespace"))


def test_every_open_door_has_ports_and_exact_peers(asked: list[Asked]) -> None:
    for inputs in of_type(asked, "NetworkPolicy").values():
        assert inputs["spec"]["policyTypes"] == ["Ingress", "Egress"]
        for rule in (*inputs["spec"].get("ingress", ()), *inputs["spec"].get("egress", ())):
            assert all(port["port"] and port["protocol"] for port in rule["ports"])
            for peer in rule.get("from") or rule["to"]:
                if "ipBlock" not in peer:  # both selectors in one peer: namespace AND pods
                    assert peer["namespaceSelector"]["matchLabels"]
                    assert peer["podSelector"]["matchLabels"]


def test_only_the_gateway_and_prometheus_reach_the_model(asked: list[Asked]) -> None:
    spec = policy(asked, "vllm-server")
    assert spec["egress"] == []
    peers = [
        (
            peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"],
            *peer["podSelector"]["matchLabels"].values(),
            *(port["port"] for port in rule["ports"]),
        )
        for rule in spec["ingress"]
        for peer in rule["from"]
    ]
    gateway = namespace_of(asked, "llm-gateway")
    assert peers[0] == (gateway, "llm-gateway", 8443)
    assert [peer[1:] for peer in peers[1:]] == [("prometheus", 8443)]


def test_dns_is_the_clusters_and_only_for_gateway_and_audit(asked: list[Asked]) -> None:
    for app, count in (("vllm-server", 0), ("llm-gateway", 1), ("llm-audit", 1)):
        rules = [
            rule for rule in policy(asked, app)["egress"] if any(port["port"] == 53 for port in rule["ports"])
        ]
        assert len(rules) == count
        for rule in rules:
            assert {port["protocol"] for port in rule["ports"]} == {"UDP", "TCP"}
            (peer,) = rule["to"]
            assert peer["podSelector"]["matchLabels"] == {"k8s-app": "kube-dns"}


def test_pods_are_hardened(asked: list[Asked]) -> None:
    assert set(pods(asked)) == {"llm-gateway", ENGINE, "llm-audit"}
    for template in pods(asked).values():
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert spec["dnsPolicy"] == "ClusterFirst"
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC", "hostAliases"}
        (container,) = spec["containers"]
        for one in (container, *spec.get("initContainers", ())):
            context = one["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert re.search(r"@sha256:[0-9a-f]{64}$", one["image"])
            assert one["resources"]["limits"] == one["resources"]["requests"]
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()


def test_what_a_pod_mounts_exists_and_what_it_writes_is_bounded(asked: list[Asked]) -> None:
    there = {
        (one.kind, one.inputs["metadata"].get("namespace"), one.inputs["metadata"]["name"])
        for one in asked
        if one.type.startswith("kubernetes:")
    }
    for app, template in pods(asked).items():
        place, spec = namespace_of(asked, app), template["spec"]
        assert ("ServiceAccount", place, spec["serviceAccountName"]) in there
        mounted = {mount["name"] for mount in spec["containers"][0]["volumeMounts"]}
        assert mounted == {volume["name"] for volume in spec["volumes"]}
        for volume in spec["volumes"]:
            if "secret" in volume:
                name = volume["secret"]["secretName"]
                assert {("Secret", place, name), ("Certificate", place, name)} & there
            elif "persistentVolumeClaim" in volume:
                claim = volume["persistentVolumeClaim"]["claimName"]
                assert ("PersistentVolumeClaim", place, claim) in there
            elif "configMap" in volume:
                assert ("ConfigMap", place, volume["configMap"]["name"]) in there
            else:
                assert volume["emptyDir"]["sizeLimit"]


def test_the_weights_are_mounted_read_only(asked: list[Asked]) -> None:
    (check,) = pods(asked)[ENGINE]["spec"]["initContainers"]
    assert {mount["name"] for mount in check["volumeMounts"] if not mount["readOnly"]} == {"tmp"}
    (volume,) = (volume for volume in pods(asked)[ENGINE]["spec"]["volumes"] if volume["name"] == "models")
    (mount,) = (
        mount
        for mount in pods(asked)[ENGINE]["spec"]["containers"][0]["volumeMounts"]
        if mount["name"] == "models"
    )
    assert volume["persistentVolumeClaim"]["readOnly"] is True
    assert mount["readOnly"] is True


def test_a_stop_leaves_time_to_finish(asked: list[Asked]) -> None:
    spec = pods(asked)[ENGINE]["spec"]
    (container,) = spec["containers"]
    drain = int(argument(container, "--shutdown-timeout"))
    sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert spec["terminationGracePeriodSeconds"] > sleep + drain


def test_the_start_has_as_long_as_the_engine_may_take(asked: list[Asked]) -> None:
    (container,) = pods(asked)[ENGINE]["spec"]["containers"]
    probe = container["startupProbe"]
    budget = probe["periodSeconds"] * probe["failureThreshold"]
    environment = {variable["name"]: variable["value"] for variable in container["env"]}
    assert budget >= int(environment["VLLM_ENGINE_READY_TIMEOUT_S"])
    (deployment,) = (inputs for name, inputs in of_type(asked, "Deployment").items() if name.endswith(ENGINE))
    assert deployment["spec"]["progressDeadlineSeconds"] >= budget


def test_vllm_is_offline_silent_and_asks_for_a_client_certificate(asked: list[Asked]) -> None:
    (container,) = pods(asked)[ENGINE]["spec"]["containers"]
    environment = {variable["name"]: variable["value"] for variable in container["env"]}
    for name in (
        "HF_HUB_OFFLINE",
        "TRANSFORMERS_OFFLINE",
        "VLLM_NO_USAGE_STATS",
        "VLLM_DO_NOT_TRACK",
        "DO_NOT_TRACK",
    ):
        assert environment[name] == "1"
    assert container["command"] == ["vllm", "serve"]
    assert container["args"][0].startswith("/models/")
    assert argument(container, "--tokenizer") == container["args"][0]
    assert argument(container, "--ssl-cert-reqs") == "2"
    assert argument(container, "--ssl-ca-certs").startswith("/tls/")
    gpus = argument(container, "--tensor-parallel-size")
    assert container["resources"]["limits"]["nvidia.com/gpu"] == gpus
    assert not [a for a in container["args"] if a.startswith(("--api-key", "--enable-log", "--trust"))]


def test_each_workload_has_an_account_a_service_and_a_budget(asked: list[Asked]) -> None:
    for kind in ("ServiceAccount", "Service", "PodDisruptionBudget"):
        names = {inputs["metadata"]["name"] for inputs in of_type(asked, kind).values()}
        assert names - {"llm-gateway-entrance"} == set(pods(asked))
    for inputs in of_type(asked, "ServiceAccount").values():
        assert inputs["automountServiceAccountToken"] is False
    for inputs in of_type(asked, "PodDisruptionBudget").values():
        assert inputs["spec"]["maxUnavailable"] == 1
    for inputs in of_type(asked, "Service").values():
        if inputs["metadata"]["name"] == "llm-gateway-entrance":
            continue
        assert inputs["spec"]["type"] == "ClusterIP"
        assert inputs["spec"]["ports"][0]["port"] == 8443


def test_observers_see_no_secret_no_log_and_no_way_in(asked: list[Asked]) -> None:
    for inputs in of_type(asked, "Role").values():
        for rule in inputs["rules"]:
            assert set(rule["verbs"]) == {"get", "list", "watch"}
            assert not [r for r in rule["resources"] if r in ("secrets", "*") or "/" in r]
    for inputs in of_type(asked, "RoleBinding").values():
        assert {subject["kind"] for subject in inputs["subjects"]} == {"Group"}


def test_each_certificate_has_one_purpose_and_its_services_name(asked: list[Asked]) -> None:
    secrets = {name: one for name, one in of_type(asked, "Secret").items() if name.endswith("-tls")}
    assert len(secrets) == 5
    for name, inputs in secrets.items():
        data = {key: base64.b64decode(value) for key, value in inputs["data"].items()}
        certificate = x509.load_pem_x509_certificate(data["tls.crt"])
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(data["ca.crt"]))
        usages = list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        if name.endswith("client-tls"):
            assert usages == [ExtendedKeyUsageOID.CLIENT_AUTH]
            continue
        assert usages == [ExtendedKeyUsageOID.SERVER_AUTH]
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        app = inputs["metadata"]["name"].removesuffix("-tls")
        place = inputs["metadata"]["namespace"]
        own = ["llm.hopital.internal"] if (app, place) == ("llm-gateway", "paris-gateway") else []
        assert names.get_values_for_type(x509.DNSName) == [f"{app}.{place}.svc.cluster.local", *own]


def test_the_gateways_key_and_the_auditors_differ(asked: list[Asked]) -> None:
    keys = {
        inputs["metadata"]["name"]: inputs["data"]["key"]
        for inputs in of_type(asked, "Secret").values()
        if inputs["type"] == "Opaque"
    }
    assert set(keys) == {"prompt-key", "chain-key"}
    assert keys["prompt-key"] != keys["chain-key"]
    assert {len(base64.b64decode(key)) for key in keys.values()} == {32}


def test_no_flag_or_variable_is_one_that_vllm_dropped() -> None:
    """Names that vLLM dropped make it exit at start, so none of them may come back."""
    source = (ROOT / "components" / "serving" / "engine.py").read_text()
    for gone in ("disable-log-requests", "guided-decoding-backend", "VLLM_USE_V1"):
        assert gone not in source


def test_the_way_in_is_one_address_for_the_named_networks() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ground, "Kubeconfig", AnsweredKubeconfig)
        asked = objects(Site(SITES["onprem-paris"]), "onprem-paris")
    doors = [one for one in of_type(asked, "Service").values() if one["spec"]["type"] != "ClusterIP"]
    (door,) = doors
    assert door["spec"] == {
        "type": "LoadBalancer",
        "loadBalancerIP": "10.12.0.10",
        "loadBalancerSourceRanges": ["10.12.0.0/16"],
        "externalTrafficPolicy": "Local",
        "allocateLoadBalancerNodePorts": False,
        "selector": {"app": "llm-gateway"},
        "ports": [{"name": "https", "port": 443, "targetPort": "https", "protocol": "TCP"}],
    }
    callers = policy(asked, "llm-gateway")["ingress"][0]
    assert callers == {
        "from": [{"ipBlock": {"cidr": "10.12.0.0/16"}}],
        "ports": [{"port": 8443, "protocol": "TCP"}],
    }


def test_a_hospitals_choices_arrive() -> None:
    site = Site(SITES["hospital"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ground, "Kubeconfig", AnsweredKubeconfig)
        asked = objects(site, "hospital")
    assert set(of_type(asked, "Namespace")) == {"ki-gateway", "ki-modell", "ki-protokoll"}
    assert not of_type(asked, "StorageClass")
    clients = policy(asked, "llm-gateway")["ingress"][0]
    assert clients["from"] == [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateway-system"}},
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": "envoy"}},
        }
    ]
    (route,) = of_type(asked, "TLSRoute").values()
    assert route["spec"]["hostnames"] == ["llm.klinik.example"]
    assert route["spec"]["rules"] == [{"backendRefs": [{"name": "llm-gateway", "port": 8443}]}]
    (certificate,) = of_type(asked, "Certificate").values()
    assert certificate["spec"]["issuerRef"]["name"] == "klinik-pki"
    assert certificate["spec"]["dnsNames"] == ["llm.klinik.example"]
    store = policy(asked, "llm-audit")["egress"][0]
    assert store == {
        "to": [{"ipBlock": {"cidr": "10.30.4.10/32"}}],
        "ports": [{"port": 443, "protocol": "TCP"}],
    }
    claims = of_type(asked, "PersistentVolumeClaim")
    assert claims["ki-modell/weights-llama-3-3-70b"]["spec"]["volumeName"] == "llama-weights"
    assert {claim["spec"]["storageClassName"] for claim in claims.values()} == {"ceph-encrypted"}
    assert len(of_type(asked, "RoleBinding")) == 3


def argument(container: dict[str, Any], flag: str) -> str:
    (value,) = (text.split("=", 1)[1] for text in container["args"] if text.startswith(f"{flag}="))
    return str(value)
