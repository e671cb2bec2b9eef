"""The record of requests: a model that answers has a gateway before it, and an audit service that keeps what
was asked, when and for which purpose, in a chain that shows what was changed."""

from collections.abc import Iterator

from facts.zones import Zone
from policies import command_line, control_plane, estate, kubernetes
from policies.command_line import Environment, Word
from policies.estate import AUDIT, GATEWAY
from policies.kubernetes import Pod, namespace
from policies.rule import Hit, Subject, rule


@rule(
    "audit-sink.missing",
    title="Engines need a gateway, an audit service and the key of its chain",
    routes=["K50"],
    controls=(
        "HDS EXI 15",
        "HDS EXI 16",
        "HIPAA 164.308(a)(1)(ii)(D)",
        "HIPAA 164.312(b)",
        "GDPR 32",
        "AI Act 12",
    ),
    fix="Plan the gateway with --audit, the audit service with --chain-key and the Secret that it names.",
    pack="protection",
    severity="critical",
    scope="plan",
    needs_whole=True,
)
def missing(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Without them nobody can tell afterwards who asked the model what, and whoever reaches it needs no
    permission. Scaled to none counts as missing. Without its key the chain of records proves nothing."""
    found = estate.engine(subject.plan)
    if found is None:
        return
    look, engine = found
    where = engine.container.pod.node
    gateways = list(estate.running(subject.plan, GATEWAY))
    audits = list(estate.running(subject.plan, AUDIT))
    for app, pods in ((GATEWAY, gateways), (AUDIT, audits)):
        if not pods:
            yield kubernetes.hit(look, where, seen=f"no {app}", why="requests leave no record")
    for own, pod in gateways:
        if not any("audit" in flags for flags in _flags(own, pod)):
            yield kubernetes.hit(own, pod.spec, seen="no --audit", why="it tells nobody what was asked")
        yield from kubernetes.untold(own)
    for own, pod in audits:
        if not any(_has_key(own, pod, flags) for flags in _flags(own, pod)):
            yield kubernetes.hit(own, pod.spec, seen="no key", why="its records can be changed unnoticed")
        yield from kubernetes.untold(own)


def _flags(look: Subject, pod: Pod) -> Iterator[dict[str, Word]]:
    for container in pod.containers():
        yield dict(control_plane.flags(command_line.words(container, Environment(container, look))))


def _has_key(look: Subject, pod: Pod, flags: dict[str, Word]) -> bool:
    """Whether the key of the chain lies on a volume that is a Secret of the plan."""
    key = flags.get("chain-key")
    if key is None:
        return False
    secrets = {
        volume["name"].text(): volume["secret"]["secretName"].text() for volume in pod.spec["volumes"].each()
    }
    for container in pod.containers():
        for mount in container.node["volumeMounts"].each():
            path, secret = str(mount["mountPath"].text()), secrets.get(mount["name"].text())
            inside = f"{key.text}/".startswith(f"{path.rstrip('/')}/")
            if inside and ("core/Secret", namespace(look) or "", secret or "") in look.plan.by_object:
                return True
    return False
