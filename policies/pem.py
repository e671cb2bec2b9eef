"""Certificates in the strings of an object, and the addresses that they name."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from policies.model import Node
from policies.rule import Subject

# else where it is used: every pack waits for its imports, and takes this one aside (policies/pack.py)
if TYPE_CHECKING:
    from cryptography import x509

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_CERTIFICATE_KEY = re.compile(r"\.(?:crt|cert|pem|cer)$|^ca-?bundle$", re.IGNORECASE)


def certificates(subject: Subject) -> Iterator[tuple[Node, "x509.Certificate | None"]]:
    """The certificates of an object, wherever they stand; None: one that can't be read. A string that isn't
    known is remembered where its key says that it is a certificate."""
    assert subject.resource is not None
    for leaf in subject.resource.leaves or ():
        if isinstance(leaf.value, str):
            if "BEGIN CERTIFICATE-" in leaf.value:
                where = Node(leaf.value, leaf.path, subject.touched)
                for pem in _PEM.findall(leaf.value):
                    yield where, _read(pem)
        elif _CERTIFICATE_KEY.search(leaf.key):
            Node(leaf.value, leaf.path, subject.touched).text()


def addresses(certificate: "x509.Certificate") -> list[str]:
    """The addresses that a certificate names: RFC 5280, 4.2.1.13 (CRL), 4.2.1.15 (deltas), 4.2.2.1 (AIA)."""
    from cryptography import x509

    found: list[x509.GeneralName] = []
    for extension in certificate.extensions:
        value = extension.value
        if isinstance(value, x509.AuthorityInformationAccess):
            found += [access.access_location for access in value]
        elif isinstance(value, x509.CRLDistributionPoints | x509.FreshestCRL):
            found += [name for point in value for name in point.full_name or ()]
    return [name.value for name in found if isinstance(name, x509.UniformResourceIdentifier)]


def _read(pem: str) -> "x509.Certificate | None":
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        certificate.extensions  # noqa: B018 - read only when asked for
    except (ValueError, x509.DuplicateExtension):
        return None
    return certificate
