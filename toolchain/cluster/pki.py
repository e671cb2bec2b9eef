"""Keys and certificates of the local cluster: three authorities of its own, and what they issue.

Everything is ECDSA P-256. What is missing, damaged, near its end, or not as described here is issued anew;
what is good is kept, so that a second run changes nothing. What a Kubernetes control plane needs:
https://kubernetes.io/docs/setup/best-practices/certificates/
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from toolchain.cluster.files import private_folder, write

AUTHORITY_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(days=365)
RENEW_BEFORE = timedelta(days=30)
#: certificates begin a little in the past, for clocks that are set back
BACKDATED = timedelta(hours=1)

Purpose = Literal["server", "client", "both"]
_USAGES = {
    "server": (ExtendedKeyUsageOID.SERVER_AUTH,),
    "client": (ExtendedKeyUsageOID.CLIENT_AUTH,),
    "both": (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH),
}


@dataclass(frozen=True)
class Leaf:
    """One certificate: its file's name, who issues it, its subject, its purpose, and a server's addresses."""

    name: str
    authority: str
    common_name: str
    purpose: Purpose
    organization: str | None = None
    hosts: tuple[str, ...] = ()


CLUSTER, ETCD, FRONT_PROXY = "ca", "etcd-ca", "front-proxy-ca"
AUTHORITIES = {
    CLUSTER: "sovereign-local",
    ETCD: "sovereign-local-etcd",
    FRONT_PROXY: "sovereign-local-front-proxy",
}
LOCAL = ("localhost", "127.0.0.1")


def leaves(service_address: str) -> tuple[Leaf, ...]:
    """All certificates of the cluster; `service_address` is the first address of the services' network."""
    names = (
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    )
    return (
        Leaf("etcd", ETCD, "etcd", "both", hosts=LOCAL),
        Leaf("apiserver-etcd-client", ETCD, "kube-apiserver", "client"),
        Leaf("apiserver", CLUSTER, "kube-apiserver", "server", hosts=(*names, *LOCAL, service_address)),
        Leaf("front-proxy-client", FRONT_PROXY, "front-proxy-client", "client"),
        Leaf("admin", CLUSTER, "sovereign-admin", "client", organization="system:masters"),
        Leaf("controller-manager", CLUSTER, "system:kube-controller-manager", "client"),
        Leaf("scheduler", CLUSTER, "system:kube-scheduler", "client"),
        Leaf("kwok", CLUSTER, "kwok-controller", "client"),
    )


def ensure(folder: Path, service_address: str, now: datetime | None = None) -> list[str]:
    """Makes every key and certificate that is missing or due; gives the names of those issued now."""
    now = now or datetime.now(UTC)
    private_folder(folder)
    issued = [name for name in AUTHORITIES if not _authority_is_good(folder, name, now)]
    for name in issued:
        _issue_authority(folder, name, now)
    for leaf in leaves(service_address):
        if not _leaf_is_good(folder, leaf, now):
            _issue_leaf(folder, leaf, now)
            issued.append(leaf.name)
    if not _signing_key_is_good(folder):
        key = ec.generate_private_key(ec.SECP256R1())
        write(folder / "sa.key", _private(key))
        write(folder / "sa.pub", _public(key))
        issued.append("sa")
    return issued


def _issue_authority(folder: Path, name: str, now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(AUTHORITIES[name])
    certificate = (
        _builder(subject, subject, key, now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    _save(folder, name, key, certificate)


def _issue_leaf(folder: Path, leaf: Leaf, now: datetime) -> None:
    authority = _certificate(folder, leaf.authority)
    authority_key = _key(folder, leaf.authority)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(_name(leaf.common_name, leaf.organization), authority.subject, key, now, LEAF_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_USAGES[leaf.purpose]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
        )
    )
    if leaf.hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(_hosts(leaf))), critical=False)
    _save(folder, leaf.name, key, builder.sign(authority_key, hashes.SHA256()))


def _authority_is_good(folder: Path, name: str, now: datetime) -> bool:
    # an authority has to outlive what it issues
    try:
        certificate = _certificate(folder, name)
        return _pair_is_good(folder, name, certificate, now, margin=LEAF_LIFE + RENEW_BEFORE)
    except (OSError, ValueError, TypeError):
        return False


def _leaf_is_good(folder: Path, leaf: Leaf, now: datetime) -> bool:
    try:
        certificate = _certificate(folder, leaf.name)
        certificate.verify_directly_issued_by(_certificate(folder, leaf.authority))
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        return (
            _pair_is_good(folder, leaf.name, certificate, now, margin=RENEW_BEFORE)
            and certificate.subject == _name(leaf.common_name, leaf.organization)
            and tuple(usages) == _USAGES[leaf.purpose]
            and _alternative_names(certificate) == list(_hosts(leaf))
        )
    except (OSError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False


def _pair_is_good(
    folder: Path, name: str, certificate: x509.Certificate, now: datetime, margin: timedelta
) -> bool:
    return (
        certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - margin
        and certificate.public_key() == _key(folder, name).public_key()
        and (folder / f"{name}.key").stat().st_mode & 0o077 == 0
    )


def _signing_key_is_good(folder: Path) -> bool:
    try:
        return (folder / "sa.pub").read_bytes() == _public(_key(folder, "sa"))
    except (OSError, ValueError, TypeError):
        return False


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
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


def _name(common_name: str, organization: str | None = None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


def _hosts(leaf: Leaf) -> Iterator[x509.GeneralName]:
    for host in leaf.hosts:
        try:
            yield x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            yield x509.DNSName(host)


def _alternative_names(certificate: x509.Certificate) -> list[x509.GeneralName]:
    try:
        return list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return []


def _certificate(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())


def _key(folder: Path, name: str) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key((folder / f"{name}.key").read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{name}.key is not an elliptic-curve key")
    return key


def _save(folder: Path, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    # key first: interrupted in between, the pair doesn't match and is issued anew
    write(folder / f"{name}.key", _private(key))
    write(folder / f"{name}.crt", certificate.public_bytes(Encoding.PEM))


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _public(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
