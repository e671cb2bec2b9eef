"""Certificates between the services: made, renewed without an outage, or left to cert-manager."""

import json
import socket
import ssl
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from facts.site import ROOT, Site
from stacks import ground, secret_config, settings
from stacks.secret_config import AUDIT_KEY, AUTHORITY, CERTIFICATES
from stacks.settings import Settings
from tests.stacks.support import NOW, AnsweredKubeconfig, objects
from tests.support.render import of_type

ENGINE = "vllm-llama-3-3-70b"
NAME = f"{ENGINE}.llm-serving.svc.cluster.local"
LOCAL: Settings = settings.load(ROOT / "stacks" / "Pulumi.local.yaml")


def made(current: dict[str, str] | None = None, days: float = 0, chosen: Settings = LOCAL) -> dict[str, str]:
    """The secret configuration some days on: what there was, with what is set anew."""
    current = current or {}
    return {**current, **secret_config.ensure(current, chosen, NOW + timedelta(days=days))}


def authorities(config: dict[str, str]) -> str:
    return str(json.loads(config[CERTIFICATES])["ca"])


def holders(config: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(config[CERTIFICATES])
    return {holder: pair for holder, pair in found.items() if holder != "ca"}


def test_a_second_run_changes_nothing() -> None:
    first = made()
    assert set(first) == {AUDIT_KEY, AUTHORITY, CERTIFICATES}
    assert secret_config.ensure(first, LOCAL, NOW + timedelta(days=300)) == {}


def test_certificates_are_renewed_a_month_before_their_end_by_the_same_authority() -> None:
    first = made()
    later = made(first, days=340)
    assert later[AUTHORITY] == first[AUTHORITY]
    assert authorities(later) == authorities(first)
    assert all(pair != holders(later)[holder] for holder, pair in holders(first).items())


def test_another_name_renews_only_its_certificate() -> None:
    first = made()
    moved = LOCAL.namespaces.model_copy(update={"audit": "llm-records"})
    later = holders(made(first, chosen=LOCAL.model_copy(update={"namespaces": moved})))
    assert {holder for holder, pair in holders(first).items() if later[holder] != pair} == {"llm-audit"}


def test_a_new_authority_is_trusted_before_it_signs() -> None:
    first, years = made(), 3650 - 365 - 20
    heard = made(first, days=years)
    assert len(json.loads(heard[AUTHORITY])) == 2
    assert authorities(heard).count("BEGIN CERTIFICATE") == 2
    # the first run only makes it known; what it renews is still issued by the old one
    assert is_issued(heard, authorities(first))
    signs = made(heard, days=years + 340)
    assert not is_issued(signs, authorities(first))
    assert is_issued(signs, authorities(heard))


def is_issued(config: dict[str, str], by: str) -> bool:
    certificate = x509.load_pem_x509_certificate(holders(config)[ENGINE]["certificate"].encode())
    for authority in x509.load_pem_x509_certificates(by.encode()):
        try:
            certificate.verify_directly_issued_by(authority)
        except (ValueError, InvalidSignature):
            continue
        return True
    return False


def test_a_sites_own_certificates_are_left_alone() -> None:
    own = {AUDIT_KEY: "set", CERTIFICATES: '{"ca": "x"}'}
    assert secret_config.ensure(own, LOCAL, NOW + timedelta(days=9999)) == {}


def test_certificates_of_an_authority_that_was_not_kept_are_replaced() -> None:
    first = made()
    later = made({key: value for key, value in first.items() if key != AUTHORITY})
    assert authorities(later) != authorities(first)
    assert all(pair != holders(later)[holder] for holder, pair in holders(first).items())


def context(folder: Path, config: dict[str, str], holder: str, server: bool) -> ssl.SSLContext:
    """What a service does with what is mounted at /tls."""
    pair = holders(config)[holder]
    place = folder / f"{holder}-{len(list(folder.iterdir()))}"
    place.mkdir()
    for name, text in (
        ("ca.crt", authorities(config)),
        ("tls.crt", pair["certificate"]),
        ("tls.key", pair["key"]),
    ):
        (place / name).write_text(text)
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    found.load_cert_chain(place / "tls.crt", place / "tls.key")
    found.load_verify_locations(place / "ca.crt")
    found.verify_mode = ssl.CERT_REQUIRED
    return found


def call(server: ssl.SSLContext, client: ssl.SSLContext, name: str = NAME) -> str:
    """One handshake over a real socket, both ways; the answer, or why there was none."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        try:
            connection, _ = listener.accept()
            with server.wrap_socket(connection, server_side=True) as secured:
                secured.sendall(b"hello")
        except OSError:
            pass

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with (
            socket.create_connection(listener.getsockname(), timeout=5) as plain,
            client.wrap_socket(plain, server_hostname=name) as secured,
        ):
            return secured.recv(5).decode() or "closed"
    except OSError as error:
        return type(error).__name__
    finally:
        thread.join()
        listener.close()


def test_old_and_new_certificates_trust_each_other(tmp_path: Path) -> None:
    """While services reload one after another, each pair of old and new has to speak."""
    old = made()
    new = made({key: value for key, value in old.items() if key != CERTIFICATES} | {CERTIFICATES: "{}"})
    assert holders(old)[ENGINE] != holders(new)[ENGINE]
    for one, other in ((old, new), (new, old), (new, new)):
        server = context(tmp_path, one, ENGINE, server=True)
        client = context(tmp_path, other, "llm-gateway-client", server=False)
        assert call(server, client) == "hello"


def test_nobody_else_is_let_in(tmp_path: Path) -> None:
    config, stranger = made(), made()
    server = context(tmp_path, config, ENGINE, server=True)
    gateway = context(tmp_path, config, "llm-gateway-client", server=False)
    assert call(server, gateway) == "hello"
    assert call(server, context(tmp_path, stranger, "llm-gateway-client", server=False)) != "hello"
    other = "llm-gateway.llm-gateway.svc.cluster.local"
    assert call(server, gateway, other) == "SSLCertVerificationError"
    # a server's certificate is for serving: as a client's it is refused
    assert call(server, context(tmp_path, config, "llm-audit", server=False)) != "hello"


def test_cert_manager_issues_where_the_settings_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ground, "Kubeconfig", AnsweredKubeconfig)
    chosen = LOCAL.model_copy(update={"certificates": "cert-manager"})
    assert set(secret_config.ensure({}, chosen, NOW)) == {AUDIT_KEY}
    asked = objects(Site(ROOT / "stacks"), "local", chosen)
    certificates = of_type(asked, "Certificate")
    assert set(certificates) == {
        "cert-manager/llm-serving-authority",
        f"llm-serving/{ENGINE}-tls",
        "llm-gateway/llm-gateway-tls",
        "llm-gateway/llm-gateway-client-tls",
        "llm-serving/prometheus-client-tls",
        "llm-audit/llm-audit-tls",
    }
    spec = certificates[f"llm-serving/{ENGINE}-tls"]["spec"]
    assert spec["dnsNames"] == [NAME]
    assert spec["usages"] == ["digital signature", "server auth"]
    client = certificates["llm-gateway/llm-gateway-client-tls"]["spec"]
    assert "dnsNames" not in client
    assert client["usages"] == ["digital signature", "client auth"]
    assert not [name for name in of_type(asked, "Secret") if name.endswith("-tls")]
