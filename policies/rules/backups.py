"""Backups and snapshots: where copies of volumes, of objects and of etcd are kept."""

from collections.abc import Iterator

from facts.zones import Zone
from policies import called, carried, control_plane
from policies.control_plane import K3S
from policies.kubernetes import PODS, namespace
from policies.model import Node
from policies.rule import Hit, Subject, rule
from policies.walkers import hosts

_CONTROLS = ("HDS EXI 01", "HDS EXI 18", "HDS EXI 28", "HIPAA 164.308(a)(7)", "GDPR 44-46", "SNC 19.2")
_FIX = "Keep copies in a region, on a host or with a driver of the zone, and name it."

_KEPT = "copies are kept there"
#: Velero's plugins that keep snapshots in a cloud, and the setting that says in which region
#: (velero-plugin-for-aws, velero-plugin-for-gcp: volumesnapshotlocation.md).
_SNAPSHOTS = {"aws": "region", "gcp": "snapshotLocation"}
#: docs.k3s.io/cli/etcd-snapshot
_DEFAULT = "s3.amazonaws.com"


@rule(
    "backups.velero",
    title="Velero may keep backups in the zone only",
    routes=["K38"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="residency",
    severity="critical",
    kinds=["velero.io/BackupStorageLocation", "velero.io/VolumeSnapshotLocation"],
)
def velero(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A backup holds every object, Secrets too, and every volume. Where the region of a bucket isn't given,
    the plugin asks the cloud for it, so the bucket may be anywhere."""
    assert subject.resource is not None
    spec, config = subject["spec"], subject["spec"]["config"]
    yield from called.settings(subject, config, zone, _KEPT)
    provider = (spec["provider"].text() or "").removeprefix("velero.io/")
    if subject.resource.kind == "velero.io/BackupStorageLocation":
        if not (config["s3Url"].absent and config["storageAccountURI"].absent):
            return  # judged with the other settings
        key = "region" if provider == "aws" else None
    else:
        if provider == "csi":
            return  # VolumeSnapshotClasses say where
        key = _SNAPSHOTS.get(provider)
    if key is not None:
        told = "the bucket or the cloud decides where they are kept"
        yield from called.region(subject, config[key], zone, provider, _KEPT, absent=told)
    else:
        yield subject.undecided(
            spec["provider"], seen=provider or "no provider", why="where it keeps copies is not told"
        )


@rule(
    "backups.snapshots",
    title="Snapshots may be kept by drivers of the zone only",
    routes=["K38"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="residency",
    severity="critical",
    kinds=["snapshot.storage.k8s.io/VolumeSnapshotClass", "snapshot.storage.k8s.io/VolumeSnapshotContent"],
)
def snapshots(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A snapshot is a copy of a volume, and the class of snapshots, not that of volumes, says where it is
    kept: some drivers put snapshots into a bucket, or into several regions."""
    for where in (subject["driver"], subject["spec"]["driver"]):
        driver = where.text()
        if driver is not None and driver not in zone.provisioners:
            yield subject.refuse(where, seen=driver, why=f"zone {zone.name} doesn't name this driver")
    yield from called.settings(subject, subject["parameters"], zone, _KEPT)


@rule(
    "backups.longhorn",
    title="Longhorn may keep backups in the zone only",
    routes=["K38"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="residency",
    severity="critical",
    kinds=["longhorn.io/BackupTarget"],
)
def longhorn(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """All volumes are copied to the backup target. `s3://bucket@region/` is Amazon's S3 in that region,
    unless the Secret beside it names an endpoint of its own."""
    where = subject["spec"]["backupTargetURL"]
    text = where.text()
    if not text:
        return
    if not text.startswith("s3://"):
        yield from called.host(subject, where, zone, _KEPT)
        return
    secret = subject["spec"]["credentialSecret"].text()
    holder = subject.plan.by_object.get(("core/Secret", namespace(subject) or "", secret or ""))
    look = Subject(subject.plan, holder, subject.touched)
    own = [file for file in carried.files(look) if file.name == "AWS_ENDPOINTS"] if holder else []
    for file in own:
        endpoint = Node(file.text, where.path, where.touched)
        yield from called.host(subject, endpoint, zone, _KEPT, secret=True)
    if own:
        return
    region = Node(hosts.host_of(text), where.path, where.touched)
    yield from called.region(subject, region, zone, "aws", _KEPT, absent="it names no region")


@rule(
    "backups.etcd",
    title="Snapshots of etcd may be kept in the zone only",
    routes=["K38"],
    controls=(*_CONTROLS, "HIPAA 164.312(a)(2)(iv)"),
    fix="Set etcd-s3-endpoint to a host of the zone, or leave snapshots on the servers.",
    pack="residency",
    severity="critical",
    kinds=[*carried.HOLDERS, *PODS],
)
def etcd(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """etcd holds every object, Secrets too. k3s and RKE2 send its snapshots to Amazon's S3 where etcd-s3 is
    on and no endpoint is named."""
    for told in control_plane.programs(subject):
        if told.program != K3S or not any(flag.startswith("etcd-s3") for flag in told.flags):
            continue
        endpoint, elsewhere = told.flags.get("etcd-s3-endpoint"), told.flags.get("etcd-s3-config-secret")
        if endpoint is not None:
            text = Node(endpoint.text, endpoint.where.path, subject.touched)
            yield from called.host(subject, text, zone, _KEPT)
        elif elsewhere is None:
            yield subject.refuse(told.where, seen=_DEFAULT, why=f"{_KEPT}, because no endpoint is named")
        elif ("core/Secret", "kube-system", elsewhere.text) not in subject.plan.by_object:
            yield subject.undecided(
                elsewhere.where, seen="a Secret that is not here", why="it says where they are kept"
            )
