"""Who may act at AWS: whom roles and resources trust, with whom they are shared, and who vouches for
people."""

import re
from collections.abc import Iterator, Mapping

from facts import regions
from facts.zones import Zone
from policies import aws, grants, iam, references
from policies.aws import Way
from policies.iam import Statement
from policies.model import Node
from policies.rule import Hit, Subject, rule
from policies.walkers import hosts, places

_CONTROLS = ("HDS EXI 29", "HDS EXI 30", "HIPAA 164.308(a)(4)", "HIPAA 164.312(a)(1)", "GDPR 32")

_OIDC = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
_SAML = "aws:iam/samlProvider:SamlProvider"
_CLUSTER = "aws:eks/cluster:Cluster"
_ROLE, _POLICY = "aws:iam/role:Role", "aws:iam/policy:Policy"
_OF_ROLES = (
    "aws:iam/policyAttachment:PolicyAttachment",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
)
#: In the principal of a role that a service account of a cluster takes.
_POD_ISSUER = ":oidc-provider/oidc.eks."
#: AWS's own policies that allow everything, everything of one service, or to read all that the account holds:
#: docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html
_BROAD = re.compile(
    r"arn:[a-z-]+:iam::aws:policy/(?:[\w+=,.@-]+/)*"
    r"(?:AdministratorAccess.*|PowerUserAccess|ReadOnlyAccess|AmazonS3ReadOnlyAccess|SecretsManagerReadWrite"
    r"|.*FullAccess.*)"
)
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
    types=[_ROLE],
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
            if value == "*":
                if not grants.held_to_zone(statement, zone):
                    yield subject.refuse(where, seen="*", why="everybody with an account at AWS is trusted")
            elif kind == "Service":
                outside = _service(value, zone) or _any_pod(value, statement, zone)
                if outside:
                    yield subject.refuse(where, seen="a service", why=outside)
            elif kind == "Federated":
                yield from _federated(subject, statement, value, zone)
            else:
                yield from grants.principal(subject, Node(value, where.path, where.touched), zone)


def _service(name: str, zone: Zone) -> str | None:
    """Why a service may not be trusted; None where it may."""
    service = name.removesuffix(".amazonaws.com")
    if service == name:
        return "it is no service of AWS"
    for code in service.split("."):
        outside = places.judge_region(code, places.providers_of("aws"), zone) if regions.named(code) else None
        if outside:
            return f"it is a service of a region that {outside}"
    return None


def _any_pod(name: str, statement: Statement, zone: Zone) -> str | None:
    """Why Pod Identity may not be trusted; None where a condition names a cluster, or the account of one."""
    if not name.startswith("pods.eks."):
        return None
    # docs.aws.amazon.com/eks/latest/userguide/pod-id-abac.html
    if grants.held_to_zone(statement, zone) or statement.held("aws:RequestTag/eks-cluster-arn", _one):
        return None
    return "any pod of any cluster may be given the role, and no condition says which"


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
    "aws-identity.rights",
    title="No program, and no machine, may do everything",
    routes=["A57"],
    controls=_CONTROLS,
    fix="Allow the role the actions that are needed, on the resources that they are needed for.",
    pack="egress",
    types=[_ROLE, *_OF_ROLES],
)
def rights(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Whoever gets into a program has its rights: on a node, into each pod there. AdministratorAccess and its
    like make one machine the way to every bucket, key and trail of the account. What people may do, and
    until when, is asked elsewhere."""
    assert subject.resource is not None
    given = [subject["policyArn"], subject["policy"], *subject["managedPolicyArns"].each()]
    given += [inline["policy"] for inline in subject["inlinePolicies"].each()]
    broad = [(where, seen) for where in given if (seen := _broad(subject, where))]
    named = [one for one in (subject["role"], *subject["roles"].each()) if not one.absent]
    of_itself = subject.resource.type == _ROLE
    for role in [subject.resource] if of_itself else [references.resolve(subject, one) for one in named]:
        for where, seen in broad:
            if role is None:
                yield subject.undecided(
                    where, seen=seen, why="whether a program takes the role that gets it can't be told"
                )
            elif _for_programs(Subject(subject.plan, role, subject.touched)):
                yield subject.refuse(where, seen=seen, why="it is far more than any program needs")


def _broad(subject: Subject, where: Node) -> str | None:
    """What is seen of a policy that allows everything, by its ARN or as a document; None where it doesn't."""
    text = where.value if isinstance(where.value, str) else ""
    name = text.rpartition("/")[2]
    if _BROAD.fullmatch(text):
        return name
    own = [references.resolve(subject, where), *subject.plan.by_name.get(name, ())]
    given = [one.inputs.get("policy") for one in own if one is not None and one.type == _POLICY]
    if references.arn(text) is None:
        given.append(where.value)
    everything = any(
        one.allows and "*" in one.actions and "*" in one.resources and not (one.conditions or one.inverted)
        for value in given
        for one in iam.statements(Node(value, where.path, where.touched))
    )
    return "every action" if everything else None


def _for_programs(role: Subject) -> bool:
    """Whether machines, pods or services of AWS's take a role."""
    return any(
        one.allows and (kind == "Service" or _POD_ISSUER in value)
        for one in iam.statements(role["assumeRolePolicy"])
        for kind, value in one.principals
    )


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
    url = where.text()
    if url is None:
        return
    host = hosts.host_of(url) or ""
    if not _CLUSTER_ISSUER.fullmatch(host):
        if not hosts.declared(host, zone):
            yield subject.refuse(
                where, seen=host, why=f"it decides who enters, and is outside zone {zone.name}"
            )
    elif not of_cluster:
        yield subject.undecided(
            where,
            seen="the issuer of a cluster that is not in the plan",
            why="whose cluster it is can't be told",
        )


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
