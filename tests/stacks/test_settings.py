"""Settings: what is accepted, and each mistake answered with file, key and advice, never with a value."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from facts.site import ROOT, Site
from stacks import settings
from stacks.settings import KEY, SettingsError

LOCAL = ROOT / "stacks" / "Pulumi.local.yaml"
PARIS = ROOT / "stacks" / "Pulumi.aws-paris-hds.yaml"
HOSPITAL = ROOT / "tests" / "sites" / "example-hospital" / "Pulumi.hospital.yaml"
FILE = Path("/site/Pulumi.x.yaml")
CANARY = "canary-7f3a"


def plain(file: Path) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(file.read_text())["config"][KEY]
    return copy.deepcopy(data)


def put(data: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """Sets `a.b.c`; a value of `...` removes it."""
    *way, last = key.split(".")
    place: Any = data
    for step in way:
        place = place[int(step)] if step.isdigit() else place.setdefault(step, {})
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return data


@pytest.mark.parametrize("file", [LOCAL, HOSPITAL])
def test_the_shipped_settings_are_good(file: Path) -> None:
    loaded = settings.load(file)
    assert loaded.cluster.embedded == (file == LOCAL)
    assert settings.parse(json.loads(json.dumps(plain(file))), file) == loaded


MISTAKES: list[tuple[str, Path, str, Any, list[str]]] = [
    ("misspelt", LOCAL, "zonne", CANARY, ["zonne", "did you mean zone?", "retentionDays"]),
    (
        "misspelt inside",
        LOCAL,
        "cluster.kubeconfg",
        CANARY,
        ["cluster.kubeconfg", "mean kubeconfig?", "context"],
    ),
    ("snake case", LOCAL, "retention_days", 5, ["retention_days", "mean retentionDays?"]),
    ("missing", LOCAL, "zone", ..., ["zone: is missing", "state, cluster"]),
    ("missing inside", LOCAL, "models.0.gpus", ..., ["models.0.gpus: is missing", "maxLength"]),
    ("no mapping", LOCAL, "state", CANARY, ["state: is no mapping", "backend, secretsProvider"]),
    ("a number that is text", LOCAL, "models.0.maxLength", "32768", ["models.0.maxLength", "integer"]),
    ("gpus that divide no heads", LOCAL, "models.0.gpus", 3, ["models.0.gpus", "1, 2, 4 or 8"]),
    ("provider", LOCAL, "cluster.provider", CANARY, ["cluster.provider", "'kit' or 'official'"]),
    ("a tag", LOCAL, "images.vllm", f"registry.x.example/{CANARY}:latest", ["images.vllm", "@sha256:"]),
    ("no registry", LOCAL, "images.vllm", f"vllm@sha256:{'1' * 64}", ["images.vllm", "registry.host/path"]),
    ("hub path", LOCAL, "models.0.path", f"meta-llama/{CANARY}", ["models.0.path", "/models"]),
    ("path that climbs", LOCAL, "models.0.path", f"/models/../{CANARY}", ["models.0.path", "/models"]),
    ("host bits", LOCAL, "clients.networks", ["10.0.0.1/8"], ["clients.networks.0", "CIDR"]),
    (
        "two ways in",
        HOSPITAL,
        "clients.loadBalancer",
        {"address": "10.20.0.9"},
        ["clients", "loadBalancer or gateway, not both"],
    ),
    ("a way in for nobody", HOSPITAL, "clients.networks", [], ["clients", "needs networks"]),
    ("a way in without a name", HOSPITAL, "clients.host", ..., ["clients", "the host that they call"]),
    (
        "an outside address",
        LOCAL,
        "clients.loadBalancer",
        {},
        ["clients.loadBalancer", "address of the zone"],
    ),
    ("no address", LOCAL, "clients.loadBalancer", {"address": CANARY}, ["clients.loadBalancer.address"]),
    ("backend", LOCAL, "state.backend", f"gs://{CANARY}", ["state.backend", "file://FOLDER"]),
    ("secrets provider", LOCAL, "state.secretsProvider", "default", ["state.secretsProvider", "passphrase"]),
    ("shared namespace", LOCAL, "namespaces.audit", "llm-gateway", ["namespaces", "of its own"]),
    ("kube-system", LOCAL, "namespaces.audit", "kube-system", ["namespaces", "of its own"]),
    ("upper case", LOCAL, "namespaces.audit", "Audit", ["namespaces.audit", "a-z"]),
    ("nothing simulated", LOCAL, "embedded", ..., ["embedded: is missing"]),
    ("more than a node has", LOCAL, "embedded.gpusPerNode", 2, ["models.gpus", "embedded.gpusPerNode"]),
    ("a context for embedded", LOCAL, "cluster.context", CANARY, ["cluster.context", "leave it out"]),
    (
        "placeholder",
        HOSPITAL,
        "images.audit",
        f"r.example/a@sha256:{'0' * 64}",
        ["images.audit", "placeholder"],
    ),
    ("no context", HOSPITAL, "cluster.context", ..., ["cluster.context: is missing"]),
    ("no storage class", HOSPITAL, "storageClass", ..., ["storageClass: is missing", "encrypted"]),
    ("no key", HOSPITAL, "storageKey", ..., ["storageKey: is missing"]),
    ("no model", LOCAL, "models", [], ["models", "at least 1 model"]),
    (
        "misspelt in a model",
        LOCAL,
        "models.0.quantisation",
        1,
        ["models.0.quantisation", "mean quantization?"],
    ),
    ("no volume", HOSPITAL, "models.0.weights.volume", ..., ["models.0.weights.volume: is missing"]),
    ("no gpu", HOSPITAL, "models.0.gpu", ..., ["models.0.gpu: is missing", "sovereign size"]),
    ("a gpu for embedded", LOCAL, "models.0.gpu", CANARY, ["models.0.gpu", "leave it out"]),
    ("no digest", HOSPITAL, "models.0.weights.digest", CANARY, ["models.0.weights.digest", "64 hex digits"]),
    (
        "placeholder digest",
        HOSPITAL,
        "models.0.weights.digest",
        f"sha256:{'0' * 64}",
        ["models.0.weights.digest", "placeholder"],
    ),
    (
        "a private key",
        LOCAL,
        "weightsKey",
        f"-----BEGIN PRIVATE KEY-----{CANARY}",
        ["weightsKey", "public key"],
    ),
    ("no argument", LOCAL, "models.0.arguments", [f"serve {CANARY}"], ["models.0.arguments.0", "--flag"]),
    ("simulated and real", HOSPITAL, "embedded", {"nodes": 1}, ["embedded", "leave it out"]),
    ("uid", HOSPITAL, "cluster.uid", CANARY, ["cluster.uid", "kube-system"]),
    ("everybody may call", LOCAL, "clients.networks", ["0.0.0.0/0"], ["clients: networks: is everybody"]),
    (
        "everybody in two halves",
        LOCAL,
        "clients.networks",
        ["0.0.0.0/1", "128.0.0.0/1"],
        ["clients: networks: is everybody"],
    ),
    ("Services in the network", PARIS, "aws.services", "10.40.8.0/21", ["aws.services", "of aws.network"]),
    (
        "clients among the Services",
        PARIS,
        "clients.networks",
        ["172.20.4.0/24"],
        ["aws.services", "of clients.networks"],
    ),
    (
        "a VPN among the Services",
        PARIS,
        "aws.ways.vpn",
        {"addresses": "172.20.0.0/20", "certificate": CANARY, "identities": CANARY, "groups": [CANARY]},
        ["aws.services", "of aws.ways.vpn.addresses"],
    ),
    ("Services of the internet", PARIS, "aws.services", "192.0.2.0/24", ["aws.services", "172.16.0.0/12"]),
    ("too wide for Services", PARIS, "aws.services", "10.0.0.0/8", ["aws.services", "/12 to /24"]),
    (
        "a reservation without subnets",
        PARIS,
        "aws.gpus",
        {"llama-3.3-70b": {"count": 2, "reservation": {"zone": CANARY, "id": "cr-1"}}},
        ["aws.gpus.llama-3.3-70b.reservation.zone", "eu-west-3a, eu-west-3b"],
    ),
    (
        "machines without subnets",
        PARIS,
        "aws.system",
        {"count": 2, "zones": ["eu-west-3a", CANARY]},
        ["aws.system.zones", "eu-west-3a, eu-west-3b"],
    ),
    (
        "a block that a plan would buy",
        PARIS,
        "aws.gpus",
        {"llama-3.3-70b": {"count": 2, "reservation": {"zone": "eu-west-3b", "block": True}}},
        ["aws.gpus.llama-3.3-70b.reservation: id: is missing", "bought beforehand"],
    ),
    (
        "somebody's word that ends before it begins",
        PARIS,
        "aws.singletons.trail.until",
        "2026-01-01",
        ["aws.singletons.trail: until: ends before it begins", "`since`"],
    ),
    ("nobody's word", PARIS, "aws.organisation.owner", " ", ["aws.organisation: owner: is empty"]),
    (
        "neither made nor used",
        PARIS,
        "aws.organisation",
        CANARY,
        ["aws.organisation: it should be 'create'; or give it the keys id, what, owner"],
    ),
]


@pytest.mark.parametrize(
    ("file", "key", "value", "said"), [pytest.param(*rest, id=name) for name, *rest in MISTAKES]
)
def test_a_mistake_is_answered_with_its_place(file: Path, key: str, value: Any, said: list[str]) -> None:
    data = put(plain(file), key, value)
    with pytest.raises(SettingsError) as caught:
        settings.parse(data, FILE)
    message = str(caught.value)
    assert message.startswith(f"{FILE}: ")
    assert message.endswith(".")
    assert CANARY not in message
    assert [part for part in said if part not in message] == []


def test_an_autoscaler_needs_room_to_grow() -> None:
    data = put(put(plain(LOCAL), "models.0.autoscale", {"maximum": 2}), "models.0.replicas", 2)
    with pytest.raises(SettingsError, match=r"autoscale\.maximum: is to be more than replicas"):
        settings.parse(data, FILE)


def test_two_models_that_would_share_a_name_are_refused() -> None:
    data = plain(LOCAL)
    data["models"].append({**data["models"][0], "name": "Llama-3.3_70B"})
    with pytest.raises(SettingsError, match="each name is its own, also in lower case"):
        settings.parse(data, FILE)


def test_all_mistakes_are_told_at_once() -> None:
    data = put(put(plain(LOCAL), "zonne", 1), "models.0.gpus", 3)
    with pytest.raises(SettingsError) as caught:
        settings.parse(data, FILE)
    assert [line.split(": ")[1] for line in str(caught.value).splitlines()] == ["models.0.gpus", "zonne"]


def write(text: str) -> Callable[[Path], None]:
    def into(file: Path) -> None:
        file.write_text(text)

    return into


@pytest.mark.parametrize(
    ("make", "said"),
    [
        pytest.param(lambda file: None, "There is no settings file", id="absent"),
        pytest.param(lambda file: file.mkdir(), "can't be read", id="folder"),
        pytest.param(lambda file: file.write_bytes(b"\xff\xfe\x00"), "can't be read", id="binary"),
        pytest.param(write(f"a: [{CANARY}\nb: }}"), "is not YAML at line", id="not yaml"),
        pytest.param(write("- 1\n"), "must hold a mapping", id="list"),
        pytest.param(write("config:\n"), "config: is missing", id="no config"),
        pytest.param(write("config: {}\n"), f"{KEY}: is missing", id="no settings"),
        pytest.param(write(f"config: {{'{KEY}': {CANARY}}}\n"), f"{KEY}: is no mapping", id="text"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, make: Callable[[Path], None], said: str) -> None:
    file = tmp_path / "Pulumi.x.yaml"
    make(file)
    with pytest.raises(SettingsError) as caught:
        settings.load(file)
    assert said in str(caught.value)
    assert str(file) in str(caught.value)
    assert CANARY not in str(caught.value)


def test_settings_name_a_zone_that_is_there() -> None:
    for file in (LOCAL, HOSPITAL):
        assert Site(file.parent).zone_file(settings.load(file).zone).is_file()
