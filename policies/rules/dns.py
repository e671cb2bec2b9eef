"""Name resolution: who answers a pod's questions, and to whom the cluster's DNS passes them on."""

import json
import re
from collections.abc import Iterator

from facts.networks import NetworkSet
from facts.zones import Zone
from policies import kubernetes
from policies.kubernetes import PODS
from policies.model import Node
from policies.rule import Cel, Hit, Subject, rule
from policies.walkers import hosts

_CONTROLS = ("HDS EXI 05", "HIPAA 164.312(e)(1)", "GDPR 32", "SNC 12.14", "SNC 13.2")

_NODE_LOCAL_DNS = "169.254.20.10"
#: Files by which CoreDNS and NodeLocal DNS are configured, and extended on AKS, k3s and others, and what
#: kube-dns reads (kubernetes.io/docs/tasks/administer-cluster/dns-custom-nameservers, .../nodelocaldns).
_COREFILES = ("Corefile", ".server", ".override")
_KUBE_DNS = ("upstreamNameservers", "stubDomains")
#: CoreDNS plugins that pass questions on (coredns.io/plugins, and the external `fanout`; `proxy` before 1.5).
_FORWARDERS = ("forward", "proxy", "fanout", "grpc")
#: What NodeLocal DNS replaces by the address of the cluster's own DNS.
_CLUSTER_DNS = "__PILLAR__CLUSTER__DNS__"


@rule(
    "dns.pods",
    title="Pods must ask the cluster's DNS, about names as they are",
    routes=["K17"],
    controls=_CONTROLS,
    fix="Leave dnsPolicy at ClusterFirst, and name resolvers, search domains and aliases of the zone only.",
    pack="egress",
    kinds=PODS,
    cel=[
        Cel("!has(variables.pod.dnsPolicy) || variables.pod.dnsPolicy in ['ClusterFirst', 'None']"),
        Cel(
            "!has(variables.pod.dnsConfig) || !has(variables.pod.dnsConfig.nameservers) || "
            "variables.pod.dnsConfig.nameservers.all(a, {networks}.exists(n, cidr(n).containsIP(a)))"
        ),
        Cel(
            "!has(variables.pod.hostAliases) || variables.pod.hostAliases.all(a, "
            "{networks}.exists(n, cidr(n).containsIP(a.ip)))"
        ),
    ],
)
def pods(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A resolver outside sees every name that is asked, and is a tunnel for data. dnsPolicy Default asks the
    node's resolvers, which nothing here knows: only systems that the zone names by digest may (the cluster's
    own DNS has nobody else to ask). hostAliases give an honest name a false address."""
    for pod in kubernetes.pods(subject):
        policy, config = pod.spec["dnsPolicy"], pod.spec["dnsConfig"]
        servers = list(config["nameservers"].each())
        chosen = policy.text()
        if chosen == "Default" and not kubernetes.may(subject, pod, "node-dns", zone):
            yield subject.refuse(
                policy, seen=chosen, why="the pod asks the node's resolvers, whichever they are"
            )
        elif chosen == "None" and not servers:
            yield subject.refuse(policy, seen=chosen, why="no resolver is named here")
        for where in servers:
            text = where.text()
            if text is not None and not _is_resolver_of_zone(text, zone):
                yield subject.refuse(
                    where,
                    seen=hosts.host_of(text) or "no address",
                    why=f"this resolver is outside zone {zone.name}",
                )
        for where in config["searches"].each():
            text = where.text()
            if text is not None and text != "." and not hosts.inside(f"name.{text}", zone):
                yield subject.refuse(
                    where,
                    seen=hosts.host_of(text) or "no domain",
                    why="every short name is asked for in this domain, outside the zone",
                )
        for alias in pod.spec["hostAliases"].each():
            text = alias["ip"].text()
            if text is not None and not hosts.inside(text, zone):
                yield subject.refuse(
                    alias["ip"],
                    seen=hosts.host_of(text) or "no address",
                    why="names are led to this address outside the zone",
                )


@rule(
    "dns.forward",
    title="The cluster's DNS may pass questions on to the zone only",
    routes=["K18"],
    controls=_CONTROLS,
    fix="Forward to the site's own resolvers, by addresses of the zone's networks.",
    pack="egress",
    severity="critical",
    kinds=["core/ConfigMap"],
)
def forward(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """All pods ask the cluster's DNS, so whoever it forwards to sees every name and can carry data in and
    out, past every policy. /etc/resolv.conf means the node's resolvers, which nothing here knows: that can't
    be judged."""
    for key, where in subject["binaryData"].members():
        if key.endswith(_COREFILES):
            yield subject.undecided(where, seen="binary data", why="the DNS server reads it, and no rule can")
    for key, where in subject["data"].members():
        if key in _KUBE_DNS:
            targets = _kube_dns(where)
        elif key.endswith(_COREFILES):
            targets = _corefile(where)
        else:
            continue
        for target in targets:
            if target == _CLUSTER_DNS:
                continue
            if target.startswith(("/", "{", "__")):
                shown = "/etc/resolv.conf" if target == "/etc/resolv.conf" else "a file or variable"
                yield subject.undecided(
                    where,
                    seen=f"forward to {shown}",
                    why="to whom questions go is not told here",
                    route="K18",
                )
            elif not _is_resolver_of_zone(target, zone):
                host = hosts.host_of(target)
                yield subject.refuse(
                    where,
                    seen=f"forward to {host or 'no readable host'}",
                    why=f"questions of all pods go to a resolver outside zone {zone.name}",
                )


def _is_resolver_of_zone(text: str, zone: Zone) -> bool:
    """Whether a resolver lies in the zone. Link-local ones are the clouds' own, but for the node-local
    cache."""
    host = hosts.host_of(text) or ""
    address = hosts.address_of(host)
    if address is None:
        return hosts.inside(host, zone)
    if host == _NODE_LOCAL_DNS or address.is_loopback:
        return True
    return zone.network_set.covers(NetworkSet.of([host]))


def _corefile(where: Node) -> Iterator[str]:
    """To whom a Corefile forwards (coredns.io/manual/configuration: a directive begins its line)."""
    for line in (where.text() or "").splitlines():
        directive, *arguments = [word.strip('"') for word in re.sub(r"\s#.*", "", line).split()] or [""]
        if directive in _FORWARDERS:
            for target in arguments[1:]:
                if target == "{":
                    break
                yield target


def _kube_dns(where: Node) -> Iterator[str]:
    """The resolvers in a setting of kube-dns: a list, or a mapping of domains to lists, as JSON."""
    try:
        data = json.loads(where.text() or "[]")
    except ValueError:
        yield "{"
        return
    lists = data.values() if isinstance(data, dict) else [data]
    for targets in lists:
        for target in targets if isinstance(targets, list) else [targets]:
            yield target if isinstance(target, str) else "{"
