"""The secrets that a stack's encrypted configuration holds, made once for a stack that has none.

They are configuration and not made in the program, so that every plan of the stack holds the same ones.
"""

import base64
import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from components.serving import names
from components.serving.keys import AUDIT_KEY_BYTES, CLIENTS, SERVERS
from stacks.settings import Settings

AUDIT_KEY = "sovereign:auditKey"
CERTIFICATES = "sovereign:tls"
AUTHORITY = "sovereign:authority"

_AUTHORITY_NAME = "sovereign service authority"
_LIFE = timedelta(days=365)
_AUTHORITY_LIFE = timedelta(days=3650)
#: how long before its end a certificate is replaced
_RENEW = timedelta(days=30)
#: an authority signs once all who check have heard of it, at the next run a day later
_HEARD = timedelta(days=1)
#: certificates begin a little in the past, for clocks that are set back
_BACKDATED = timedelta(hours=1)


def ensure(current: Mapping[str, str], settings: Settings, now: datetime) -> dict[str, str]:
    """The secret configuration to set: what is missing in `current`, and certificates that need renewing.

    Certificates are issued by the stack's own authority, whose key is itself secret configuration and never
    reaches the cluster, so that a new certificate is trusted by those who have the old ones: services reload
    theirs one after another. A site that sets sovereign:tls itself, and no sovereign:authority, renews it
    itself; so does cert-manager, where the settings name it.
    """
    found: dict[str, str] = {}
    if AUDIT_KEY not in current:
        found[AUDIT_KEY] = base64.b64encode(secrets.token_bytes(AUDIT_KEY_BYTES)).decode()
    present = json.loads(current.get(CERTIFICATES, "{}"))
    given = bool(present) and AUTHORITY not in current and not _is_ours(present)
    if given or settings.certificates == "cert-manager":
        return found
    authorities = _authorities(json.loads(current.get(AUTHORITY, "[]")), now)
    issued = certificates(settings, now, authorities, present)
    for key, value in ((AUTHORITY, authorities), (CERTIFICATES, issued)):
        text = json.dumps(value, sort_keys=True)
        if text != current.get(key):
            found[key] = text
    return found


def servers(settings: Settings) -> dict[str, list[str]]:
    """Who serves, and under which names: a certificate for each."""
    where = settings.namespaces
    found = {app: names.part(app) for app in SERVERS}
    places = {names.GATEWAY: where.gateway, names.AUDIT: where.audit}
    hosts = {who.name: [who.host(places[app])] for app, who in found.items()}
    if settings.clients.host is not None and settings.clients.issuer == "kit":
        hosts[names.GATEWAY].append(settings.clients.host)
    for model in settings.models:
        who = names.engine(model.name)
        hosts[who.name] = [who.host(where.serving)]
    return hosts


def certificates(
    settings: Settings,
    now: datetime,
    authorities: Sequence[Mapping[str, str]],
    present: Mapping[str, Any],
) -> dict[str, Any]:
    """A certificate for each server and client of the service, as PEM; those `present` are kept while they
    are good for the same names and not near their end."""
    signer = next(one for one in authorities if _is_heard(one, now) or one is authorities[-1])
    certificate = _read(signer)
    key = load_pem_private_key(signer["key"].encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    wanted = {**servers(settings), **{holder: [] for holder in CLIENTS}}
    issued: dict[str, Any] = {"ca": "".join(one["certificate"] for one in authorities)}
    for holder, hosts in wanted.items():
        kept = present.get(holder)
        good = isinstance(kept, Mapping) and _is_good(kept, hosts, certificate, now)
        issued[holder] = kept if good else _issue(holder, hosts, certificate, key, now)
    return issued


def _authorities(present: Sequence[Mapping[str, str]], now: datetime) -> list[Mapping[str, str]]:
    """Authorities to trust, newest first: those not over, and a new one where the newest nears its end."""
    alive = [one for one in present if _read(one).not_valid_after_utc > now]
    if alive and _read(alive[0]).not_valid_after_utc > now + _LIFE + _RENEW:
        return alive
    return [_new_authority(now), *alive]


def _new_authority(now: datetime) -> dict[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(_AUTHORITY_NAME)
    certificate = (
        _builder(subject, subject, key.public_key(), now, _AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return {"certificate": _pem(certificate), "key": _private(key)}


def _is_ours(present: Mapping[str, Any]) -> bool:
    """Whether the kit issued these, at a time when it didn't keep its authority."""
    try:
        authority = x509.load_pem_x509_certificate(str(present["ca"]).encode())
    except (KeyError, ValueError):
        return False
    return authority.subject == _name(_AUTHORITY_NAME)


def _is_heard(authority: Mapping[str, str], now: datetime) -> bool:
    return _read(authority).not_valid_before_utc + _BACKDATED + _HEARD <= now


def _is_good(kept: Mapping[str, str], hosts: list[str], authority: x509.Certificate, now: datetime) -> bool:
    certificate = _read(kept)
    try:
        certificate.verify_directly_issued_by(authority)
        named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names_ = named.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        names_ = []
    except (ValueError, TypeError, InvalidSignature):
        return False
    return names_ == hosts and certificate.not_valid_after_utc > now + _RENEW


def _read(pair: Mapping[str, str]) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair["certificate"].encode())


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
        _builder(_name(holder), authority.subject, key.public_key(), now, _LIFE)
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
    return {"certificate": _pem(builder.sign(authority_key, hashes.SHA256())), "key": _private(key)}


def _private(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + life)
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
