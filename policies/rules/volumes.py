"""Volumes: which server or driver keeps what pods write, and whether it is encrypted there."""

import posixpath
import re
from collections.abc import Iterator

from facts import integrations
from facts.zones import Zone
from policies import buckets, called, kubernetes, vllm
from policies.kubernetes import PODS
from policies.model import Node
from policies.rule import Hit, Subject, rule
from policies.table import reach
from policies.vllm import Engine
from policies.walkers import context

_CONTROLS = ("HDS EXI 28", "HIPAA 164.310(d)(1)", "GDPR 32", "GDPR 44-46", "SNC 19.2")

_KEPT = "what pods write is kept there"
#: Sources that name a server themselves, and where (kubernetes.io/docs/concepts/storage/volumes).
_SERVERS = {"gitRepo": ("repository",), "iscsi": ("targetPortal", "portals[]"), "nfs": ("server",)}
#: Volumes of such a class are made by hand, and each says itself where it is.
_BY_HAND = "kubernetes.io/no-provisioner"
#: Mountpoint for Amazon S3: github.com/awslabs/mountpoint-s3-csi-driver, docs/CONFIGURATION.md
_OF_BUCKETS = "s3.csi.aws.com"
_OFF = ("", "disabled", "false", "none")
#: learn.microsoft.com/azure/storage/common/storage-redundancy: these copy to another region
_ELSEWHERE = re.compile(r".*_(?:ra)?gz?rs")


@rule(
    "volumes.servers",
    title="Volumes may lie on servers and drivers of the zone only",
    routes=["K36"],
    controls=_CONTROLS,
    fix="Name a server of the zone's hosts or networks, or a driver among the zone's `provisioners`.",
    pack="residency",
    severity="critical",
    kinds=["core/PersistentVolume", *PODS],
)
def servers(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A volume looks like a folder and may be a file server in another country: NFS and iSCSI name it, a
    driver (CSI, or one that was built into Kubernetes) decides it. The node mounts it, past every
    NetworkPolicy."""
    for source in _sources(subject):
        for kind, where in source.members():
            for path in _SERVERS.get(kind, ()):
                for node in reach(where, path):
                    yield from called.host(subject, node, zone, _KEPT)
            drivers = integrations.volume_sources().get(kind)
            if drivers is not None and not any(one in zone.provisioners for one in drivers):
                yield _unknown_driver(subject, where, kind, zone)
        driver = source["csi"]["driver"].text()
        if driver is not None and driver not in zone.provisioners:
            yield _unknown_driver(subject, source["csi"]["driver"], driver, zone)
        if driver == _OF_BUCKETS and not zone.declares("K36", subject.plan.at):
            bucket = source["csi"]["volumeAttributes"]["bucketName"]
            yield from buckets.judge(subject, bucket, zone, what="what pods read and write")
        yield from called.settings(subject, source["csi"]["volumeAttributes"], zone, _KEPT)


@rule(
    "volumes.read-only",
    title="A bucket is mounted to be read only",
    routes=["S05"],
    controls=["HIPAA 164.312(c)(1)", "AI Act 15", "ISO 27001 A.8.9"],
    fix="Set csi.readOnly to true, and accessModes to ReadOnlyMany alone.",
    pack="protection",
    kinds=["core/PersistentVolume"],
)
def read_only(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A bucket holds the weights of all engines: who gets into one and may write there decides what the others
    load tomorrow. A check of signatures at the start of a pod says nothing of what comes after."""
    source, modes = subject["spec"]["csi"], subject["spec"]["accessModes"]
    if source["driver"].text() != _OF_BUCKETS:
        return
    if not source["readOnly"].flag():
        yield subject.refuse(
            source["readOnly"], seen="not read-only", why="whoever mounts it may write there"
        )
    for mode in modes.each():
        if mode.text() != "ReadOnlyMany":
            yield subject.refuse(mode, seen="not ReadOnlyMany", why="a claim may ask to write there")


@rule(
    "volumes.weights",
    title="An engine may only read the claim that its weights lie on",
    routes=["S05"],
    controls=["HIPAA 164.312(c)(1)", "AI Act 15", "ISO 27001 A.8.9"],
    fix="Set readOnly on the mount or on the volume's claim; what an engine writes goes elsewhere.",
    pack="protection",
    kinds=PODS,
)
def weights(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Who gets into an engine that may write to its weights decides what it and the others load tomorrow. A
    check of signatures at the start of a pod says nothing of what comes after."""
    for engine in vllm.engines(subject):
        claims = {
            volume["name"].text(): volume["persistentVolumeClaim"]
            for volume in engine.container.pod.spec["volumes"].each()
            if not volume["persistentVolumeClaim"].absent
        }
        for mount in _mounts_of_weights(engine):
            claim = claims.get(mount["name"].text())
            if claim is not None and not claim["readOnly"].flag() and not mount["readOnly"].flag():
                yield subject.refuse(
                    mount["readOnly"],
                    seen="weights on a claim that may be written",
                    why="what is written there is served from the next start on",
                )


def _mounts_of_weights(engine: Engine) -> Iterator[Node]:
    """Where the model and its tokenizer lie."""
    read = (*engine.models[:1], *(flag.value for flag in engine.flags("model", "tokenizer")))
    for path in {posixpath.normpath(word.text) for word in read}:
        if (mount := engine.container.mount(path)) is not None:
            yield mount


@rule(
    "volumes.classes",
    title="Storage classes and drivers must be the zone's, and encrypt",
    routes=["K37"],
    controls=(*_CONTROLS, "HIPAA 164.312(a)(2)(iv)"),
    fix="Use a provisioner that the zone lists, with encryption on and every parameter inside the zone.",
    pack="residency",
    severity="critical",
    kinds=["storage.k8s.io/CSIDriver", "storage.k8s.io/StorageClass"],
)
def classes(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """The class decides on which system, in which region, under which key and whether encrypted at all each
    claim is kept. Some provisioners encrypt only where a parameter says so."""
    assert subject.resource is not None
    if subject.resource.kind == "storage.k8s.io/CSIDriver":
        where = subject["metadata"]["name"]
    else:
        where = subject["provisioner"]
    driver = where.text()
    if driver is not None and driver not in (*zone.provisioners, _BY_HAND):
        yield _unknown_driver(subject, where, driver, zone)
    parameters = subject["parameters"]
    switch = integrations.encrypted_by().get(driver or "")
    if switch is not None and parameters[switch].absent:
        yield subject.refuse(parameters, seen=f"no {switch}", why="without it, volumes are not encrypted")
    yield from called.settings(subject, parameters, zone, _KEPT)
    for key, value in parameters.members():
        text = (value.text() or "").lower()
        if any(word.startswith("encrypt") for word in context.words(key)) and text in _OFF:
            yield subject.refuse(value, seen=f"{key}: {text}", why="volumes are not encrypted")
        if _ELSEWHERE.fullmatch(text):
            yield subject.refuse(value, seen=text, why="such storage is copied to another region")


def _sources(subject: Subject) -> Iterator[Node]:
    """Where an object says what a volume is: a volume in its spec, a pod in a list."""
    yield subject["spec"]
    for pod in kubernetes.pods(subject):
        yield from pod.spec["volumes"].each()


def _unknown_driver(subject: Subject, where: Node, driver: str, zone: Zone) -> Hit:
    return subject.refuse(
        where,
        seen=driver,
        why=f"zone {zone.name} doesn't know this driver, so where it keeps data is not told",
    )
