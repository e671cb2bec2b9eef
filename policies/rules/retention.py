"""Retention: how long the record of requests and the logs of accesses are kept, and whether they can be
deleted before.

How long is the zone's word (`retention`, with the text that asks for it). A store that deletes earlier loses
what an audit asks for; one that keeps longer than the zone allows keeps personal data without a reason.
"""

import math
import re
from collections.abc import Iterator
from typing import Final

from facts.zones import Zone
from policies import carried, command_line, control_plane, kubernetes
from policies.command_line import Environment
from policies.estate import AUDIT
from policies.kubernetes import PODS, looks, quiet
from policies.model import Node
from policies.rule import Hit, Subject, rule

_CONTROLS = (
    "HIPAA 164.312(b)",
    "HIPAA 164.312(c)(1)",
    "HIPAA 164.316(b)(2)(i)",
    "HDS EXI 15",
    "GDPR 5(1)(e)",
    "AI Act 12",
    "AI Act 19",
    "AI Act 26(5)(6)",
)
_FIX = "Keep records for as long as the zone's `retention` says, on storage that outlives what wrote them."

_FLAG = "retention-days"
_UNTOLD = "for how long records are kept is not told"
_CLAIM: Final = "core/PersistentVolumeClaim"
_VOLUME: Final = "core/PersistentVolume"
_LOCK: Final = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"
_VAULT_LOCK: Final = "aws:backup/vaultLockConfiguration:VaultLockConfiguration"
_LOG_GROUP: Final = "aws:cloudwatch/logGroup:LogGroup"

#: Keys after whose time a log store deletes: Loki's, and those of index policies of OpenSearch and
#: Elasticsearch, where `min_age` counts below `delete` (grafana.com/docs/loki, docs.opensearch.org,
#: elastic.co/guide).
_PERIODS = ("min_index_age", "retention_period")
_DURATION = re.compile(r"(\d+)(ms|[smhdwy])")
_DAYS = {"h": 1 / 24, "d": 1.0, "w": 7.0, "y": 365.0}


@rule(
    "retention.audit",
    title="The audit service must keep its records for as long as the zone says",
    routes=["K51"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="protection",
    kinds=PODS,
)
def audit(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """The audit service keeps records for --retention-days."""
    for pod in kubernetes.pods(subject):
        if quiet(pod.labels)["app"].text() != AUDIT:
            continue
        lines = (
            command_line.words(container, Environment(container, subject)) for container in pod.containers()
        )
        given = [word for line in lines for name, word in control_plane.flags(line) if name == _FLAG]
        if not given:
            yield from _judge(subject, pod.spec, None, zone)
        for word in given:
            days = float(word.text) if word.text.isdecimal() else None
            yield from _judge(subject, word.where, days, zone)


@rule(
    "retention.volumes",
    title="The volume of audit records must outlive its claim",
    routes=["K51"],
    controls=_CONTROLS,
    fix="Use a StorageClass with reclaimPolicy: Retain, and declare K51 where the class isn't in the plan.",
    pack="protection",
    kinds=["apps/StatefulSet", _CLAIM, _VOLUME],
)
def volumes(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A claim that goes takes its volume with it, unless the class, or the volume itself, says Retain; a
    class that says nothing says Delete. A StatefulSet can be told to delete its claims."""
    assert subject.resource is not None
    spec = subject["spec"]
    if subject.resource.kind == _CLAIM:
        if _of_audit(subject["metadata"]):
            yield from _claim(subject, spec, zone)
    elif subject.resource.kind == _VOLUME:
        policy = spec["persistentVolumeReclaimPolicy"]
        if policy.text() not in (None, "Retain") and _holds_records(subject):
            yield subject.refuse(policy, seen="not Retain", why="the volume is deleted with its claim")
    elif _of_audit(spec["template"]["metadata"]):
        for _, where in spec["persistentVolumeClaimRetentionPolicy"].members():
            if where.text() == "Delete":
                yield subject.refuse(where, seen="Delete", why="records go with the StatefulSet or its pods")
        for template in spec["volumeClaimTemplates"].each():
            yield from _claim(subject, template["spec"], zone)


@rule(
    "retention.stores",
    title="Log stores must keep logs for as long as the zone says",
    routes=["K51"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="protection",
    kinds=carried.HOLDERS,
)
def stores(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Loki, OpenSearch and Elasticsearch delete by a period in their configuration."""
    assert subject.resource is not None
    for leaf in subject.resource.leaves or ():
        if leaf.key in _PERIODS or (leaf.key == "min_age" and "delete" in leaf.keys):
            yield from _judge(subject, leaf.path, _days(str(leaf.value)), zone)


@rule(
    "retention.buckets",
    title="Locked buckets, locked vaults and log groups must keep what they hold for as long as the zone says",
    routes=["K51"],
    controls=_CONTROLS,
    fix="Set a default retention in mode COMPLIANCE, of as many days as the zone's `retention` says.",
    pack="protection",
    types=[_LOCK, _LOG_GROUP, _VAULT_LOCK],
)
def buckets(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """In mode GOVERNANCE, whoever has the right deletes before the time; without a default nothing is locked
    that isn't locked one by one. A log group without a time keeps for ever. Backups hold records too, and may
    be deleted when the lock of their vault ends."""
    assert subject.resource is not None
    if subject.resource.type == _LOG_GROUP:
        yield from _judge(subject, "retentionInDays", subject["retentionInDays"].number() or math.inf, zone)
        return
    if subject.resource.type == _VAULT_LOCK:
        yield from _judge(subject, "minRetentionDays", subject["minRetentionDays"].number(), zone)
        return
    kept = subject["rule"]["defaultRetention"]
    if kept["mode"].text() != "COMPLIANCE":
        yield subject.refuse(
            kept["mode"], seen="not COMPLIANCE", why="what is kept can be deleted before its time"
        )
    years = math.ceil(365.25 * (kept["years"].number() or 0))
    yield from _judge(subject, kept, (kept["days"].number() or 0) + years, zone)


def _judge(subject: Subject, where: Node | str, days: float | None, zone: Zone) -> Iterator[Hit]:
    term = zone.retention
    if term is None or days is None:
        yield subject.undecided(where, seen="no number of days", why=_UNTOLD)
    elif days < term.minimum:
        yield subject.refuse(where, seen=f"{days:.0f} days", why=f"less than {term.minimum}, by {term.basis}")
    elif term.maximum is not None and days > term.maximum:
        yield subject.refuse(where, seen=f"{days:.0f} days", why=f"more than {term.maximum}, by {term.basis}")


def _of_audit(metadata: Node) -> bool:
    return quiet(metadata)["labels"]["app"].text() == AUDIT


def _holds_records(subject: Subject) -> bool:
    """Whether a volume is that of a claim on the records: it names the claim, or the claim names it."""
    own, kept_for = quiet(subject["metadata"])["name"].text(), quiet(subject["spec"])["claimRef"]
    for look in looks(subject.plan, (_CLAIM,)):
        names_it = kept_for["name"].text() == quiet(look["metadata"])["name"].text()
        if _of_audit(look["metadata"]) and (names_it or look["spec"]["volumeName"].text() == own):
            return True
    return False


def _claim(subject: Subject, spec: Node, zone: Zone) -> Iterator[Hit]:
    """Findings for the class of a claim on the records; a volume of the plan says for itself what becomes of
    it."""
    if (_VOLUME, "default", spec["volumeName"].text()) in subject.plan.by_object:
        return
    where = spec["storageClassName"]
    found = subject.plan.by_object.get(("storage.k8s.io/StorageClass", "default", where.text() or ""))
    if found is not None:
        if found.inputs.get("reclaimPolicy") != "Retain":
            yield subject.refuse(where, seen="not Retain", why="the volume is deleted with its claim")
    elif subject.plan.whole and not zone.declares("K51", subject.plan.at):
        yield subject.undecided(
            where, seen="a class that is not here", why="whether the volume outlives its claim is not told"
        )


def _days(text: str) -> float | None:
    """A duration in days, as Go and index policies write it; nothing is for ever."""
    parts = _DURATION.findall(text)
    if not text.strip("0s"):
        return math.inf
    if "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(int(number) * _DAYS.get(unit, 0) for number, unit in parts)
