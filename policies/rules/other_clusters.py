"""Dispatch: pods that are planned for this cluster and run on another one."""

import re
from collections.abc import Iterator

from facts.zones import Zone
from policies import called, carried, kubernetes
from policies.kubernetes import PODS, looks, quiet
from policies.model import Node
from policies.rule import Hit, Subject, rule

_CONTROLS = ("HDS EXI 28", "HIPAA 164.310(d)(1)", "GDPR 44-46", "SNC 19.2")
_FIX = "Name each cluster, on a host of the zone, in the same plan."

_RUN = "pods run there"
_UNTOLD = "where that cluster is, is not told"
_MULTIKUEUE = "kueue.x-k8s.io/multikueue"
#: Taints and annotations of nodes and schedulers that stand for another cluster or a container service
#: (docs.liqo.io, admiralty.io, virtual-kubelet.io, learn.microsoft.com on virtual nodes).
_VIRTUAL = re.compile(
    r"virtual-node\.liqo\.io/.*|virtual-kubelet\.io/.*|azure\.com/aci|liqo\.io/type|multicluster\.admiralty\.io/elect"
)


@rule(
    "other-clusters.kueue",
    title="Kueue may dispatch jobs to clusters of the zone only",
    routes=["K43"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="residency",
    severity="critical",
    kinds=[
        "kueue.x-k8s.io/AdmissionCheck",
        "kueue.x-k8s.io/MultiKueueCluster",
        "kueue.x-k8s.io/MultiKueueConfig",
    ],
)
def kueue(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """MultiKueue sends jobs, with all that they mount, to the clusters that kubeconfigs in Secrets name."""
    assert subject.resource is not None
    spec = subject["spec"]
    if subject.resource.kind == "kueue.x-k8s.io/MultiKueueCluster":
        source = spec if spec["clusterSource"].absent else spec["clusterSource"]
        yield from _kubeconfig(subject, source["kubeConfig"]["location"], zone)
    elif spec["controllerName"].text() == _MULTIKUEUE:
        yield from _known(subject, "kueue.x-k8s.io/MultiKueueConfig", spec["parameters"]["name"])
    for cluster in spec["clusters"].each():
        yield from _known(subject, "kueue.x-k8s.io/MultiKueueCluster", cluster)


@rule(
    "other-clusters.karmada",
    title="Karmada may propagate to clusters of the zone only",
    routes=["K43"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="residency",
    severity="critical",
    kinds=[
        "cluster.karmada.io/Cluster",
        "policy.karmada.io/ClusterPropagationPolicy",
        "policy.karmada.io/PropagationPolicy",
    ],
)
def karmada(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A policy copies objects to member clusters: to those that it names, or, where it names none, to all
    that have joined."""
    assert subject.resource is not None
    spec = subject["spec"]
    if subject.resource.kind == "cluster.karmada.io/Cluster":
        yield from called.host(subject, spec["apiEndpoint"], zone, _RUN, absent=_UNTOLD)
        return
    placement = spec["placement"]
    for affinity in (placement["clusterAffinity"], *placement["clusterAffinities"].each()):
        named = list(affinity["clusterNames"].each())
        for cluster in named:
            yield from _known(subject, "cluster.karmada.io/Cluster", cluster)
        if not named and (not affinity.absent or placement["clusterAffinities"].absent):
            yield subject.undecided(
                affinity, seen="no names", why="it goes to whichever clusters have joined by then"
            )


@rule(
    "other-clusters.pods",
    title="Pods may not be meant for nodes that are another cluster",
    routes=["K43"],
    controls=_CONTROLS,
    fix="Remove the toleration, selector, annotation or managedBy: pods then run on the cluster's own nodes.",
    pack="residency",
    severity="critical",
    kinds=PODS,
)
def pods(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A virtual node is another cluster, or a container service, that looks like a node. Pods come there only
    if they tolerate it, ask for it, or are elected for it by an annotation."""
    manager = subject["spec"]["managedBy"]
    if manager.text() == _MULTIKUEUE:
        yield subject.refuse(manager, seen=_MULTIKUEUE, why="the job is dispatched to another cluster")
    for pod in kubernetes.pods(subject):
        asked = [
            *((toleration["key"].text() or "", toleration) for toleration in pod.spec["tolerations"].each()),
            *pod.spec["nodeSelector"].members(),
            *pod.annotations.members(),
        ]
        for key, where in asked:
            if _VIRTUAL.fullmatch(key):
                yield subject.refuse(where, seen=key, why="it is for nodes that are another cluster")


def _known(subject: Subject, kind: str, name: Node) -> Iterator[Hit]:
    """An undecided finding where the plan has no object of that name, which would have been judged."""
    text = name.text()
    if (kind, "default", text) not in subject.plan.by_object:
        yield subject.undecided(name, seen="a cluster that is not in the plan", why=_UNTOLD)


def _kubeconfig(subject: Subject, name: Node, zone: Zone) -> Iterator[Hit]:
    """Findings for the servers of a kubeconfig in a Secret of the plan."""
    text = name.text()
    found = [
        server
        for look in looks(subject.plan, ("core/Secret",))
        if quiet(look["metadata"])["name"].text() == text
        for _, config in carried.objects(look, "Config")
        for cluster in config["clusters"].each()
        if (server := cluster["cluster"]["server"].text()) is not None
    ]
    for server in found:
        where = Node(server, name.path, name.touched)
        yield from called.host(subject, where, zone, _RUN, secret=True)
    if not found:
        yield subject.undecided(name, seen="a kubeconfig that is not in the plan", why=_UNTOLD)
