"""Images: from which registry a pod's code comes, and that it is the very code that was approved."""

from collections.abc import Iterator

from facts.zones import Zone
from policies import kubernetes
from policies.kubernetes import PODS
from policies.model import Node
from policies.rule import Cel, Hit, Subject, rule
from policies.walkers import images


@rule(
    "images.pinned",
    title="Images must come from the zone's registries, by digest",
    routes=["K16"],
    controls=["HDS EXI 06", "HIPAA 164.312(c)(1)", "AI Act 15", "GDPR 32"],
    fix="Mirror the image into a registry of the zone and name it there by digest: host/path@sha256:...",
    pack="egress",
    kinds=PODS,
    cel=[
        Cel("variables.containers.all(c, {registries}.exists(r, c.image.matches(r)))"),
        Cel(
            "!has(variables.pod.volumes) || variables.pod.volumes.all(v, !has(v.image) || "
            "{registries}.exists(r, v.image.reference.matches(r)))"
        ),
    ],
)
def pinned(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Pulling an image tells its registry who runs what, and runs whatever the registry sends. So the host
    must be exactly one that the zone names (a short name is Docker Hub; registry.example.evil.org is not
    registry.example), and a digest must say which bytes. Containers, init and ephemeral containers, and image
    volumes alike."""
    for where in _references(subject):
        if where.absent:
            if not kubernetes.is_patch(subject.resource):
                yield subject.undecided(where, seen="no image", why="what will run is not told")
            continue
        text = where.text()
        if text is None:
            continue
        image = images.parse(text)
        if image is None:
            yield subject.refuse(where, seen="no image reference", why="no runtime reads it as an image")
            continue
        if not images.allowed(image, zone):
            registries = ", ".join(zone.registries) or "none"
            yield subject.refuse(
                where,
                seen=str(image),
                why=f"it is pulled from {image.host}; the zone's registries are: {registries}",
            )
        if image.digest is None:
            yield subject.refuse(
                where, seen=str(image), why="without a digest, what runs is whatever the registry then sends"
            )


def _references(subject: Subject) -> Iterator[Node]:
    for pod in kubernetes.pods(subject):
        for container in pod.containers():
            yield container.node["image"]
        for volume in pod.spec["volumes"].each():
            if not volume["image"].absent:
                yield volume["image"]["reference"]
