"""The closed world: a package or a type on which no rule has an opinion is refused, under any of its
spellings."""

import re
from collections.abc import Iterator

from facts.zones import Zone
from policies.model import UNKNOWN, Resource
from policies.rule import Hit, Subject, rule

#: Packages that run code or commands which no rule can read.
_CODE = ("pulumi-python", "pulumi-nodejs", "pulumi-nodejs-dynamic", "dynamic")
_COMMANDS = ("command",)

#: Packages and versions that spell the types of another package a second time.
_TWIN_PACKAGES = ("aws-native", "azure")
_VERSIONED = re.compile(r"^azure-native(?:_[a-z0-9]+)?_v\d|^azure-native:[a-z0-9]+/v\d")

_LISTED = "Use a type of the closed world, or add it to the site's types.yaml with rules that judge it."


def is_allowed(resource: Resource, types: frozenset[str]) -> bool:
    """Whether the closed world holds the resource's type, by token or by Kubernetes group/Kind."""
    return resource.type in types or (resource.kind is not None and resource.kind in types)


@rule(
    "closed-world.package",
    title="A provider's package must be on the list",
    routes=["P08", "P10"],
    controls=["HDS EXI 06", "HDS EXI 30", "GDPR 28", "HIPAA 164.308(b)"],
    fix="Use a provider of the closed world, or add `pulumi:providers:PACKAGE` to the site's types.yaml.",
    pack="every",
    severity="critical",
    types=["pulumi:providers:*"],
)
def package(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A provider of a package that no rule knows can put data anywhere; one with parameters can be any
    package."""
    resource = subject.resource
    assert resource is not None
    if resource.package in (*_CODE, *_COMMANDS):
        return  # refused below, for what it is
    if resource.type not in subject.plan.allowed_types:
        twin = resource.package in _TWIN_PACKAGES or bool(_VERSIONED.match(resource.package))
        yield subject.refuse(
            "",
            seen=resource.type,
            why="its package is not on the closed-world list, so no rule judges what it makes",
            route="P10" if twin else "P08",
        )
    for key in ("parameterization", "pluginDownloadURL"):
        for inner in (subject[key], subject["__internal"][key]):
            if not inner.absent:
                yield subject.refuse(
                    inner,
                    seen=key,
                    why="it makes this provider another program than the package of that name",
                    route="P10",
                    fix="Use the package's own plugin, installed beforehand.",
                )


@rule(
    "closed-world.type",
    title="A resource's type must be on the list",
    routes=["P09", "P10", "P15", "P16"],
    controls=["HDS EXI 01", "HDS EXI 06", "HIPAA 164.308(a)(8)"],
    fix=_LISTED,
    pack="every",
    severity="critical",
    types=["*"],
)
def type_token(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A type that is not listed is refused, also under a twin token: no opinion must not mean open."""
    resource = subject.resource
    assert resource is not None
    if resource.is_provider or resource.package in (*_CODE, *_COMMANDS):
        return
    if is_allowed(resource, subject.plan.allowed_types):
        return
    route, why = "P09", "no rule has an opinion on this type, and what no rule judges is refused"
    if resource.package in _TWIN_PACKAGES or _VERSIONED.match(resource.type):
        route, why = "P10", "it is a second spelling of types that the rules know by another token"
    elif resource.kind == "helm.sh/Release":
        route, why = "P15", "the objects of a Helm release are never registered, so no rule sees them"
    elif resource.package == "aws" and re.match(r"aws:(cloudformation|cloudcontrol)/", resource.type):
        route, why = "P16", "the template within it is opaque to the rules"
    yield subject.refuse("", seen=resource.type, why=why, route=route)


@rule(
    "closed-world.object",
    title="An object of a Kubernetes list must say what it is",
    routes=["P10", "P22"],
    controls=["HIPAA 164.308(a)(8)"],
    fix="Write each item with its apiVersion and kind, or each object as a resource of its own.",
    pack="every",
    kinds=["*/*"],
)
def named_object(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """An object's apiVersion and kind may not contradict its type token, nor be unknown: rules go by them."""
    resource = subject.resource
    assert resource is not None
    for key in ("apiVersion", "kind"):
        if resource.inputs.get(key) is UNKNOWN:
            subject[key].text()
            return
    version, kind = subject["apiVersion"].text(), subject["kind"].text()
    if version is None or kind is None:
        return
    group = version.rpartition("/")[0] or "core"
    token = resource.type.split(":")[2]
    base = kind.removesuffix("List") if token.endswith("List") else kind
    if resource.kind not in (f"{group}/{base}", f"{group}/{kind}"):
        yield subject.refuse(
            "kind",
            seen=f"{group}/{kind} as {resource.type}",
            why="the object is another kind than its type says, so the wrong rules would judge it",
        )


@rule(
    "closed-world.dynamic",
    title="No dynamic resources",
    routes=["P12"],
    controls=["HDS EXI 06", "HIPAA 164.308(a)(8)", "SNC 12.14"],
    fix="Write a resource of a listed type instead.",
    pack="every",
    severity="critical",
    types=[
        "pulumi-python:*",
        "pulumi-nodejs:*",
        "pulumi:providers:pulumi-python",
        "pulumi:providers:pulumi-nodejs",
    ],
)
def dynamic(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A dynamic resource is pickled code that runs at `up`, where no rule sees what it does. A list can't
    allow it."""
    assert subject.resource is not None
    yield subject.refuse("", seen=subject.resource.type, why="it is code inside the state, which runs unseen")


@rule(
    "closed-world.command",
    title="No commands",
    routes=["P13"],
    controls=["HDS EXI 06", "HIPAA 164.308(a)(8)", "SNC 12.14"],
    fix="Write a resource of a listed type instead, or run the command elsewhere, where it is reviewed.",
    pack="every",
    severity="critical",
    types=["command:*", "pulumi:providers:command"],
)
def command(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """`command:*` runs any program, here or on a remote machine, and copies anything. No list allows it."""
    assert subject.resource is not None
    yield subject.refuse("", seen=subject.resource.type, why="it runs any command, which no rule can judge")
