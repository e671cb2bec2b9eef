"""Settings of the cluster itself, as far as a plan shows them: whether NetworkPolicies hold, whether etcd is
encrypted, and whom the API server calls.

Over a cluster that is there already a plan shows none of this. Somebody then answers for it in the zone
(`declared`), until a day.
"""

import re
from collections.abc import Iterator
from typing import Final

from facts.zones import Zone
from policies import called, carried, control_plane, estate, kubernetes
from policies.control_plane import API_SERVER
from policies.documents import of_yaml
from policies.kubernetes import PODS, looks, quiet
from policies.model import Node, Plan
from policies.rule import Hit, Subject, rule
from policies.walkers import destinations, images, strings

_ADDON: Final = "aws:eks/addon:Addon"
_EKS: Final = "aws:eks/cluster:Cluster"

#: Images of the programs that enforce NetworkPolicies on each node (docs.cilium.io, docs.tigera.io,
#: antrea.io, kube-router.io, kubeovn.github.io).
_ENFORCES = re.compile(r"(?:^|/)(?:cilium|calico[/-]node|antrea[\w-]*|kube-router|kube-ovn)$")
#: flannel-io/flannel: "Flannel is focused on networking"; kindnet took policies up with kind 0.24 only
_FORWARDS = re.compile(r"(?:^|/)(?:flannel|kindnetd)$")

#: ConfigMaps of network plugins, and the value of a key with which policies don't hold (docs.cilium.io,
#: policy enforcement modes and audit mode; docs.aws.amazon.com/eks/latest/userguide/cni-network-policy).
_OFF = (
    ("cilium-config", "enable-policy", "never"),
    ("cilium-config", "policy-audit-mode", "true"),
    ("amazon-vpc-cni", "enable-network-policy-controller", "false"),
)

#: Flags of the API server that name a file which says whom it calls
#: (kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver).
_FILES = re.compile(
    r"(?:admission-control|audit-webhook|authentication-token-webhook|authorization-webhook|egress-selector|tracing)"
    r"-config-file|authentication-config|authorization-config"
)
_URLS = ("etcd-servers", "oidc-issuer-url")


@rule(
    "cluster-settings.policies",
    title="The network plugin must enforce NetworkPolicies",
    routes=["K45"],
    controls=("HDS EXI 05", "HIPAA 164.312(e)(1)", "GDPR 32", "SNC 13.2", "ISO 27001 A.8.22"),
    fix="Switch the plugin's enforcement on, or run one that enforces (Cilium, Calico, Antrea).",
    pack="egress",
    severity="critical",
    kinds=[*carried.HOLDERS, *PODS],
    types=[_ADDON],
)
def policies(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """The API server takes every NetworkPolicy; whether it holds is up to the network plugin. Amazon's has it
    off by default, flannel never did, Cilium can be told to look on."""
    paper = "every NetworkPolicy is only paper"
    assert subject.resource is not None
    if subject.resource.type == _ADDON:
        if subject["addonName"].text() == "vpc-cni" and not _switched_on(subject["configurationValues"]):
            yield subject.refuse("configurationValues", seen="enableNetworkPolicy is not on", why=paper)
        return
    for name, key, value in _OFF:
        where = quiet(subject["data"])[key]
        if quiet(subject["metadata"])["name"].text() == name and where.value == value:
            yield subject.refuse(where, seen=f"{key}: {value}", why=paper)
    held = zone.declares("K45", subject.plan.at)
    for container in kubernetes.containers(subject) if not held else ():
        image = images.parse(quiet(container.node)["image"].text() or "")
        if image is not None and _FORWARDS.search(image.path) and not _agents(subject.plan):
            yield subject.refuse(container.node["image"], seen=image.path, why=f"it only forwards: {paper}")
    for told in control_plane.programs(subject) if not held else ():
        if told.on("disable-network-policy") and not _agents(subject.plan):
            where = told.flags["disable-network-policy"].where
            yield subject.refuse(where, seen="disable-network-policy", why=paper)


@rule(
    "cluster-settings.policies-unsaid",
    title="It must be known that the cluster enforces NetworkPolicies",
    routes=["K45"],
    controls=("HDS EXI 05", "HIPAA 164.312(e)(1)", "GDPR 32", "SNC 13.2", "ISO 27001 A.8.22"),
    fix="Declare K45 in the zone, with an owner and a day until which it was tried, or plan the plugin too.",
    pack="egress",
    severity="critical",
    scope="plan",
    needs_whole=True,
)
def policies_unsaid(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Engines in a cluster of which nothing says that policies hold there: the plan has no plugin that does,
    and the zone declares nothing."""
    addons = (Node(one.inputs, "", {}) for one in subject.plan.by_type.get(_ADDON, ()))
    if zone.declares("K45", subject.plan.at) or _agents(subject.plan):
        return
    if any(_switched_on(one["configurationValues"]) for one in addons):
        return
    yield from _at_an_engine(subject.plan, "that NetworkPolicies hold in this cluster")


@rule(
    "cluster-settings.encryption",
    title="etcd must be encrypted by a key of the zone",
    routes=["K46"],
    controls=("HIPAA 164.312(a)(2)(iv)", "GDPR 32", "HDS EXI 18", "C5"),
    fix="Give the API server an EncryptionConfiguration with a provider for Secrets other than identity.",
    pack="protection",
    severity="critical",
    kinds=[*carried.HOLDERS, *PODS],
)
def encryption(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Secrets lie in etcd, in its backups and on its disks as they are, unless the API server encrypts them.
    The first provider of a resource writes; `identity` writes what it gets. A KMS plugin is a socket of the
    machine."""
    for _, node in carried.objects(subject, "EncryptionConfiguration"):
        first = next((one for one in node["resources"].each() if _covers(one)), None)
        if first is None:
            yield subject.refuse(node["resources"], seen="no Secrets", why="Secrets are not encrypted")
            continue
        providers = list(first["providers"].each())
        if not providers or not quiet(providers[0])["identity"].absent:
            yield subject.refuse(first["providers"], seen="identity", why="Secrets are written as they are")
        for provider in providers:
            endpoint = provider["kms"]["endpoint"]
            if not (endpoint.text() or "unix:").startswith("unix:"):
                yield subject.refuse(endpoint, seen="no socket", why="keys are asked for over the network")
    for told in control_plane.programs(subject):
        plain = told.program == API_SERVER and told.whole and "encryption-provider-config" not in told.flags
        off = "secrets-encryption" in told.flags and not told.on("secrets-encryption")
        if plain or off:
            yield subject.refuse(told.where, seen=f"{told.program}", why="nothing encrypts Secrets in etcd")


@rule(
    "cluster-settings.encryption-unsaid",
    title="It must be known that etcd is encrypted",
    routes=["K46"],
    controls=("HIPAA 164.312(a)(2)(iv)", "GDPR 32", "HDS EXI 18", "C5"),
    fix="Declare K46 in the zone, with an owner and a day until which it was tried.",
    pack="protection",
    severity="critical",
    scope="plan",
    needs_whole=True,
)
def encryption_unsaid(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Engines, with Secrets beside them, in a cluster of which nothing says that etcd is encrypted. A cluster
    of EKS says it itself, and aws-encryption.cluster judges what it says."""
    if zone.declares("K46", subject.plan.at) or subject.plan.by_type.get(_EKS):
        return
    for look in looks(subject.plan, (*carried.HOLDERS, *PODS)):
        if any(True for _ in carried.objects(look, "EncryptionConfiguration")):
            return
        for told in control_plane.programs(look):
            if "encryption-provider-config" in told.flags or told.on("secrets-encryption"):
                return
    yield from _at_an_engine(subject.plan, "that etcd is encrypted in this cluster")


@rule(
    "cluster-settings.calls",
    title="The API server may call hosts of the zone only",
    routes=["K47"],
    controls=("HDS EXI 05", "HDS EXI 29", "HIPAA 164.312(b)", "HIPAA 164.312(d)", "GDPR 32", "SNC 13.2"),
    fix="Name hosts of the zone, in files that the plan carries; or declare K47 in the zone.",
    pack="egress",
    severity="critical",
    kinds=[*carried.HOLDERS, *PODS],
)
def calls(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """The API server sends whole objects, every request's record and every login to whom its flags and their
    files name: audit and authorization webhooks, admission plugins, issuers, traces."""
    for told in control_plane.programs(subject):
        for flag, word in told.flags.items() if told.program == API_SERVER else ():
            where = Node(word.text, word.where.path, subject.touched)
            if flag in _URLS:
                for text in word.text.split(","):
                    one = Node(text, where.path, where.touched)
                    yield from called.host(subject, one, zone, "the API server calls it")
            elif _FILES.fullmatch(flag):
                yield from _file(subject, flag, where, zone)


def _file(subject: Subject, flag: str, where: Node, zone: Zone) -> Iterator[Hit]:
    """What a file that a flag names leads to, where the plan carries it."""
    found = list(carried.find(subject.plan, str(where.value).rpartition("/")[2]))
    for file in found:
        for leaf in strings.leaves({file.name: file.text}):
            text = str(leaf.value)
            for escape in destinations.escapes(leaf, text, zone):
                yield subject.refuse(
                    where,
                    seen=f"{flag}: {'a Secret, not shown' if file.secret else escape.seen}",
                    why=f"the API server calls it, and it is outside zone {zone.name}",
                )
            if leaf.key.lower().endswith("configfile"):  # an admission plugin's own kubeconfig
                yield from _file(subject, flag, Node(text, where.path, where.touched), zone)
    if not found and not zone.declares("K47", subject.plan.at):
        yield subject.undecided(where, seen=flag, why="whom it makes the API server call is not told")


def _covers(entry: Node) -> bool:
    """Whether an entry of an EncryptionConfiguration is for Secrets."""
    return any(one in ("secrets", "*.", "*.*") for one in entry["resources"].texts())


def _switched_on(node: Node) -> bool:
    """Whether the settings of Amazon's network plugin switch enforcement on."""
    try:
        [found] = of_yaml(node.text() or "{}")
    except ValueError:
        return False
    return isinstance(found, dict) and found.get("enableNetworkPolicy") in ("true", True)


def _agents(plan: Plan) -> bool:
    """Whether the plan runs a program that enforces NetworkPolicies on each node."""
    for look in looks(plan, ("apps/DaemonSet",)):
        for container in kubernetes.containers(look):
            image = images.parse(quiet(container.node)["image"].text() or "")
            if image is not None and _ENFORCES.search(image.path):
                return True
    return False


def _at_an_engine(plan: Plan, what: str) -> Iterator[Hit]:
    found = estate.engine(plan)
    if found is not None:
        look, engine = found
        yield kubernetes.hit(look, engine.container.pod.node, seen="an engine", why=f"nothing says {what}")
