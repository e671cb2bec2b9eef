"""Pods that step out of their own network or into the node's: there NetworkPolicies don't hold."""

import re
from collections.abc import Iterator

from facts.zones import Zone
from policies import kubernetes
from policies.kubernetes import PODS, Pod, Power
from policies.model import Node
from policies.rule import Cel, Hit, Subject, rule
from policies.walkers import hosts

_CONTROLS = ("HDS EXI 05", "HIPAA 164.312(e)(1)", "GDPR 32", "SNC 13.2", "ISO 27001 A.8.22")

#: Capabilities that the baseline of the Pod Security Standards lets a container add. With others it can
#: rewrite the node's filters, forge packets, or become the node (capabilities(7)).
_HARMLESS = re.compile(
    r"AUDIT_WRITE|CHOWN|DAC_OVERRIDE|FOWNER|FSETID|KILL|MKNOD|NET_BIND_SERVICE|SETFCAP|SETGID|SETPCAP|SETUID"
    r"|SYS_CHROOT"
)


@rule(
    "node-access.host-network",
    title="No pod may use the node's network",
    routes=["K09"],
    controls=_CONTROLS,
    fix="Remove hostNetwork: the pod then has a network of its own, where policies hold.",
    pack="egress",
    severity="critical",
    kinds=PODS,
    cel=[
        Cel("!has(variables.pod.hostNetwork) || !variables.pod.hostNetwork"),
    ],
)
def host_network(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A pod with hostNetwork sends from the node's own address, and NetworkPolicies don't apply to it,
    whatever they say: it reaches all that the node reaches. Only a system that the zone names by digest
    may."""
    for pod in kubernetes.pods(subject):
        if pod.spec["hostNetwork"].flag() and not kubernetes.may(subject, pod, "host-network", zone):
            yield subject.refuse(
                pod.spec["hostNetwork"],
                seen="hostNetwork",
                why="NetworkPolicies don't apply to the node's network",
            )


@rule(
    "node-access.privileges",
    title="No pod may reach into its node",
    routes=["K10"],
    controls=_CONTROLS,
    fix="Remove it; a pod of the service needs no port, no process and no privilege of its node.",
    pack="egress",
    severity="critical",
    kinds=PODS,
    cel=[
        Cel(
            "(!has(variables.pod.hostPID) || !variables.pod.hostPID) && (!has(variables.pod.hostIPC) "
            "|| !variables.pod.hostIPC)"
        ),
        Cel(
            "variables.containers.all(c, !has(c.ports) || c.ports.all(p, !has(p.hostPort) || "
            "p.hostPort == 0))"
        ),
        Cel(
            "variables.containers.all(c, !has(c.securityContext) || "
            "(!has(c.securityContext.privileged) || !c.securityContext.privileged) && "
            "(!has(c.securityContext.capabilities) || !has(c.securityContext.capabilities.add) || "
            "c.securityContext.capabilities.add.all(a, a == 'NET_BIND_SERVICE')))"
        ),
    ],
)
def privileges(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A hostPort opens a door on every node that runs the pod. The node's processes (hostPID, hostIPC), a
    privileged container, or capabilities such as NET_ADMIN let it rewrite the very filter that holds it, or
    read what others on the node keep in memory. Only systems that the zone names by digest may."""
    for pod in kubernetes.pods(subject):
        for where, power, seen, why in _reaches(pod):
            if not kubernetes.may(subject, pod, power, zone):
                yield subject.refuse(where, seen=seen, why=why)


def _reaches(pod: Pod) -> Iterator[tuple[Node, Power, str, str]]:
    """Where a pod reaches into its node, by which power, what is seen there, and why it leaks."""
    for key in ("hostPID", "hostIPC"):
        if pod.spec[key].flag():
            yield pod.spec[key], "privileged", key, "it shows the pod what else runs on the node"
    yield from _host_process(pod.spec["securityContext"])
    for container in pod.containers():
        context = container.node["securityContext"]
        for port in container.node["ports"].each():
            number = port["hostPort"].number()
            if number:
                why = "it opens the port on the node itself"
                yield port["hostPort"], "host-network", f"hostPort {number:.0f}", why
        if context["privileged"].flag():
            why = "it can rewrite the filter that holds it"
            yield context["privileged"], "privileged", "privileged", why
        yield from _host_process(context)
        for added in context["capabilities"]["add"].each():
            text = added.text()
            if text is not None and not _HARMLESS.fullmatch(text.upper().removeprefix("CAP_")):
                why = "with it the container can get around its filter"
                yield added, "privileged", text[:32], why


def _host_process(context: Node) -> Iterator[tuple[Node, Power, str, str]]:
    where = context["windowsOptions"]["hostProcess"]
    if where.flag():
        yield where, "privileged", "hostProcess", "the container is a process of the node"


@rule(
    "node-access.probes",
    title="Probes and hooks may not call a host outside",
    routes=["K15"],
    controls=_CONTROLS,
    fix="Remove `host`: the probe then asks the pod itself.",
    pack="egress",
    kinds=PODS,
    cel=[
        Cel(
            "variables.containers.all(c, (!has(c.livenessProbe) || (!has(c.livenessProbe.httpGet) || "
            "!has(c.livenessProbe.httpGet.host)) && (!has(c.livenessProbe.tcpSocket) || "
            "!has(c.livenessProbe.tcpSocket.host))) && (!has(c.readinessProbe) || "
            "(!has(c.readinessProbe.httpGet) || !has(c.readinessProbe.httpGet.host)) && "
            "(!has(c.readinessProbe.tcpSocket) || !has(c.readinessProbe.tcpSocket.host))) && "
            "(!has(c.startupProbe) || (!has(c.startupProbe.httpGet) || "
            "!has(c.startupProbe.httpGet.host)) && (!has(c.startupProbe.tcpSocket) || "
            "!has(c.startupProbe.tcpSocket.host))) && (!has(c.lifecycle) || "
            "(!has(c.lifecycle.postStart) || !has(c.lifecycle.postStart.httpGet) || "
            "!has(c.lifecycle.postStart.httpGet.host)) && (!has(c.lifecycle.preStop) || "
            "!has(c.lifecycle.preStop.httpGet) || !has(c.lifecycle.preStop.httpGet.host))))"
        ),
    ],
)
def probes(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """The kubelet makes the calls of probes and hooks from the node, where no NetworkPolicy holds. With a
    `host` of its own, a probe is a call from the node to anywhere, every few seconds, also to the metadata
    service of a cloud."""
    for container in kubernetes.containers(subject):
        for handler in _handlers(container.node):
            for action in ("httpGet", "tcpSocket"):
                where = handler[action]["host"]
                text = where.text()
                host = hosts.host_of(text) if text else None
                if text and (host is None or not _stays(host, zone)):
                    yield subject.refuse(
                        where,
                        seen=host or "no readable host",
                        why=f"the node itself would call it, and it is outside zone {zone.name}",
                    )


def _handlers(container: Node) -> Iterator[Node]:
    for key in ("livenessProbe", "readinessProbe", "startupProbe"):
        yield container[key]
    for key in ("postStart", "preStop"):
        yield container["lifecycle"][key]


def _stays(host: str, zone: Zone) -> bool:
    address = hosts.address_of(host)
    if address is not None and address.is_link_local:
        return hosts.declared(host, zone)
    return hosts.inside(host, zone)
