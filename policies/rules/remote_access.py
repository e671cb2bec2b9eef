"""Ways for people and machines outside to reach in: tunnels that are dialled from inside, and VPN peers."""

import re
from collections.abc import Iterator

from facts.zones import Zone
from policies import kubernetes, machine_texts
from policies.kubernetes import PODS, Container, quiet
from policies.machine_texts import KINDS, TYPES
from policies.model import Node
from policies.rule import Hit, Subject, rule
from policies.walkers import hosts, images

_CONTROLS = ("HDS EXI 29", "HIPAA 164.312(a)(1)", "GDPR 32", "GDPR 44-46", "SNC 13.2")

#: Programs that dial a relay of their maker's and let people in through it.
_RELAYED = re.compile(
    r"(?:.*/)?(?:cloudflared|tailscale(?:d|[-/].*)?|ngrok.*|zerotier.*|netbird.*|twingate.*|inlets.*"
    r"|devtunnel)"
)
#: wireguard.com/quickstart: where a peer is; talos and netplan have the same key in YAML.
_PEER = re.compile(r"(?mi)^[ \t]*(?:-[ \t]+)?endpoint[ \t]*[=:][ \t]*[\"']?([^\s\"'#]+)")
_WIREGUARD = re.compile(r"(?i)\[Peer\]|\bwireguard\b")


@rule(
    "remote-access.programs",
    title="No pod may hold a tunnel to a relay outside",
    routes=["N04"],
    controls=_CONTROLS,
    fix="Remove it; let people in through a way that the zone names in `access`.",
    pack="egress",
    severity="critical",
    kinds=PODS,
)
def programs(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A tunnel is dialled from inside, so no firewall of the site's sees anybody come in. Its maker's relay
    decides who may, and from which country. A copy of the program in the zone's registry is the same
    program."""
    for container in kubernetes.containers(subject):
        for where, name in _programs(container):
            if _RELAYED.fullmatch(name):
                yield subject.refuse(
                    where, seen=name.rpartition("/")[2], why="its maker's relay lets people in"
                )


@rule(
    "remote-access.peers",
    title="A VPN may only have peers of the zone",
    routes=["N04"],
    controls=_CONTROLS,
    fix="Name peers of the zone's hosts or networks, and leave KubeSpan's discovery service out.",
    pack="egress",
    severity="critical",
    kinds=KINDS,
    types=TYPES,
)
def peers(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A WireGuard peer is a cable to wherever it is: whoever sits there is in the network. KubeSpan, the VPN
    among Talos nodes, tells a service in the United States which nodes there are."""
    for file in machine_texts.texts(subject):
        for text in _PEER.findall(file.text) if _WIREGUARD.search(file.text) else ():
            host = hosts.host_of(text)
            if host is None or not hosts.declared(host, zone):
                yield subject.refuse(
                    file.where,
                    seen="in a Secret, not shown" if file.secret else host or "no readable host",
                    why=f"the peer is outside zone {zone.name}",
                )
        for document in machine_texts.mappings(file):
            spans = document["machine"]["network"]["kubespan"]["enabled"].flag()
            if spans and not document["cluster"]["discovery"]["registries"]["service"]["disabled"].flag():
                yield subject.refuse(
                    file.where, seen="kubespan", why="discovery.talos.dev learns of each node"
                )


def _programs(container: Container) -> Iterator[tuple[Node, str]]:
    """What a container runs: its image's name, and the words of its command."""
    where = quiet(container.node["image"])
    image = images.parse(where.text() or "")
    if image is not None:
        yield where, image.path
    for key in ("command", "args"):
        for node in quiet(container.node[key]).each():
            yield from ((node, word) for word in re.split(r"[\s;&|()]+", node.text() or ""))
