"""Functions and machines at AWS: in which network they run, and what the text within them makes them do."""

import re
from collections.abc import Iterator

from facts.zones import Zone
from policies.model import Node
from policies.rule import Hit, Subject, rule
from policies.walkers import destinations, places, strings
from policies.walkers.strings import Leaf

_EGRESS = ("HIPAA 164.312(e)(1)", "HDS EXI 05", "GDPR 32", "SNC 12.14", "SNC 13.2")


@rule(
    "aws-compute.function",
    title="A function runs in the VPC",
    routes=["A48"],
    controls=_EGRESS,
    fix="Give the function vpcConfig with subnets and security groups.",
    pack="egress",
    severity="critical",
    types=["aws:lambda/function:Function"],
)
def function(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A function without subnets runs in a network of AWS's own, from which the whole internet is open to
    it."""
    subnets = subject["vpcConfig"]["subnetIds"]
    if subnets.absent or subnets.value == []:
        yield subject.refuse(
            subnets, seen="no subnets", why="it runs outside the VPC and may call anybody on the internet"
        )
    subnets.texts()  # what isn't known yet is remembered


#: Properties of EC2, Systems Manager, SageMaker and Image Builder that hold text which machines run or read.
_TEXTS = frozenset(
    (
        *("userData", "userDataBase64", "content", "parameters", "taskInvocationParameters"),
        *("onCreate", "onStart", "studioLifecycleConfigContent", "data"),
    )
)
#: What cloud-init takes for a line that does something, though it begins like a comment
#: (docs.cloud-init.io, user data formats): an include, with or without its URL on the same line, and `#!`.
_DOES = re.compile(r"(?m)^[ \t]*#(?:include(?:-once)?|!)")


@rule(
    "aws-compute.text",
    title="What machines are told to do leads nowhere outside the zone",
    routes=["A50"],
    controls=_EGRESS,
    fix="Take packages, images and settings from hosts of the zone; write the text so that it can be read.",
    pack="egress",
    severity="critical",
    types=["aws:ec2/*", "aws:ssm/*", "aws:sagemaker/*", "aws:imagebuilder/*"],
)
def text(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """User data and documents of Systems Manager run as root on every machine: they set proxies, time servers
    and repositories, and may upload what they like. They are read through base64, gzip and MIME; what stays
    packed after that can't be judged."""
    assert subject.resource is not None
    for leaf in subject.resource.leaves or ():
        if _TEXTS.isdisjoint(leaf.keys):
            continue
        if isinstance(leaf.value, str):
            yield from _judged(subject, leaf, leaf.value, zone)
        else:
            Node(leaf.value, leaf.path, subject.touched).text()


def _judged(subject: Subject, leaf: Leaf, value: str, zone: Zone) -> Iterator[Hit]:
    plain = _DOES.sub(" ", value)
    found = {(escape.seen, escape.why) for escape in destinations.escapes(leaf, plain, zone)}
    for place in (*places.arns(plain, zone), *places.named(leaf, plain, "aws", zone)):
        if place.outside:
            found.add((place.seen, f"it {place.outside}"))
    # docs.aws.amazon.com/systems-manager/latest/userguide/documents-command-ssm-plugin-reference.html: such a
    # step names owner and repository, and no host
    if leaf.key == "sourceType" and value.lower() == "github":
        found.add(("github.com", "the step takes what it runs from there"))
    for seen, why in sorted(found):
        yield subject.refuse(
            leaf.path,
            seen="in a secret, not shown" if leaf.secret else seen,
            why="it names a destination outside the zone" if leaf.secret else why,
        )
    if leaf.key in ("userData", "userDataBase64", "content") and strings.packed(value):
        yield subject.undecided(
            leaf.path, seen="packed text", why="what is in it can't be read, and a machine will run it"
        )
