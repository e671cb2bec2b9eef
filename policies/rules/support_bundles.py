"""Support bundles: logs, objects and Secrets of a whole cluster in one archive, made to be given away."""

import re
from collections.abc import Iterator

from facts.zones import Zone
from policies import called, carried, command_line, kubernetes
from policies.command_line import Environment
from policies.kubernetes import PODS, quiet
from policies.model import Node
from policies.rule import Hit, Subject, rule
from policies.walkers import images

_CONTROLS = (
    "HIPAA 164.312(b)",
    "HIPAA 164.308(b)",
    "HDS EXI 26",
    "HDS EXI 29",
    "GDPR 28",
    "GDPR 44-46",
    "SNC 12.14",
)

_SPECS = ("Preflight", "SupportBundle")
_SENT = "what was gathered is sent there"
_GATHERED = "it gathers what a vendor's support asks for"

_IMAGE = re.compile(r"must-gather|support-tools")
#: The first words of commands that gather (docs.openshift.com, kubernetes.io/docs/reference/kubectl, sos(1),
#: supportconfig(8), docs.nvidia.com, troubleshoot.sh).
_GATHERS = re.compile(
    r"(?:\S*/)?(?:oc adm must-gather|kubectl cluster-info dump|kubectl[ -]support[_-]bundle.*|"
    r"(?:support-bundle|sos|sosreport|supportconfig|nvidia-bug-report\.sh)(?: .*)?)"
)


@rule(
    "support-bundles.uploads",
    title="Support bundles may be sent to hosts of the zone only, without Secrets",
    routes=["K58"],
    controls=_CONTROLS,
    fix="Leave the upload out or name a host of the zone, and gather no values of Secrets.",
    pack="egress",
    kinds=["troubleshoot.sh/Preflight", "troubleshoot.sh/SupportBundle", *carried.HOLDERS],
)
def uploads(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A bundle can be uploaded when it is complete, call somebody back, and take its own instructions anew
    from an address each time. A ConfigMap or Secret can carry the instructions too."""
    yield from _spec(subject, subject["spec"], zone)
    for _, node in carried.objects(subject, *_SPECS):
        yield from _spec(subject, node["spec"], zone)


@rule(
    "support-bundles.jobs",
    title="No jobs that gather for support",
    routes=["K58"],
    controls=_CONTROLS,
    fix="Leave it out. In an incident, somebody of the zone gathers what is needed, and looks through it.",
    pack="egress",
    kinds=PODS,
)
def jobs(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """must-gather and its kin read logs, Secrets and the nodes themselves, and pack them for a vendor."""
    for container in kubernetes.containers(subject):
        image = images.parse(quiet(container.node)["image"].text() or "")
        if image is not None and _IMAGE.search(image.path):
            yield subject.refuse(container.node["image"], seen=image.path, why=_GATHERED)
        for command in command_line.simple(container, Environment(container, subject)):
            line = " ".join(word.text for word in command.words[:3])
            if _GATHERS.fullmatch(line):
                yield subject.refuse(command.words[0].where, seen=command.program, why=_GATHERED)


@rule(
    "support-bundles.operators",
    title="No objects that have data gathered and sent to a vendor",
    routes=["K58"],
    controls=_CONTROLS,
    fix="Leave it out. In an incident, somebody of the zone gathers what is needed, and looks through it.",
    pack="egress",
    kinds=[
        "insights.openshift.io/DataGather",
        "managed.openshift.io/MustGather",
        "operator.openshift.io/MustGather",
    ],
)
def operators(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """An operator gathers, and uploads to the vendor's own service unless it is told another."""
    assert subject.resource is not None
    yield subject.refuse("", seen=str(subject.resource.kind), why="what is gathered goes to a vendor")


def _spec(subject: Subject, spec: Node, zone: Zone) -> Iterator[Hit]:
    yield from called.host(subject, spec["uri"], zone, "its instructions come from there")
    yield from called.host(subject, spec["uploadResultsTo"], zone, _SENT)
    for step in spec["afterCollection"].each():
        for key in ("callback", "uploadResultsTo"):
            for where in (step[key]["uri"], step[key]["redirectUri"]):
                yield from called.host(subject, where, zone, _SENT)
    for collector in spec["collectors"].each():
        values = collector["secret"]["includeValue"]
        if values.flag():
            yield subject.refuse(values, seen="includeValue", why="the Secret itself is in the archive")
