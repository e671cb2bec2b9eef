"""The closed world: a package or a type on which no rule has an opinion is refused, under any of its
spellings."""

import re
from collections.abc import Iterator

from facts.zones import Zone
from policies.model import Resource
from policies.rule import Hit, Subject, rule

#: Packages, and types of them, that spell the types of another package a second time.
_TWIN_PACKAGE = re.compile(r"aws-native|azure|azure-native(?:_[a-z0-9]+)?_v\w+")
_TWIN_TYPE = re.compile(r"(?:aws-native|azure|azure-native(?:_[a-z0-9]+)?_v\w+):|azure-native:[a-z0-9]+/v\d")
#: Types that hold a template, or another resource, as text.
_TEMPLATE = re.compile(
    r"aws:(?:cloudformation|cloudcontrol)/|azure-native:resources:(?:Deployment\w*|Resource|TemplateSpec\w*)$"
)

_LISTED = "Use a type of the closed world, or add it to the site's types.yaml with rules that judge it."


def is_allowed(resource: Resource, types: frozenset[str]) -> bool:
    """Whether the closed world holds the resource's type, by token or by Kubernetes group/Kind."""
    return resource.type in types or resource.kind in types


@rule(
    "closed-world.type",
    title="A resource's type must be on the list",
    routes=["P08", "P09", "P10", "P15", "P16"],
    controls=["HDS EXI 01", "HDS EXI 06", "HDS EXI 30", "GDPR 28", "HIPAA 164.308(a)(8)", "HIPAA 164.308(b)"],
    fix=_LISTED,
    pack="every",
    severity="critical",
    types=["*"],
)
def type_token(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A type that is not listed is refused, also under a twin token: no opinion must not mean open. So is the
    provider of a package that no rule knows, which can put data anywhere."""
    resource = subject.resource
    assert resource is not None
    if is_allowed(resource, subject.plan.allowed_types):
        return
    route, why = "P09", "no rule has an opinion on this type, and what no rule judges is refused"
    if resource.is_provider:
        route = "P10" if _TWIN_PACKAGE.fullmatch(resource.package) else "P08"
        why = "its package is not on the closed-world list, so no rule judges what it makes"
    elif _TWIN_TYPE.match(resource.type):
        route, why = "P10", "it is a second spelling of types that the rules know by another token"
    elif resource.kind == "helm.sh/Release":
        route, why = "P15", "the objects of a Helm release are never registered, so no rule sees them"
    elif _TEMPLATE.match(resource.type):
        route, why = "P16", "the template within it is opaque to the rules"
    yield subject.refuse("", seen=resource.type, why=why, route=route)


@rule(
    "closed-world.package",
    title="A provider must be the package of its name",
    routes=["P10"],
    controls=["HDS EXI 06", "HDS EXI 30", "GDPR 28", "HIPAA 164.308(b)"],
    fix="Use the package's own plugin, installed beforehand.",
    pack="every",
    severity="critical",
    types=["pulumi:providers:*"],
)
def package(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A provider with parameters can be any package under a name of the list, and one from an address of its
    own any program."""
    for key in ("parameterization", "pluginDownloadURL"):
        for inner in (subject[key], subject["__internal"][key]):
            if not inner.absent:
                yield subject.refuse(
                    inner,
                    seen=key,
                    why="it makes this provider another program than the package of that name",
                )


@rule(
    "closed-world.object",
    title="An object of a Kubernetes list must say what it is",
    routes=["P10"],
    controls=["HIPAA 164.308(a)(8)"],
    fix="Write each item with its apiVersion and kind, or each object as a resource of its own.",
    pack="every",
    kinds=["*/*"],
)
def named_object(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """An object's apiVersion and kind may not contradict its type token, nor be unknown: rules go by them."""
    resource = subject.resource
    assert resource is not None
    version, kind = subject["apiVersion"].text(), subject["kind"].text()
    if version is None or kind is None:
        return
    group = version.rpartition("/")[0] or "core"
    listed = resource.type.endswith("List")
    if resource.kind != f"{group}/{kind.removesuffix('List' if listed else '')}":
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
