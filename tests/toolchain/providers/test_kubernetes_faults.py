"""The Kubernetes provider when the API server is away, dies, or isn't the one that it should be."""

import base64
import datetime
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.cluster import LiveCluster
from tests.toolchain.providers.cutting import Relay
from tests.toolchain.providers.driving import Driver, Failed, driven
from toolchain.providers.kubernetes import client

CONFIG_MAP = "core/v1:ConfigMap"


@pytest.fixture
def relay(cluster: LiveCluster) -> Iterator[Relay]:
    made = Relay(cluster.server)
    made.open()
    yield made
    made.cut()


@pytest.fixture
def provider(relay: Relay, cluster: LiveCluster, tmp_path: Path) -> Iterator[Driver]:
    with driven(relay.kubeconfig(cluster.kubeconfig, tmp_path)) as driver:
        yield driver


@pytest.fixture
def settings(cluster: LiveCluster) -> Iterator[dict[str, Any]]:
    name = f"fault-{uuid.uuid4().hex[:8]}"
    yield {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        "data": {"a": "1"},
    }
    cluster.kubectl("delete", "configmap", name, "-n", "default", "--ignore-not-found")


@pytest.mark.cluster
def test_a_server_that_comes_back_in_time_is_waited_for(
    relay: Relay, provider: Driver, settings: dict[str, Any]
) -> None:
    relay.cut()
    timer = threading.Timer(2.0, relay.open)
    timer.start()
    assert provider.create(CONFIG_MAP, "settings", settings).id
    timer.join()


@pytest.mark.cluster
def test_a_server_that_stays_away_is_named_and_nothing_is_lost(
    relay: Relay, provider: Driver, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PATIENCE", 2.0)
    made = provider.create(CONFIG_MAP, "settings", settings)
    relay.cut()
    begun = time.monotonic()
    sentence = rf"The API server https://127\.0\.0\.1:{relay.port} can't be reached: connection refused"
    with pytest.raises(Failed, match=sentence):
        provider.read(made)
    assert time.monotonic() - begun < 10
    # those that come after don't wait once more
    begun = time.monotonic()
    with pytest.raises(Failed, match=sentence):
        provider.update(made, settings | {"data": {"a": "2"}})
    with pytest.raises(Failed, match=sentence):
        provider.delete(made)
    assert time.monotonic() - begun < 2
    relay.open()
    assert provider.update(made, settings | {"data": {"a": "3"}}).state["data"] == {"a": "3"}


def _cut_once_made(relay: Relay, cluster: LiveCluster, name: str) -> None:
    """Cuts as soon as the server has the object, however slow it is."""
    for _ in range(200):
        if cluster.kubectl("get", "configmap", name, "-n", "default", "--ignore-not-found"):
            break
        time.sleep(0.05)
    relay.cut()


@pytest.mark.cluster
def test_what_was_made_while_the_answer_was_lost_is_kept(
    relay: Relay,
    cluster: LiveCluster,
    provider: Driver,
    settings: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "PATIENCE", 2.0)
    inputs = provider.checked(CONFIG_MAP, "settings", settings)
    name = settings["metadata"]["name"]
    # a TLS session is there already, so that the next request passes and only its answer is lost
    assert provider.import_(CONFIG_MAP, "absent", "default/absent") is None
    relay.swallow = True
    threading.Thread(target=_cut_once_made, args=(relay, cluster, name), daemon=True).start()
    with pytest.raises(Failed, match="can't be reached") as failure:
        provider._create(CONFIG_MAP, "settings", inputs)
    assert failure.value.id == f"default/{name}"
    assert failure.value.state["__inputs"] == inputs
    relay.swallow = False
    relay.open()
    kept = provider.import_(CONFIG_MAP, "settings", failure.value.id)
    assert kept is not None
    kept.inputs, kept.state = inputs, failure.value.state
    repaired = provider.update(kept, settings | {"data": {"a": "2"}})
    assert repaired.state["data"] == {"a": "2"}


@pytest.mark.cluster
def test_a_create_whose_answer_was_lost_succeeds_when_sent_again(
    relay: Relay, provider: Driver, settings: dict[str, Any]
) -> None:
    assert provider.import_(CONFIG_MAP, "absent", "default/absent") is None
    relay.swallow = True

    def recover() -> None:
        relay.swallow = False

    timer = threading.Timer(0.3, recover)
    timer.start()
    assert provider.create(CONFIG_MAP, "settings", settings).state["data"] == {"a": "1"}
    timer.join()


@pytest.mark.cluster
def test_a_cluster_of_another_authority_is_refused(cluster: LiveCluster, tmp_path: Path) -> None:

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "another")])
    now = datetime.datetime.now(datetime.UTC)
    authority = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    pem = authority.public_bytes(serialization.Encoding.PEM)
    config["clusters"][0]["cluster"]["certificate-authority-data"] = base64.b64encode(pem).decode()
    with (
        driven() as provider,
        pytest.raises(Failed, match="isn't the one that the kubeconfig's CA vouches for"),
    ):
        provider.configure(kubeconfig=yaml.safe_dump(config))


@pytest.mark.cluster
def test_credentials_that_the_server_does_not_know_are_refused(cluster: LiveCluster) -> None:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": "not-a-token"}
    with driven() as provider, pytest.raises(Failed) as failure:
        provider.configure(kubeconfig=yaml.safe_dump(config))
    assert "doesn't accept the credentials" in str(failure.value)
    assert "not-a-token" not in str(failure.value)


@pytest.mark.cluster
def test_rights_that_are_missing_are_told(cluster: LiveCluster, settings: dict[str, Any]) -> None:
    name = f"reader-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "serviceaccount", name, "-n", "default")
    token = cluster.kubectl("create", "token", name, "-n", "default").strip()
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    forbidden = r"^ConfigMap default/.*: the API server forbids it: .*cannot patch"
    with driven(yaml.safe_dump(config)) as provider, pytest.raises(Failed, match=forbidden):
        provider.preview(CONFIG_MAP, "settings", settings)
    cluster.kubectl("delete", "serviceaccount", name, "-n", "default")


def test_a_server_that_nobody_runs_is_named_soon() -> None:
    relay = Relay("https://127.0.0.1:1")
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"https://127.0.0.1:{relay.port}"}}],
    }
    begun = time.monotonic()
    with (
        driven() as provider,
        pytest.raises(Failed, match=rf"https://127\.0\.0\.1:{relay.port} can't be reached"),
    ):
        provider.configure(kubeconfig=yaml.safe_dump(config))
    assert time.monotonic() - begun < 10


def test_nothing_works_before_there_are_settings() -> None:
    with driven() as provider, pytest.raises(Failed, match="give the provider its kubeconfig"):
        provider.configure(namespace="x")
    with driven() as provider, pytest.raises(Failed, match="no settings yet"):
        provider.check(CONFIG_MAP, "a", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}})
