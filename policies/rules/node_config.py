"""How nodes are set up: whom they ask for the time and for names, from where they pull, through whom they go.

A node sends from its own address, where no NetworkPolicy holds.
"""

import re
from collections.abc import Iterator

from facts.zones import Zone
from policies import machine_texts
from policies.carried import File
from policies.machine_texts import KINDS, TYPES
from policies.rule import Hit, Subject, rule
from policies.walkers import hosts

_CONTROLS = ("HDS EXI 05", "HIPAA 164.312(e)(1)", "GDPR 32", "SNC 12.8", "SNC 12.14", "SNC 13.2")

#: Where cloud-init, Talos, k3s, Docker and netplan name servers: the keys above them, in lower case.
_SERVERS = re.compile(
    r"(?:machine time|ntp) (?:servers|pools)|(?:.* )?nameservers(?: address(?:es)?)?|(?:apt|yum_repos) .*"
    r"|machine env (?!no_)\w*proxy|(?:machine registries )?mirrors \S+ endpoints?|endpoints url"
    r"|registry-mirrors|system-default-registry|machine install image"
)
#: Lines of chrony, ntpd and resolv.conf, then those of systemd and containerd, which may name several.
_FIRST = re.compile(r"(?m)^[ \t]*(?:server|pool|peer|nameserver)[ \t]+([\w.:-]+)")
_SEVERAL = re.compile(
    r"(?m)^[ \t]*(?:(?:Fallback)?(?:NTP|DNS)[ \t]*=|(?:server|endpoint)[ \t]*=|\[host\.)([^\n#]+)"
)
#: What says the time servers and the resolvers; docs.siderolabs.com/talos and docs.cloud-init.io tell whom
#: they ask otherwise.
_TIME = re.compile(r"(?:machine time|ntp) (?:servers|pools)")
_NAMES = re.compile(r"machine network nameservers|nameservers address")


@rule(
    "node-config.servers",
    title="Nodes may ask servers of the zone only",
    routes=["N03"],
    controls=_CONTROLS,
    fix="Name time servers, resolvers, mirrors and proxies of the zone.",
    pack="egress",
    kinds=KINDS,
    types=TYPES,
)
def servers(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Time servers, resolvers, registry mirrors, package sources and proxies of a node see which machines
    there are and what they run; a resolver or proxy outside is a way out for all of them."""
    for file in machine_texts.texts(subject):
        for text in _named(file):
            host = hosts.host_of(text)
            if host is not None and not hosts.inside(host, zone):
                yield subject.refuse(
                    file.where,
                    seen="in a Secret, not shown" if file.secret else host,
                    why=f"nodes ask it, outside zone {zone.name}",
                )


@rule(
    "node-config.defaults",
    title="Nodes must be told whom to ask",
    routes=["N03"],
    controls=_CONTROLS,
    fix="Name time servers and resolvers of the zone, or declare N03 where DHCP gives them.",
    pack="egress",
    kinds=KINDS,
    types=TYPES,
)
def defaults(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Where nothing is said, Talos asks time.cloudflare.com for the time and public resolvers for names, and
    cloud-init's `ntp` asks the pool of the distribution."""
    if zone.declares("N03", subject.plan.at):
        return
    for file in machine_texts.texts(subject):
        documents = list(machine_texts.mappings(file))
        said = [keys for document in documents for keys, _ in machine_texts.leaves(document)]
        talos = any(not document["machine"]["type"].absent for document in documents)
        cloud = machine_texts.is_cloud_config(file) and any("ntp" in one.value for one in documents[:1])
        if (talos or cloud) and not any(_TIME.fullmatch(keys) for keys in said):
            yield subject.refuse(file.where, seen="no time servers", why="nodes ask those of their maker")
        if talos and not any(_NAMES.fullmatch(keys) for keys in said):
            yield subject.refuse(file.where, seen="no resolvers", why="nodes ask 1.1.1.1 and 8.8.8.8")


def _named(file: File) -> Iterator[str]:
    """The servers that a text names."""
    for document in machine_texts.mappings(file):
        for keys, text in machine_texts.leaves(document):
            if _SERVERS.fullmatch(keys):
                yield from text.split()  # `deb https://...` is a source of packages
    yield from _FIRST.findall(file.text)
    for rest in _SEVERAL.findall(file.text):
        yield from re.findall(r"[^\s\"'\[\],=]+", rest)
