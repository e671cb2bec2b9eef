"""Three walkers over every string of every resource: regions and ARNs, hosts and networks, image references.

They judge by context (policies/walkers/): identifiers, denied values and prose are not destinations. They
come after the typed rules, and see what no type says: a ConfigMap, an argument, an annotation, a Secret.
"""

import re
from collections.abc import Iterator

from facts.zones import Zone
from policies import kubernetes
from policies.rule import Hit, Subject, rule
from policies.walkers import context, destinations, images, places
from policies.walkers.strings import Leaf

_HIDDEN = "in a Secret, not shown"

#: Objects that list the names under which they are themselves reached.
_OWN_NAMES = ("networking.k8s.io/Ingress", "gateway.networking.k8s.io/")

#: Where other rules judge that know more: servers that make machines, and controllers below their operating
#: system, may stand in the zone's management networks as well; a block of a NetworkPolicy has its exceptions; of
#: a kubeconfig the current context counts.
_JUDGED_ELSEWHERE = {
    "metal3.io/BareMetalHost": re.compile(r"spec\.bmc\.address"),
    "networking.k8s.io/NetworkPolicy": re.compile(r"spec\..*\.ipBlock\..*"),
    "pulumi:providers:kubernetes": re.compile(r"kubeconfig.*"),
    "pulumi:providers:libvirt": re.compile(r"uri"),
    "pulumi:providers:maas": re.compile(r"apiUrl"),
    "pulumi:providers:proxmoxve": re.compile(r"endpoint"),
    "pulumi:providers:vsphere": re.compile(r"vsphereServer"),
}


def _texts(subject: Subject) -> Iterator[tuple[Leaf, str]]:
    resource = subject.resource
    assert resource is not None
    for leaf in resource.leaves or ():
        if isinstance(leaf.value, str):
            yield leaf, leaf.value


@rule(
    "walkers.regions",
    title="No string may name a region or an ARN outside the zone",
    routes=["A52"],
    controls=["HDS EXI 28", "GDPR 44-46", "SNC 19.2"],
    fix="Name a region of the zone, or remove the reference.",
    pack="residency",
    types=["*"],
)
def regions(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """ARNs anywhere, and region codes beside a key that names a place, must be in the zone; denied ones may
    be named."""
    resource = subject.resource
    assert resource is not None
    package = resource.package
    for leaf, text in _texts(subject):
        for place in (*places.arns(text, zone), *places.named(leaf, text, package, zone)):
            if place.outside and not any(context.is_denial(key) for key in leaf.keys):
                yield subject.refuse(
                    leaf.path, seen=_HIDDEN if leaf.secret else place.seen, why=f"it {place.outside}"
                )


@rule(
    "walkers.hosts",
    title="No string may lead to a host or network outside the zone",
    routes=["K49"],
    controls=["HIPAA 164.312(e)(1)", "GDPR 32", "SNC 12.14", "SNC 13.2"],
    fix="Point it at a host of the zone (a Service by its full name, name.namespace.svc), or remove it.",
    pack="egress",
    types=["*"],
)
def destinations_inside(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Every URL, and every bare host, address or network that something would connect to, must be in the
    zone."""
    resource = subject.resource
    assert resource is not None
    own = (resource.kind or "").startswith(_OWN_NAMES)
    elsewhere = _JUDGED_ELSEWHERE.get(resource.kind or resource.type)
    for leaf, text in _texts(subject):
        if elsewhere is not None and elsewhere.fullmatch(leaf.path):
            continue
        for escape in destinations.escapes(leaf, text, zone, own_names=own):
            seen = _HIDDEN if leaf.secret else escape.seen
            why = "it names a destination outside the zone" if leaf.secret else escape.why
            yield subject.refuse(leaf.path, seen=seen, why=why)


@rule(
    "walkers.images",
    title="No string may name an image of a registry outside the zone",
    routes=["K16"],
    controls=["HDS EXI 06", "HIPAA 164.312(c)(1)", "AI Act 15"],
    fix="Mirror the image into a registry of the zone and name it there, by digest.",
    pack="egress",
    types=["*"],
)
def images_inside(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Images are named in arguments, custom resources and configuration too, not only in pods."""
    of_pods: set[str] | None = None
    for leaf, text in _texts(subject):
        if not context.is_image(leaf.key) and "@sha256:" not in text:
            continue
        if of_pods is None:
            look = Subject(subject.plan, subject.resource)
            of_pods = {container.node["image"].path for container in kubernetes.containers(look)}
        if leaf.path in of_pods:
            continue  # judged by the pod rules, with their digests
        for token in text.split():
            token = token.strip("\"',").removeprefix("docker://").removeprefix("oci://").rpartition("=")[2]
            image = images.parse(token)
            if image is None or not _reads_as_image(token, image):
                continue
            if not images.allowed(image, zone):
                registries = ", ".join(zone.registries) or "none"
                yield subject.refuse(
                    leaf.path,
                    seen=_HIDDEN if leaf.secret else str(image),
                    why=f"it comes from elsewhere than the zone's registries, which are {registries}",
                )


def _reads_as_image(token: str, image: images.Image) -> bool:
    """Whether a string is meant as an image: with a registry, a tag or a digest."""
    return bool(token.partition("/")[0].lower() == image.host or image.tag or image.digest)
