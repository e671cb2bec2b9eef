"""What is malformed, far too large or made to mislead ends as a verdict: no rule fails on it, and where it
can't be judged, it does not pass."""

import base64
import copy
import json
import random
import signal
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import pairwise
from types import FrameType
from typing import Any

import pytest
import yaml

from facts.zones import Zone
from policies import rules
from policies.judge import judge
from policies.model import MASKED, UNKNOWN, Judgement, Plan, Resource
from policies.model.resource import kubernetes_type
from policies.rule import Rule
from tests.support import examples
from tests.support.examples import Example

#: Seconds after which a text of a few hundred kilobytes counts as one that a rule can't bear.
PATIENCE = 60

ROUTES = sorted({file.parent.name for file in examples.files()})


def _short(value: object) -> str:
    return repr(value)[:32]


@cache
def _rules() -> tuple[Rule, ...]:
    return rules.load()


@cache
def _examples(route: str) -> tuple[Example, ...]:
    return tuple(examples.read(file) for file in examples.files() if file.parent.name == route)


@cache
def _zone() -> Zone:
    return Zone.model_validate(yaml.safe_load((examples.FOLDER / "zone.yaml").read_text(encoding="utf-8")))


def _judged(*resources: Resource, whole: bool = False) -> Judgement:
    judgement = judge(Plan.of(resources, whole=whole), _zone(), _rules())
    _assert_no_rule_failed(judgement)
    return judgement


def _assert_no_rule_failed(judgement: Judgement) -> None:
    failed = [one for one in judgement.findings if "failed on this resource" in one.why]
    assert not failed, [(one.rule, one.seen, one.urn) for one in failed]


def _object(version: str, kind: str, **rest: Any) -> Resource:
    token = kubernetes_type(version, kind)
    inputs = {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": "a", "namespace": "llm-serving"},
        **rest,
    }
    return Resource(f"urn:pulumi:example::sovereign::{token}::a", token, "a", inputs)


def _config_map(text: Any) -> Resource:
    return _object("v1", "ConfigMap", data={"settings": text})


# Every rule, on every example with something malformed put into it

_MALFORMED: tuple[Any, ...] = (
    *(None, 42, -1, 10**400, 1.5, float("nan"), True, b"x", "", "\x00", "\ud800", "x" * 300, "%", "="),
    *("{", "[", "a: [", "://", "http://[::1", "arn:aws:s3", "10.0.0.0/33", "$(X)", "${X", "'", '"'),
    *("--", "..", "٣", "²", "@", "/"),
    *([], {}, ["x"], [None], [[]], [{}], [1], ["--model"], {"a": "b"}, {1: 2}, {"a": None}, MASKED, UNKNOWN),
)


def _places(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _places(inner, (*path, index))


def _changed(example: Example, number: int, path: tuple[Any, ...], value: object) -> Plan:
    resources = list(example.plan.resources)
    inputs: Any = copy.deepcopy(resources[number].inputs)
    place = inputs
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    resources[number] = replace(resources[number], inputs=inputs)
    return replace(example.plan, resources=tuple(resources))


def _some_places(example: Example, count: int) -> list[tuple[int, tuple[Any, ...]]]:
    every = [
        (number, path)
        for number, resource in enumerate(example.plan.resources)
        for path in _places(resource.inputs)
    ]
    return random.Random(example.name).sample(every, min(count, len(every)))


@pytest.mark.parametrize("route", ROUTES)
def test_no_rule_fails_on_an_example_or_a_malformed_one(route: str) -> None:
    for example in _examples(route):
        _assert_no_rule_failed(judge(example.plan, example.zone, _rules()))
        chance = random.Random(example.name)
        for number, path in _some_places(example, 4):
            changed = _changed(example, number, path, chance.choice(_MALFORMED))
            _assert_no_rule_failed(judge(changed, example.zone, _rules()))


#: honest plans in which an unknown value is no way out: a network that is denied whatever it is, and a reference
#: that the one resource it is computed from decides
DECIDED = {
    ("A07/clean-denied", "cidrBlock"),
    ("A11/clean-transit", "destinationCidrBlock"),
    ("P22/clean-reference", "vpcId"),
    ("P22/clean-reference-by-arn", "keyArn"),
    ("P22/clean-reference-by-name", "role"),
}


@pytest.mark.parametrize("route", ROUTES)
def test_what_is_not_known_never_passes(route: str) -> None:
    """An honest plan is refused with any of its values unknown; masked, it's told that it wasn't seen."""
    for example in _examples(route):
        for number, path in _some_places(example, 8) if not example.leak and example.zone else ():
            resource = example.plan.resources[number]
            if resource.type.endswith("List") and path[0] != "items":
                continue  # its items say what they are themselves
            if (example.name, path[0]) in DECIDED:
                continue
            unknown = judge(_changed(example, number, path, UNKNOWN), example.zone, _rules())
            assert unknown.findings, f"{example.name} {resource.name} {path}"
            masked = judge(_changed(example, number, path, MASKED), example.zone, _rules())
            assert masked.findings or masked.not_visible, f"{example.name} {resource.name} {path}"


@pytest.mark.parametrize("known", [{}, {"rotationPeriodInDays": 9000}])
def test_what_reads_as_absent_is_undecided_where_it_is_not_known(known: dict[str, Any]) -> None:
    key = Resource("urn:x", "aws:kms/key:Key", "k", {"enableKeyRotation": UNKNOWN, **known})
    found = [one for one in _judged(key).findings if one.rule == "aws-encryption.rotation"]
    told = {one.path: str(one.verdict) for one in found}
    assert told == {"enableKeyRotation": "undecided", **dict.fromkeys(known, "refuse")}
    assert len(found) == len(told)


# Addresses, hosts, ARNs, policies


@pytest.mark.parametrize(
    "cidr",
    [
        *("", "10.20.0.0", "10.20.0.0/33", "10.20.0/24", "10.20.0.0/-1", "10.20.0.0/8/8", "010.20.0.0/16"),
        *(
            "fd12:3456:789a::/129",
            "fd12:3456:789a/48",
            "300.1.1.1/8",
            "10.20.0.0/16\n8.8.8.8/32",
            "١٠.20.0.0/16",
        ),
        *("10.20.0.0/255.255.0.0", 10, True, ["10.20.0.0/16"], {"cidr": "10.20.0.0/16"}),
    ],
    ids=_short,
)
def test_a_malformed_network_does_not_pass(cidr: object) -> None:
    assert not _judged(_policy("10.20.0.0/16")).findings
    assert _judged(_policy(cidr)).findings
    assert not _judged(_policy("10.20.0.0/15", excepted=["10.21.0.0/16"])).findings
    assert _judged(_policy("10.20.0.0/15", excepted=[cidr])).findings


def _policy(cidr: object, **rest: Any) -> Resource:
    block = {"cidr": cidr, **({"except": rest["excepted"]} if rest else {})}
    ports = [{"protocol": "TCP", "port": 443}]
    spec = {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
        "egress": [{"to": [{"ipBlock": block}], "ports": ports}],
    }
    return _object("networking.k8s.io/v1", "NetworkPolicy", spec=spec)


@pytest.mark.parametrize(
    "url",
    [
        *("http://[2001:db8::1", "http://[fd12:3456::1]evil.com/", "http://ex%20ample.com"),
        "http://\x00.example",
        *("http://%zz/", "http://a..b.hospital.example/", "http://-a.hospital.example", "http://0x/"),
        *("http://.hospital.example", "http://1.2.3.4.5/", "http://010.20.0.1/", "http://10.20.0.1.evil.com"),
        *("http://straße.hospital.example/", "http://hospital.example@evil.com", f"http://{'a' * 300}.eu"),
    ],
    ids=_short,
)
def test_a_malformed_url_does_not_pass(url: str) -> None:
    assert not _judged(_config_map("https://traces.hospital.example/v1")).findings
    assert _judged(_config_map(url)).findings


@pytest.mark.parametrize(
    "arn",
    [
        *(
            "",
            "arn",
            "arn:aws:s3",
            "arn:aws:s3:::",
            "arn:aws:s3:eu-west-3:1234:copies",
            "arn:aws:s3:eu-west-3",
        ),
        *(
            "arn:aws:s3:::copies ",
            "arn::s3:eu-west-3:111122223333:copies",
            "arn:aws:s3:::copies\nx",
            "x" * 100_000,
        ),
        *(7, ["arn:aws:s3:::copies"], {"arn": "arn:aws:s3:::copies"}),
    ],
    ids=_short,
)
def test_a_malformed_arn_does_not_pass(arn: object) -> None:
    assert not _judged(*_replication("arn:aws:s3:eu-west-3:111122223333:accesspoint/copies")).findings
    assert _judged(*_replication(arn)).findings


def _replication(arn: object) -> tuple[Resource, ...]:
    example = examples.read(examples.FOLDER / "A20" / "clean-access-point.yaml")
    number = next(at for at, one in enumerate(example.plan.resources) if "Replication" in one.type)
    return _changed(example, number, ("rules", 0, "destination", "bucket"), arn).resources


@pytest.mark.parametrize(
    "policy",
    [
        *(
            "",
            "{",
            "[]",
            "42",
            '"x"',
            '{"Statement": "x"}',
            '{"Statement": [7]}',
            '{"Statement": [{}]}',
            "{}",
        ),
        *('{"Statement": [{"Effect": "Allow", "Principal": "*"}]}', '{"Statement": []} {"Statement": []}'),
        *('{"Statement": [], "Statement": []}', '{"Statement": [{"Effect": "allow", "Action": "s3:*"}]}'),
        *("[" * 100_000, '{"Statement":' * 5000, 7, ["x"], {"Statement": 7}),
    ],
    ids=_short,
)
def test_a_malformed_policy_document_does_not_pass(policy: object) -> None:
    example = examples.read(examples.FOLDER / "A20" / "clean-access-point.yaml")
    provider = next(one for one in example.plan.resources if one.is_provider)
    token = "aws:s3/bucketPolicy:BucketPolicy"
    urn = f"urn:pulumi:example::sovereign::{token}::records"
    inputs = {"bucket": "records-111122223333", "policy": policy}
    assert _judged(provider, Resource(urn, token, "records", inputs, provider=f"{provider.urn}::id")).findings


# Size and depth


@pytest.mark.parametrize(
    "text",
    [
        "word " * 1_000_000,
        "key: value\n" * 450_000,
        json.dumps({"a": ["word"] * 600_000, "url": "https://evil.example"}).replace("/", "\\/"),
        base64.b64encode(b"https://evil.example/ " * 170_000).decode(),
    ],
    ids=["text", "yaml", "json", "base64"],
)
def test_five_megabytes_are_too_much_to_judge(text: str) -> None:
    findings = _judged(_config_map(text)).findings
    assert ("unknowns.value", "undecided") in {(one.rule, str(one.verdict)) for one in findings}
    spread = {f"key-{at}": text[at : at + 500_000] for at in range(0, len(text), 500_000)}
    assert _judged(_object("v1", "ConfigMap", data=spread)).findings, "and in parts"


@pytest.mark.parametrize(
    "unit",
    [
        *(
            "\n",
            " ",
            "x",
            ".",
            ":",
            "/",
            "-",
            "a.",
            "a@",
            "1.",
            "ff:",
            "[",
            "{",
            "(",
            "${",
            "{{",
            "$(",
            "<",
            "#",
        ),
        *(
            "'\"",
            "\\",
            "http://",
            "http://a.b ",
            "arn:aws:",
            "region=",
            "region: ",
            "<a xmlns='http://a.b/' ",
        ),
        *("a=b,", "key:\n", "- ", "\t\n", " \n", "a\n ", "export ", "--region ", "sha256:", "A" * 76 + "\n"),
        *("ssh-rsa A ", "server ", "<!DOCTYPE"),
    ],
    ids=_short,
)
def test_no_text_takes_a_rule_for_ever(unit: str) -> None:
    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"{unit!r}, many times over")

    text = unit * (150_000 // len(unit))
    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(PATIENCE)
    try:
        _judged(_config_map(text), _config_map(f"a: b\n{text}"), _config_map(f"#!/bin/sh\n{text}\n"))
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _nested(depth: int) -> dict[str, Any]:
    root: dict[str, Any] = {}
    inner = root
    for _ in range(depth):
        inner["a"] = {}
        inner = inner["a"]
    return root


def _laughs() -> str:
    """A few lines of YAML that stand for billions of words."""
    names = "abcdefghij"
    lines = [f"  {after}: &{after} [{', '.join([f'*{before}'] * 10)}]\n" for before, after in pairwise(names)]
    return "exporters:\n  a: &a [x, x, x, x, x]\n" + "".join(lines)


def _collector(config: object) -> Resource:
    return _object("opentelemetry.io/v1beta1", "OpenTelemetryCollector", spec={"config": config})


def _within_itself() -> dict[str, Any]:
    root: dict[str, Any] = {}
    root["a"] = root
    return root


@pytest.mark.parametrize(
    "resource",
    [
        _config_map(_nested(300)),
        _config_map(_nested(20_000)),
        _config_map(_within_itself()),
        _collector({"exporters": {"otlp": _nested(300)}}),
        _collector({"exporters": {"otlp": _within_itself()}}),
        _collector(_laughs()),
        _collector("exporters:\n  otlp: &x\n    endpoint: *x\n"),
        _collector("exporters: " + "[" * 5000),
        _object("v1", "Pod", spec=_nested(300)),
        _object("v1", "List", items=[{"apiVersion": "v1", "kind": "List", "items": [_nested(300)]}]),
        _object("v1", "ConfigMap", data={f"key-{at}": "x" for at in range(60_000)}),
    ],
    ids=lambda resource: resource.type,
)
def test_what_is_too_deep_or_too_much_does_not_pass(resource: Resource) -> None:
    assert judge(Plan.of([resource], whole=False), _zone(), _rules()).findings


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 40_000, "a: " * 50_000, "- " * 50_000, _laughs()], ids=_short
)
def test_a_text_that_is_too_deep_is_read_as_text(text: str) -> None:
    _judged(_config_map(text))
    assert _judged(_config_map(f"{text}\nhttps://evil.example/")).findings


# Secrets, and texts that are no text


@pytest.mark.parametrize(
    "value",
    [
        base64.b64encode(b"url: https://evil.example/").decode(),
        base64.b64encode("url: https://evil.example/é".encode("latin-1")).decode(),
        base64.b64encode("url: https://evil.example/".encode("utf-16")).decode(),
        base64.b64encode(b"\xef\xbb\xbfurl: https://evil.example/").decode(),
        base64.b64encode(b"url: https://evil.example/").decode().rstrip("="),
        "https://evil.example/ in clear",
        UNKNOWN,
    ],
    ids=_short,
)
def test_a_secret_hides_nothing_by_its_encoding(value: object) -> None:
    secret = _object("v1", "Secret", data={"a": value})
    judgement = _judged(secret)
    assert judgement.findings
    assert "evil" not in json.dumps(judgement.to_json())


@pytest.mark.parametrize(
    "data", [bytes(range(256)), b"\xff\xfe\x00", b"\x1f\x8b\x08\x00broken", b""], ids=_short
)
def test_bytes_that_are_no_text_lead_nowhere(data: bytes) -> None:
    assert not _judged(_object("v1", "Secret", data={"keystore": base64.b64encode(data).decode()})).findings


# Resources that refer to each other in a circle


def test_a_circle_of_resources_ends() -> None:
    token = "aws:s3/bucketReplicationConfig:BucketReplicationConfig"
    urns = [f"urn:pulumi:example::sovereign::{token}::{name}" for name in "ab"]

    def one(own: str, other: str) -> Resource:
        inputs: Mapping[str, Any] = {"bucket": UNKNOWN, "role": UNKNOWN, "rules": UNKNOWN}
        return Resource(
            own,
            token,
            own[-1],
            inputs,
            provider=f"{other}::id",
            parent=other,
            dependencies=dict.fromkeys(inputs, (other,)),
        )

    assert _judged(one(*urns), one(*reversed(urns)), whole=True).findings
    assert _judged(one(urns[0], urns[0]), whole=True).findings


def test_a_component_within_itself_is_not_one_with_objects() -> None:
    urn = "urn:pulumi:example::sovereign::kubernetes:helm.sh/v4:Chart::a"
    chart = Resource(urn, "kubernetes:helm.sh/v4:Chart", "a", {"chart": "./a"}, parent=urn, custom=False)
    assert _judged(chart, whole=True).findings
