"""Who may act at AWS: whom roles and resources trust, with whom they are shared, and who vouches for
people."""

import re
from collections.abc import Iterator, Mapping

from facts import regions
from facts.zones import Zone
from policies import aws, grants, iam, references
from policies.aws import Way
from policies.iam import Statement
from policies.model import UNKNOWN, Node
from policies.rule import Hit, Subject, rule
from policies.walkers import hosts, places

_CONTROLS = ("HDS EXI 29", "HDS EXI 30", "HIPAA 164.308(a)(4)", "HIPAA 164.312(a)(1)", "GDPR 32")

_OIDC = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
_SAML = "aws:iam/samlProvider:SamlProvider"
_CLUSTER = "aws:eks/cluster:Cluster"
#: Where a browser is sent to sign on: SAML 2.0 Metadata, 2.2.2
_LOCATION = re.compile(r"\b(?:Response)?Location\s*=\s*[\"']([^\"']*)")
#: The issuer of an EKS cluster: docs.aws.amazon.com/eks/latest/userguide/associate-service-account-role.html
_CLUSTER_ISSUER = re.compile(r"oidc\.eks\.[a-z0-9-]+\.amazonaws\.(?:com|eu)")


@rule(
    "aws-identity.trust",
    title="A role trusts the zone's accounts, AWS's services and the clusters of the plan",
    routes=["A49"],
    controls=_CONTROLS,
    fix="Name accounts of the zone, a service, or the OIDC provider of a cluster with one subject.",
    pack="egress",
    severity="critical",
    types=["aws:iam/role:Role"],
)
def trust(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Whoever a role trusts has all its rights, from wherever they are. A provider of identities vouches for
    everybody it knows unless a condition names one subject: a service account, not a pattern of them."""
    for statement in iam.statements(subject["assumeRolePolicy"]):
        if not statement.allows:
            continue
        where = statement.node["Principal"]
        if "Principal" in statement.inverted or not statement.principals:
            yield subject.refuse(
                statement.node["NotPrincipal"] if "Principal" in statement.inverted else where,
                seen="everybody but some",
                why="the role trusts whoever is not listed",
            )
            continue
        for kind, value in statement.principals:
            if kind == "Service":
                outside = _service(value, zone)
                if outside:
                    yield subject.refuse(where, seen="a service", why=outside)
            elif kind == "Federated":
                yield from _federated(subject, statement, value, zone)
            else:
                yield from grants.principal(subject, Node(value, where.path, where.touched), zone)


def _service(name: str, zone: Zone) -> str | None:
    """Why a service may not be trusted; None where it may."""
    service = re.sub(r"\.amazonaws\.(com|eu)$", "", name)
    if service == name:
        return "it is no service of AWS"
    for code in service.split("."):
        outside = places.judge_region(code, places.providers_of("aws"), zone) if regions.named(code) else None
        if outside:
            return f"it is a service of a region that {outside}"
    return None


def _federated(subject: Subject, statement: Statement, value: str, zone: Zone) -> Iterator[Hit]:
    where = statement.node["Principal"]
    parts = references.arn(value)
    if parts is None:
        yield subject.refuse(
            where, seen="a public provider", why="whoever is registered there may be let in by a condition"
        )
        return
    node = Node(value, where.path, where.touched)
    yield from grants.principal(subject, node, zone)
    if not _vouches(subject, node, parts.resource, zone):
        yield subject.undecided(
            where, seen="a provider that is not in the plan", why="for whom it vouches can't be told"
        )
    if parts.resource.startswith("oidc-provider/") and not any(
        key.endswith(":sub") and statement.held(key, _one) for _, key in statement.conditions
    ):
        yield subject.refuse(
            where,
            seen="no condition on the subject",
            why="everybody for whom the provider vouches is trusted",
        )


def _vouches(subject: Subject, node: Node, resource: str, zone: Zone) -> bool:
    """Whether a provider of identities is in the plan, where it is judged, or is a host of the zone's own."""
    kind, _, name = resource.partition("/")
    found = references.resolve(subject, node)
    if kind == "saml-provider":
        return found is not None and found.type == _SAML
    host = hosts.host_of(name) or ""
    made = (Node(one.inputs.get("url"), "url", {}).text() for one in subject.plan.by_type.get(_OIDC, ()))
    return (
        (found is not None and found.type == _OIDC)
        or name in {(url or "").removeprefix("https://").rstrip("/") for url in made}
        or (not _CLUSTER_ISSUER.fullmatch(host) and hosts.declared(host, zone))
    )


def _one(value: str) -> bool:
    return not re.search(r"[*?]", value)


@rule(
    "aws-identity.shared-document",
    title="A document is shared with the zone's accounts only",
    routes=["A49"],
    controls=_CONTROLS,
    fix="Name accounts of the zone in permissions.accountIds, or remove the permissions.",
    pack="egress",
    types=["aws:ssm/document:Document"],
)
def shared_document(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A document of Systems Manager may be shared with other accounts, or with `All`; it tells how machines
    are set up."""
    named = subject["permissions"]["accountIds"]
    for account in (named.text() or "").split(","):
        yield from references.judge_account(
            subject,
            Node(account.strip() or None, named.path, named.touched),
            zone,
            what="whoever it is reads it",
        )


@rule(
    "aws-identity.oidc-provider",
    title="Tokens are those of the plan's clusters, or of an issuer of the zone",
    routes=["A56"],
    controls=_CONTROLS,
    fix="Take the URL from the cluster of the plan, or name an issuer of the zone.",
    pack="egress",
    severity="critical",
    types=[_OIDC],
)
def oidc_provider(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Whoever runs an issuer decides who enters the account. All clusters of a region share the host of their
    issuers, so the cluster itself must be in the plan."""
    resource, plan = subject.resource, subject.plan
    assert resource is not None
    where = subject["url"]
    sources = [plan.by_urn.get(urn) for urn in resource.dependencies.get("url", ())]
    of_cluster = any(
        one is not None and one.type == _CLUSTER for one in (references.resolve(subject, where), *sources)
    )
    if of_cluster and where.value is UNKNOWN:
        return
    url = where.text()
    host = hosts.host_of(url) or "" if url is not None else None
    if of_cluster and host is not None and _CLUSTER_ISSUER.fullmatch(host):
        return
    if host is not None and _CLUSTER_ISSUER.fullmatch(host):
        yield subject.undecided(
            where,
            seen="the issuer of a cluster that is not in the plan",
            why="whose cluster it is can't be told",
        )
    elif host is not None and not hosts.declared(host, zone):
        yield subject.refuse(where, seen=host, why=f"it decides who enters, and is outside zone {zone.name}")


@rule(
    "aws-identity.saml-provider",
    title="Sign-on is at a host of the zone",
    routes=["A56"],
    controls=_CONTROLS,
    fix="Use the metadata of an identity provider of the zone.",
    pack="egress",
    severity="critical",
    types=[_SAML],
)
def saml_provider(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """The metadata of a SAML provider says where people sign on; whoever runs that decides who enters."""
    where = subject["samlMetadataDocument"]
    text = where.text()
    if text is None:
        return
    found = [hosts.host_of(url) for url in _LOCATION.findall(text)]
    if not found:
        yield subject.undecided(where, seen="no location", why="where people sign on can't be told")
    for host in sorted({host or "no readable host" for host in found}):
        if not hosts.declared(host, zone):
            yield subject.refuse(where, seen=host, why=f"people sign on there, outside zone {zone.name}")


def _signing_on(at: str) -> tuple[Way, ...]:
    oidc = (
        Way(f"{at}.authenticateOidc.{key}", "host", "people who sign on")
        for key in ("authorizationEndpoint", "tokenEndpoint", "userInfoEndpoint")
    )
    return (*oidc, Way(f"{at}.jwtValidation.jwksEndpoint", "host", "requests for keys of tokens"))


_ISSUERS: Mapping[str, tuple[Way, ...]] = {
    "aws:eks/identityProviderConfig:IdentityProviderConfig": (
        Way("oidc.issuerUrl", "host", "requests for keys of tokens"),
    ),
    "aws:lb/listener:Listener": _signing_on("defaultActions[]"),
    "aws:lb/listenerRule:ListenerRule": _signing_on("actions[]"),
    "aws:ssoadmin/trustedTokenIssuer:TrustedTokenIssuer": (
        Way(
            "trustedTokenIssuerConfiguration.oidcJwtConfiguration.issuerUrl",
            "host",
            "requests for keys of tokens",
        ),
    ),
}


@rule(
    "aws-identity.issuer",
    title="Whoever vouches for people is in the zone",
    routes=["A56"],
    controls=_CONTROLS,
    fix="Name an issuer that is a host of the zone.",
    pack="egress",
    severity="critical",
    types=tuple(_ISSUERS),
)
def issuer(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A cluster, a load balancer or the sign-on of an organization believes whatever token its issuer
    signs."""
    assert subject.resource is not None
    yield from aws.sent(subject, zone, _ISSUERS[subject.resource.type])
