"""The secrets that a stack's encrypted configuration holds, made once for a stack that has none.

They are configuration and not made in the program, so that every plan of the stack holds the same ones.
"""

import base64
import json
import secrets
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from components.serving import names
from components.serving.keys import AUDIT_KEY_BYTES, CLIENTS, SERVERS
from stacks.settings import Settings

AUDIT_KEY = "sovereign:auditKey"
CERTIFICATES = "sovereign:tls"

_LIFE = timedelta(days=365)
#: certificates begin a little in the past, for clocks that are set back
_BACKDATED = timedelta(hours=1)


def ensure(present: Collection[str], settings: Settings) -> dict[str, str]:
    """The secret configuration values that are missing among the keys `present`, to be set as secrets.

    The authority's private key is not kept: new certificates come from a new authority, all at once, by
    removing sovereign:tls. A site with an authority of its own sets that key itself (see
    components/serving/keys.py).
    """
    missing: dict[str, str] = {}
    if AUDIT_KEY not in present:
        missing[AUDIT_KEY] = base64.b64encode(secrets.token_bytes(AUDIT_KEY_BYTES)).decode()
    if CERTIFICATES not in present:
        missing[CERTIFICATES] = json.dumps(certificates(settings, datetime.now(UTC)), sort_keys=True)
    return missing


def servers(settings: Settings) -> dict[str, list[str]]:
    """Who serves, and under which names: a certificate for each."""
    where = settings.namespaces
    found = {app: names.part(app) for app in SERVERS}
    places = {names.GATEWAY: where.gateway, names.AUDIT: where.audit}
    hosts = {who.name: [who.host(places[app])] for app, who in found.items()}
    for model in settings.models:
        who = names.engine(model.name)
        hosts[who.name] = [who.host(where.serving)]
    return hosts


def certificates(settings: Settings, now: datetime) -> dict[str, object]:
    """An authority and a certificate for each server and client of the service, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name("sovereign service authority")
    authority = (
        _builder(subject, subject, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    issued: dict[str, object] = {"ca": _pem(authority)}
    for holder, hosts in servers(settings).items():
        issued[holder] = _issue(holder, hosts, authority, key, now)
    for holder in CLIENTS:
        issued[holder] = _issue(holder, [], authority, key, now)
    return issued


def _issue(
    holder: str,
    hosts: list[str],
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> dict[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    # one purpose a certificate: a server's can't be used to call another server
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (
        _builder(_name(holder), authority.subject, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
        )
    )
    if hosts:
        names_ = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        builder = builder.add_extension(names_, critical=False)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return {"certificate": _pem(builder.sign(authority_key, hashes.SHA256())), "key": private}


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
