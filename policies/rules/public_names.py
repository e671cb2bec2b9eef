"""Names and certificates: to whom the names of hosts are told, and who vouches for them.

A public certificate authority writes each name into logs that are public for ever (RFC 9162), and whoever
serves the names sees who asks for them, and can lead them elsewhere.
"""

import re
from collections.abc import Iterator

from facts import integrations
from facts.zones import Zone
from policies import called, command_line, control_plane, kubernetes
from policies.command_line import Environment
from policies.kubernetes import PODS, Container, Pod, quiet
from policies.model import Node
from policies.rule import Hit, Subject, rule
from policies.walkers import hosts, images

_CONTROLS = ("HDS EXI 05", "HDS EXI 28", "HIPAA 164.312(e)(1)", "GDPR 32", "SNC 12.14", "SNC 13.2")

_ISSUED = "certificates, and the names in them, go through it"
_PUBLISHED = "names are published there"

#: solvers that name their server, and by which setting (cert-manager.io/docs/configuration/acme/dns01)
_SERVERS = {"acmeDNS": "host", "akamai": "serviceConsumerDomain", "rfc2136": "nameserver"}
#: no solver; and one that runs in the cluster
_NO_SOLVERS = ("cnameStrategy", "webhook")
#: providers of ExternalDNS whose server its flags name, or that keep to the pod or the cluster by default
_OWN_PROVIDERS = ("coredns", "inmemory", "pdns", "pihole", "rfc2136", "webhook")

#: doc.traefik.io/traefik/https/acme: `caServer` is Let's Encrypt's unless it is given
_RESOLVER = re.compile(r"(?i)certificatesresolvers\.([^.]+)\.acme\..+")
_LETS_ENCRYPT = "acme-v02.api.letsencrypt.org"
#: cert-manager.io/docs/configuration/venafi
_VENAFI = "api.venafi.cloud"


@rule(
    "public-names.issuers",
    title="Certificates may be issued by authorities of the zone only",
    routes=["K40"],
    controls=_CONTROLS,
    fix="Use a certificate authority of the zone: its own ACME server, its Vault, or a key in the cluster.",
    pack="egress",
    kinds=["cert-manager.io/ClusterIssuer", "cert-manager.io/Issuer"],
)
def issuers(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """cert-manager asks an ACME server, a Vault or a service for each certificate, and proves that a name is
    one's own by writing into a DNS service."""
    spec = subject["spec"]
    for where in (spec["acme"]["server"], spec["vault"]["server"], spec["venafi"]["tpp"]["url"]):
        yield from called.host(subject, where, zone, _ISSUED)
    cloud = spec["venafi"]["cloud"]
    if not cloud.absent:
        where = cloud["url"]
        where = Node(_VENAFI, where.path, where.touched) if where.absent else where
        yield from called.host(subject, where, zone, _ISSUED)
    for solver in spec["acme"]["solvers"].each():
        for name, where in solver["dns01"].members():
            if name in _SERVERS:
                yield from called.host(subject, where[_SERVERS[name]], zone, _PUBLISHED)
            elif name not in _NO_SOLVERS:
                yield from _service(subject, where, name, zone)


@rule(
    "public-names.external-dns",
    title="ExternalDNS may publish names in the zone only",
    routes=["K40"],
    controls=_CONTROLS,
    fix="Publish to name servers of the zone, such as --provider=rfc2136 with their address.",
    pack="egress",
    kinds=PODS,
)
def external_dns(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """ExternalDNS writes the name of each Service and Ingress, and whatever an annotation says, into the DNS
    service that it is started for."""
    for container in kubernetes.containers(subject):
        if not _runs(container, "external-dns"):
            continue
        environment = Environment(container, subject)
        flags = dict(control_plane.flags(command_line.words(container, environment)))
        for name, word in flags.items():
            where = Node(word.text, word.where.path, subject.touched)
            yield from called.setting(subject, name, where, zone, _PUBLISHED)
        given, variable = flags.get("provider"), environment.get("EXTERNAL_DNS_PROVIDER")
        provider = given.text if given else environment.text(variable) if variable else None
        if provider not in _OWN_PROVIDERS:
            where = given.where if given else variable.where if variable else container.node
            yield from _service(subject, where, provider, zone)


@rule(
    "public-names.resolvers",
    title="Traefik may get certificates from authorities of the zone only",
    routes=["K40"],
    controls=_CONTROLS,
    fix="Set the resolver's acme.caServer to the zone's own ACME server.",
    pack="egress",
    kinds=PODS,
)
def resolvers(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A certificate resolver of Traefik asks Let's Encrypt unless it is told another server."""
    for container in kubernetes.containers(subject):
        if not _runs(container, "traefik"):
            continue
        line = command_line.words(container, Environment(container, subject))
        flags = {name.lower(): word for name, word in control_plane.flags(line)}
        for name, word in flags.items():
            found = _RESOLVER.fullmatch(name)
            if found is not None:
                server = flags.get(f"certificatesresolvers.{found.group(1)}.acme.caserver")
                host = Node(server.text if server else _LETS_ENCRYPT, word.where.path, subject.touched)
                yield from called.host(subject, host, zone, _ISSUED)


def _service(subject: Subject, where: Node, name: str | None, zone: Zone) -> Iterator[Hit]:
    host = integrations.name_services().get(name or "")
    if host is None:
        yield subject.undecided(
            where, seen=name or "no provider", why="where names are published is not told"
        )
    elif not hosts.inside(host, zone):
        yield subject.refuse(where, seen=host, why=f"{_PUBLISHED}, outside zone {zone.name}")


def _runs(container: Container, program: str) -> bool:
    """Whether a container is a program's, by its image or its command."""
    still = Container(quiet(container.node), container.group, Pod(quiet(container.pod.node)))
    image = images.parse(still.node["image"].text() or "")
    command = still.node["command"].texts()
    named = [image.path if image else "", *command[:1]]
    return any(one.rpartition("/")[2] == program for one in named)
