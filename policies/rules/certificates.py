"""Certificates: whoever checks one may call the hosts that it names, and tells them what is being checked."""

import re
from collections.abc import Iterator

from facts.zones import Zone
from policies import pem, targets
from policies.entries import ENTRIES
from policies.model import Node
from policies.rule import Hit, Subject, rule
from policies.walkers import context

_CONTROLS = ("HDS EXI 05", "HIPAA 164.312(e)(1)", "GDPR 32", "SNC 12.14")

_URL = re.compile(r"\w+://[^\s\"',;]+")
#: Lines of OpenSSL's configuration (x509v3_config) that name such hosts.
_LINE = re.compile(r"crlDistributionPoints|authorityInfoAccess|OCSP;|caIssuers;|freshestCRL", re.IGNORECASE)
#: Words of keys that do so in the settings of other authorities: cert-manager, cfssl, step-ca, Vault.
_WORDS = frozenset(("aia", "crl", "issuing", "ocsp"))


@rule(
    "certificates.hosts",
    title="Certificates may name hosts of the zone only",
    routes=["K52"],
    controls=_CONTROLS,
    fix="Have the certificate made by an authority whose OCSP, CRL and issuer addresses are in the zone; or "
    "declare K52, if no client of the zone checks revocation.",
    pack="egress",
    severity="medium",
    kinds=["*/*"],
)
def names(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A certificate says where to ask whether it is revoked (OCSP, CRL) and where its issuer's is kept (AIA).
    Clients that check it call there, each time, from wherever they run: an observer outside learns who talks
    to what. The hosts are inside the certificate, where no reader of the settings sees them. The roots of
    public authorities name some too."""
    if zone.declares("K52", subject.plan.at):
        return
    for where, certificate in pem.certificates(subject):
        if certificate is None:
            yield subject.undecided(
                where, seen="a certificate that can't be read", why="whom it names is not told"
            )
            continue
        for url in pem.addresses(certificate):
            yield from targets.judge_text(subject, where, url, zone, what="checks of the certificate")


@rule(
    "certificates.authorities",
    title="Authorities may write hosts of the zone into certificates only",
    routes=["K52"],
    controls=_CONTROLS,
    fix="Name hosts of the zone for OCSP, CRLs and the issuer's certificate, or leave them out.",
    pack="egress",
    severity="medium",
    kinds=[*ENTRIES, "cert-manager.io/ClusterIssuer", "cert-manager.io/Issuer"],
)
def authorities(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """What an authority's settings name for OCSP, CRLs and issuers goes into every certificate that it makes,
    and sends everybody who checks one there."""
    assert subject.resource is not None
    for leaf in subject.resource.leaves or ():
        whole = not _WORDS.isdisjoint(context.words(leaf.key))
        for line in str(leaf.value).splitlines():
            for url in _URL.findall(line) if whole or _LINE.search(line) else ():
                where = Node(leaf.value, leaf.path, subject.touched)
                yield from targets.judge_text(subject, where, url, zone, what="checks of certificates")
