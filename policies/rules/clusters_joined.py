"""Clusters that are joined to others: what is called here may then be answered elsewhere."""

from collections.abc import Iterator

from facts.zones import Zone
from policies import entries, targets
from policies.documents import Unparsable
from policies.rule import Hit, Subject, rule

_CONTROLS = ("HDS EXI 28", "HIPAA 164.312(e)(1)", "GDPR 44-46", "SNC 13.2", "SNC 19.2")

#: docs.cilium.io/en/stable/network/clustermesh/services (the second before Cilium 1.12), and Linkerd's label.
_SHARED = ("service.cilium.io/global", "io.cilium/global-service", "mirror.linkerd.io/exported")


@rule(
    "clusters-joined.services",
    title="A Service may be shared with clusters of the zone only",
    routes=["K34"],
    controls=_CONTROLS,
    fix="Keep the Service to its own cluster, or declare in the zone where the other clusters are.",
    pack="residency",
    severity="critical",
    kinds=["core/Service", "multicluster.x-k8s.io/ServiceExport", "multicluster.x-k8s.io/ServiceImport"],
)
def services(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A Service that is shared among clusters is answered by any of them: a request leaves for another
    cluster when this one is busy, or always. Where the others are, no plan of this one shows, so somebody
    must answer for it (`declared` in the zone)."""
    assert subject.resource is not None
    if zone.declares("K34", subject.plan.at):
        return
    if subject.resource.kind != "core/Service":
        yield subject.undecided(
            "", seen=subject.resource.kind or "", why="where the other clusters are is not told here"
        )
    for place in (subject["metadata"]["annotations"], subject["metadata"]["labels"]):
        for name in _SHARED:
            if (place[name].text() or "false").lower() != "false":
                yield subject.undecided(
                    place[name], seen=name, why="where the clusters that share it are is not told here"
                )


@rule(
    "clusters-joined.remotes",
    title="Clusters that are named to a mesh must be in the zone",
    routes=["K34"],
    controls=_CONTROLS,
    fix="Name API servers and endpoints of the zone.",
    pack="residency",
    severity="critical",
    kinds=["core/Secret"],
)
def remotes(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A mesh learns of other clusters from Secrets: Cilium's `cilium-clustermesh` names their etcd, a Secret
    with Istio's label istio/multiCluster holds a kubeconfig. Calls may then go to pods there."""
    # docs.cilium.io, network/clustermesh; istio.io/latest/docs/setup/install/multicluster
    metadata = subject["metadata"]
    cilium = metadata["name"].text() == "cilium-clustermesh"
    istio = metadata["labels"]["istio/multiCluster"].text() == "true"
    for _, node in entries.entries(subject) if cilium or istio else ():
        try:
            documents = entries.mappings(node)
        except Unparsable:
            continue  # a certificate or a key
        for document in documents:
            for inner in entries.inside(document):
                for one in (*inner["endpoints"].each(), inner["server"]):
                    yield from targets.judge(subject, one, zone, what="calls to other clusters")
