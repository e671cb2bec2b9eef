"""Nodes of EKS: whether their disks are encrypted, whether pods can take their rights, and what they run."""

from collections.abc import Iterator
from typing import Final

from facts.zones import Zone
from policies import kubernetes, references
from policies.model import Node, Verdict
from policies.rule import Hit, Subject, rule

_GROUP: Final = "aws:eks/nodeGroup:NodeGroup"
_TEMPLATE: Final = "aws:ec2/launchTemplate:LaunchTemplate"
#: Where the system is, and where images and pods are (github.com/bottlerocket-os/bottlerocket, README,
#: default volumes); on other systems both are on the first.
_ROOT, _DATA = "/dev/xvda", "/dev/xvdb"

#: Images that AWS still mends: docs.aws.amazon.com/eks/latest/userguide/eks-optimized-amis.html (those of
#: Amazon Linux 2 ended in November 2025)
_MENDED: Final = ("AL2023_", "BOTTLEROCKET_")


@rule(
    "aws-nodes.disks",
    title="Every disk of a node is encrypted with a key of one's own",
    routes=["K37"],
    controls=["HIPAA 164.312(a)(2)(iv)", "HIPAA 164.310(d)(1)", "HDS EXI 30", "GDPR 32", "SNC 19.6"],
    fix="Give the group a launch template with encrypted and kmsKeyId for each disk; Bottlerocket has two.",
    pack="protection",
    severity="critical",
    types=[_GROUP],
)
def disks(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Images, logs, scratch space and what pods spill lie on the node's disks. The second one of Bottlerocket
    is the one that pods write, and it is as the image has it, unless the template names it too."""
    template = _template(subject)
    if template is None:
        yield from _without(subject, zone, "K37", "whether its disks are encrypted is not told")
        return
    given = [(one["deviceName"].text(), one["ebs"]) for one in template["blockDeviceMappings"].each()]
    bottlerocket = (subject["amiType"].text() or "").startswith("BOTTLEROCKET")
    for device in (_ROOT, _DATA) if bottlerocket else (_ROOT,):
        if device not in [name for name, _ in given]:
            yield kubernetes.hit(
                template, "blockDeviceMappings", seen=f"no {device}", why="that disk is as the image has it"
            )
    for _, disk in given:
        yield from _plain(template, disk)
    yield from kubernetes.untold(template)


@rule(
    "aws-nodes.metadata",
    title="Pods can't take the rights of their node",
    routes=["A57"],
    controls=["HDS EXI 29", "HIPAA 164.312(a)(1)", "HIPAA 164.308(a)(4)", "GDPR 32"],
    fix="Set metadataOptions httpTokens to required and httpPutResponseHopLimit to 1.",
    pack="egress",
    types=[_GROUP],
)
def metadata(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Every machine hands out the rights of its role at 169.254.169.254. Without a token one forged request
    of a pod gets them; with a limit of two hops a pod gets a token too."""
    template = _template(subject)
    if template is None:
        yield from _without(subject, zone, "A57", "whether pods can take its rights is not told")
        return
    options = template["metadataOptions"]
    if options["httpEndpoint"].text() != "disabled":
        tokens, hops = options["httpTokens"], options["httpPutResponseHopLimit"]
        if tokens.text() != "required":
            yield kubernetes.hit(template, tokens, seen="no token", why="a forged request gets its rights")
        if hops.number() != 1:
            yield kubernetes.hit(template, hops, seen="more than one hop", why="a pod gets its rights")
    yield from kubernetes.untold(template)


@rule(
    "aws-nodes.image",
    title="Nodes start from an image of AWS's own that is still mended",
    routes=["K16"],
    controls=["HDS EXI 06", "HIPAA 164.308(a)(8)", "HIPAA 164.312(c)(1)", "GDPR 32", "SNC 12.6"],
    fix="Set amiType to one of BOTTLEROCKET_* or AL2023_*, and leave imageId out of the launch template.",
    pack="protection",
    types=[_GROUP],
)
def image(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """The image of a node holds its kernel, its runtime and what reads every pod. Amazon Linux 2 isn't mended
    any more; what somebody has put into an image of their own no plan shows."""
    kind = subject["amiType"]
    name = kind.text()
    own = _template(subject)
    if name is not None and not name.startswith(_MENDED):
        yield subject.refuse(
            kind,
            seen="an image of one's own" if name == "CUSTOM" else "an image that isn't mended",
            why="what is in it no plan shows" if name == "CUSTOM" else "its faults stay as they are",
        )
    elif own is not None and not own["imageId"].absent and not zone.declares("K16", subject.plan.at):
        why = "what is in that image no plan shows"
        yield kubernetes.hit(own, "imageId", seen="imageId", why=why, verdict=Verdict.UNDECIDED)


def _template(subject: Subject) -> Subject | None:
    """The launch template of a group, where it is in the plan."""
    given = subject["launchTemplate"]
    for key in ("id", "name"):
        found = references.resolve(subject, given[key])
        if found is not None and found.type == _TEMPLATE:
            return Subject(subject.plan, found)
    return None


def _without(subject: Subject, zone: Zone, route: str, why: str) -> Iterator[Hit]:
    given = subject["launchTemplate"]
    if given.absent:
        yield subject.refuse(given, seen="no launch template", why="the group's machines are as AWS has them")
    elif not zone.declares(route, subject.plan.at):
        yield subject.undecided(given, seen="a template that is not in the plan", why=why)


def _plain(template: Subject, disk: Node) -> Iterator[Hit]:
    encrypted, key = disk["encrypted"], disk["kmsKeyId"]
    if encrypted.text() != "true":
        yield kubernetes.hit(
            template, encrypted, seen="not encrypted", why="what pods write lies there as it is"
        )
    elif key.absent:
        yield kubernetes.hit(template, key, seen="no key", why="it is encrypted with a key of AWS's own")
