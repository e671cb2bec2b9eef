"""Images that are built while a plan is applied: where layers and caches go, and where sources come from.

Properties as the providers' schemas name them: pulumi.com/registry/packages/docker (v4), docker-build (v0).
"""

import re
from collections.abc import Iterator

from facts.zones import Zone
from policies.model import Node
from policies.rule import Hit, Subject, rule
from policies.walkers import hosts, images

#: Paths at which an image is named that is pushed or pulled; a registry's address; a source of the build.
_IMAGES = re.compile(
    r"tags\[\]|tag|sources\[\]|imageName|name|build\.cacheFrom\.images\[\]|cache(To|From)\[\]\.registry\.ref"
    r"|exports\[\]\.(registry|image)\.names\[\]"
)
_REGISTRIES = re.compile(r"registries\[\]\.address|registry\.(address|server)")
_SOURCES = re.compile(r"(context|context\.named\.[^.]+|dockerfile)\.location|build\.(context|dockerfile)")


@rule(
    "builds.destinations",
    title="Images may be built from and pushed to registries of the zone only",
    routes=["P14"],
    controls=["HDS EXI 06", "HIPAA 164.312(e)(1)", "GDPR 32", "SNC 13.2"],
    fix="Name registries and git servers of the zone, and keep caches in such a registry.",
    pack="egress",
    types=[
        "docker:index/image:Image",
        "docker:index/registryImage:RegistryImage",
        "docker-build:index:Image",
        "docker-build:index:Index",
    ],
)
def destinations(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """What is built holds the model's code, and often its settings; where it is pushed, and where the cache
    of its layers goes, somebody else can read it. A source from elsewhere is code that nobody has
    approved."""
    assert subject.resource is not None
    for leaf in subject.resource.leaves or ():
        path = re.sub(r"\[\d+\]", "[]", leaf.path)
        for pattern, (outside, why) in _JUDGES.items():
            if pattern.fullmatch(path):
                node = Node(leaf.value, leaf.path, subject.touched)
                text = node.text()
                for host in outside(text, zone) if text is not None else ():
                    yield subject.refuse(node, seen=host or "no readable host", why=f"{why} zone {zone.name}")
    for item in subject["cacheTo"].each():
        for key, node in item.members():
            if key not in ("disabled", "inline", "local", "registry"):
                yield subject.refuse(
                    node,
                    seen=f"cacheTo {key}",
                    why="layers are kept elsewhere than in a registry of the zone",
                )


def _image(text: str, zone: Zone) -> Iterator[str | None]:
    image = images.parse(text)
    if image is None or not images.allowed(image, zone):
        yield getattr(image, "host", None)


def _registry(text: str, zone: Zone) -> Iterator[str | None]:
    bare = re.sub(r"^\w+://", "", text).lower().partition("/")[0]
    if bare not in {entry.partition("/")[0] for entry in zone.registries}:
        yield hosts.host_of(bare)


def _source(text: str, zone: Zone) -> Iterator[str | None]:
    """A folder or file has no scheme; `git@host:path` is git's short form."""
    short = re.fullmatch(r"git@([^:/]+):.*", text)
    host = hosts.host_of(short.group(1) if short else text.removeprefix("docker-image://"))
    if (short or "://" in text) and (host is None or not hosts.declared(host, zone)):
        yield host


_JUDGES = {
    _IMAGES: (_image, "layers go outside"),
    _REGISTRIES: (_registry, "it is no registry of"),
    _SOURCES: (_source, "sources come from outside"),
}
