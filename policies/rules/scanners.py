"""Scanners and node-wide readers: whose lists they trust, and what reads all that runs on a node."""

from collections.abc import Iterator

from facts import call_home
from facts.zones import Zone
from policies import kubernetes, targets
from policies.kubernetes import quiet
from policies.rule import Hit, Subject, rule
from policies.walkers import images

_CONTROLS = ("HDS EXI 05", "HDS EXI 06", "HIPAA 164.312(e)(1)", "GDPR 28", "GDPR 32", "SNC 12.14")


@rule(
    "scanners.agents",
    title="An agent that reads nodes for a vendor must be answered for",
    routes=["K57"],
    controls=_CONTROLS,
    fix="Remove the agent, or declare in the zone to where it reports and who answers for it.",
    pack="egress",
    severity="critical",
    kinds=kubernetes.PODS,
)
def agents(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """EDR, CNAPP and observability agents read processes, files and calls of the whole node, prompts in
    memory among them, and are made to send what they find to their vendor. To where exactly, and what, is
    set at the vendor's own console, which no plan shows."""
    for container in kubernetes.containers(subject):
        where = container.node["image"]
        text = quiet(where).text()
        image = images.parse(text) if text else None
        agent = call_home.reader(image.path) if image is not None else None
        if agent is not None and not zone.declares("K57", subject.plan.at):
            yield subject.refuse(
                where, seen=agent.name, why="it reads the whole node, and reports to its vendor"
            )


@rule(
    "scanners.node-readers",
    title="A DaemonSet that reads nodes must be one of the zone's systems",
    routes=["K57"],
    controls=_CONTROLS,
    fix="Name its images by digest among the zone's systems, with host-path, or remove the hostPath volumes.",
    pack="egress",
    kinds=["apps/DaemonSet"],
)
def node_readers(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A DaemonSet with the node's files reads the logs, the volumes and the sockets of every pod of every
    node. Only what the zone names by digest (a CNI, a CSI driver, a log shipper) may."""
    for pod in kubernetes.pods(subject):
        for volume in pod.spec["volumes"].each():
            path = volume["hostPath"]
            if not path.absent and not kubernetes.may(subject, pod, "host-path", zone):
                yield subject.refuse(path, seen="hostPath", why="it reads what every pod of the node writes")


@rule(
    "scanners.signatures",
    title="Signatures may be checked against authorities of the zone only",
    routes=["K57"],
    controls=_CONTROLS,
    fix="Check with a key of one's own, or name Fulcio, Rekor and TUF mirrors of the zone.",
    pack="egress",
    kinds=["policy.sigstore.dev/ClusterImagePolicy", "policy.sigstore.dev/TrustRoot"],
)
def signatures(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Keyless checks ask Fulcio and Rekor, and fetch roots of trust by TUF: by default at sigstore.dev, where
    each check tells which image is about to run."""
    # sigstore/policy-controller pkg/apis/policy/v1beta1: clusterimagepolicy_defaults.go, _types.go
    what = "names of images that are checked"
    yield from targets.judge(subject, subject["spec"]["remote"]["mirror"], zone, what=what)
    for authority in subject["spec"]["authorities"].each():
        yield from targets.judge(subject, authority["ctlog"]["url"], zone, what=what)
        keyless = authority["keyless"]
        yield from targets.judge(subject, keyless["url"], zone, what=what)
        asked = (keyless["url"], authority["ctlog"]["url"])
        if not keyless.absent and any(node.absent for node in asked):
            yield subject.refuse(
                keyless, seen="keyless", why="fulcio.sigstore.dev and rekor.sigstore.dev are asked"
            )
