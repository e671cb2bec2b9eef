"""Components: which provider their children use, and whether the plan shows what they do."""

from collections.abc import Iterator

from facts.zones import Zone
from policies.rule import Hit, Subject, rule

_CONTROLS = ("HDS EXI 06", "HDS EXI 28", "GDPR 44-46", "SNC 19.2")


@rule(
    "components.providers",
    title="The children of a component must use the provider that it was given",
    routes=["P11"],
    controls=_CONTROLS,
    fix="Give the component a provider of each package that its children use: `providers=[...]`.",
    pack="residency",
    severity="critical",
    types=["*"],
)
def providers(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A child whose package isn't among the providers of its component falls back to the package's default
    one, which the environment or the stack's configuration points anywhere. Nothing at the component shows
    it. The engine calls its own providers `default`, with a version after it."""
    resource = subject.resource
    assert resource is not None
    name = resource.provider.rpartition("::")[0].rpartition("::")[2]
    if name.startswith("default") and _type(resource.parent) not in ("", "pulumi:pulumi:Stack"):
        yield subject.refuse(
            "",
            seen=f"{resource.package}, {name}",
            why="whoever runs it decides where a default provider leads",
        )


def _type(urn: str) -> str:
    """The type in a URN, without those of its parents; none where there is no URN."""
    return urn.rpartition("::")[0].rpartition("::")[2].rpartition("$")[2]


@rule(
    "components.remote",
    title="No components whose program is elsewhere",
    routes=["P11"],
    controls=_CONTROLS,
    fix="Declare the resources themselves, with a provider that names its region.",
    pack="residency",
    types=["awsx:*", "eks:*"],
)
def remote(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """The component is a program of its own, in a plugin: it chooses regions, images and providers for what
    it makes."""
    assert subject.resource is not None
    yield subject.refuse("", seen=subject.resource.type, why="what it chooses by itself no rule has seen")
