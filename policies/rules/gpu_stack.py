"""The GPU stack: whence its drivers and models come, and whom its licences ask."""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any

from facts.zones import Zone
from policies import entries, kubernetes, targets
from policies.command_line import Environment
from policies.documents import Unparsable, of_json
from policies.entries import ENTRIES
from policies.kubernetes import PODS
from policies.model import Node
from policies.rule import Hit, Subject, rule
from policies.walkers import context, images

_CONTROLS = ("HDS EXI 06", "HIPAA 164.312(e)(1)", "GDPR 32", "SNC 12.14", "AI Act 15")

_POLICY = "nvidia.com/ClusterPolicy"
_DRIVER = "nvidia.com/NVIDIADriver"

#: NVIDIA/gpu-operator api/nvidia/v1/clusterpolicy_types.go: what of a ClusterPolicy is no part that has an
#: image.
_NO_PART = frozenset(("cdi", "daemonsets", "hostPaths", "mig", "operator", "psa", "psp", "sandboxWorkloads"))

#: docs.nvidia.com/nim and /ngc: keys of NVIDIA's catalogue, which have no use but to call it.
_KEYS = frozenset(("NGC_API_KEY", "NGC_CLI_API_KEY"))
_CATALOGUE = re.compile(r"(?:\w+://)?(?:nvcr\.io|(?:[\w-]+\.)*ngc\.nvidia\.com)(?![\w.-])", re.IGNORECASE)
#: NVIDIA vGPU client licensing user guide: gridd.conf, and the client's configuration token.
_LICENCE = re.compile(r"^gridd\.conf$|\.tok$")
_SERVER = re.compile(r"^[ \t]*(?:Backup)?ServerAddress\s*=\s*(\S+)", re.IGNORECASE | re.MULTILINE)


@rule(
    "gpu-stack.catalogue",
    title="Nothing may be fetched from NVIDIA's catalogue",
    routes=["K48"],
    controls=_CONTROLS,
    fix="Mirror images and models into the zone, and remove the catalogue's keys.",
    pack="egress",
    kinds=[*PODS, *ENTRIES, _POLICY, _DRIVER, "apps.nvidia.com/*"],
)
def catalogue(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """nvcr.io and NGC stand in the United States: who pulls images or models there tells who runs what, and a
    key of NGC in a pod lets it fetch, and a NIM report, at any time."""
    assert subject.resource is not None
    for leaf in subject.resource.leaves or ():
        if "annotations" in leaf.keys:
            continue
        text = leaf.value if isinstance(leaf.value, str) else ""
        name = next((name for name in _KEYS if name in (text, *leaf.keys)), None)
        if name is not None:
            yield subject.refuse(leaf.path, seen=name, why="whoever has it calls NVIDIA's catalogue")
        elif _CATALOGUE.match(text) and not any(_CATALOGUE.match(one) for one in zone.registries):
            yield subject.refuse(
                leaf.path, seen="NVIDIA's catalogue", why=f"it is fetched there, outside zone {zone.name}"
            )


@rule(
    "gpu-stack.operator",
    title="The GPU operator must take images and packages from the zone",
    routes=["K48"],
    controls=_CONTROLS,
    fix="Name a repository of the zone for each component, and a repoConfig or precompiled drivers.",
    pack="egress",
    kinds=[_POLICY, _DRIVER],
)
def operator(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """The GPU operator puts each image together from repository, image and version, or takes it from
    variables of its own, which then must be in the plan. The driver's container builds the module on the
    node, and fetches kernel headers and compilers from the distribution's public mirrors unless repoConfig
    names others or the driver comes precompiled."""
    # the operator's guide to air-gapped clusters
    assert subject.resource is not None
    for inner in entries.inside(subject["spec"]):
        repository = inner["repository"]
        text = repository.text()
        image = images.parse(f"{text}/any")
        if text and (image is None or not images.allowed(image, zone)):
            yield subject.refuse(
                repository,
                seen=image.host if image else "no repository",
                why=f"no registry of zone {zone.name} is of that name",
            )
    for part, variable in _parts(subject) if subject.resource.kind == _POLICY else ():
        said = not (_says_none(part["repository"]) and _says_none(part["image"]))
        if not said and not any(name.endswith(variable) for name in _variables(subject)):
            yield subject.undecided(
                part,
                seen="no repository",
                why=f"its image is what the operator's {variable} says, not told here",
            )
    driver = subject["spec"] if subject.resource.kind == _DRIVER else subject["spec"]["driver"]
    built = _runs(driver) and driver["usePrecompiled"].flag() is not True
    mirrors = driver["repoConfig"]
    if built and not mirrors.opaque and all(_says_none(mirrors[key]) for key in ("configMapName", "name")):
        yield subject.refuse(
            mirrors, seen="no repoConfig", why="packages come from the distribution's public mirrors"
        )


@rule(
    "gpu-stack.licences",
    title="GPU licences may be asked of servers of the zone only",
    routes=["K53"],
    controls=("HDS EXI 26", "HIPAA 164.312(e)(1)", "GDPR 32", "SNC 12.14"),
    fix="Run a Delegated License Service in the zone, and make the client's token there.",
    pack="egress",
    kinds=ENTRIES,
)
def licences(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Each node asks the licence server for a lease again and again, and says which machine it is. The server
    is named in gridd.conf, or inside the client's token, where nobody sees it: made by the cloud service
    (CLS), the token leads to api.cls.licensing.nvidia.com."""
    for name, node in entries.entries(subject, _LICENCE):
        text = node.text() or ""
        for server in _SERVER.findall(text):
            yield from targets.judge_text(subject, node, server, zone, what="requests for licences")
        payload = _payload(text)
        if payload is None and name.endswith(".tok") and text:
            yield subject.undecided(
                node, seen="a token that can't be read", why="it names the licence server"
            )
        for inner in entries.inside(Node(payload, node.path, subject.touched)):
            for server in inner["node_url_list"].each():
                yield from targets.judge(subject, server["url"], zone, what="requests for licences")


@rule(
    "gpu-stack.licence-files",
    title="The operator's licence files must be in the plan",
    routes=["K53"],
    controls=("HDS EXI 26", "HIPAA 164.312(e)(1)", "GDPR 32", "SNC 12.14"),
    fix="Put the Secret that licensingConfig names into the plan.",
    pack="egress",
    kinds=[_POLICY, _DRIVER],
)
def licence_files(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """The GPU operator hands gridd.conf and the client's token to the drivers from a ConfigMap or Secret.
    What they say is judged there, so it must be in the plan."""
    for inner in entries.inside(subject["spec"]):
        config = inner["licensingConfig"]
        named = [("core/ConfigMap", config["configMapName"])]
        named += [("core/Secret", config[key]) for key in ("secretName", "name")]
        for kind, node in named:
            name = node.text()
            if name and not any((one, of) == (kind, name) for one, _, of in subject.plan.by_object):
                yield subject.undecided(
                    node, seen=kind, why="it names the licence server, and the plan doesn't show it"
                )


def _parts(subject: Subject) -> Iterator[tuple[Node, str]]:
    """What the operator runs by a ClusterPolicy, and the variable of its own that may say the image
    (ImagePath in the same file)."""
    for name, part in subject["spec"].members():
        if isinstance(part.value, Mapping) and name not in _NO_PART and _runs(part):
            yield part, f"{'_'.join(context.words(name)).upper()}_IMAGE"


def _runs(part: Node) -> bool:
    return part["enabled"].flag() is not False and part["useNvidiaDriverCRD"].flag() is not True


def _says_none(node: Node) -> bool:
    return not node.opaque and not node.text()


def _variables(subject: Subject) -> frozenset[str]:
    """The variables of the plan's containers, the operator's among them."""
    return frozenset(
        name
        for look in kubernetes.looks(subject.plan, PODS)
        for container in kubernetes.containers(look)
        for name in Environment(container, look).variables
    )


def _payload(token: str) -> Any:
    """What a JSON Web Token says, unverified; None where it is none."""
    parts = token.strip().split(".")
    try:
        text = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)).decode()
        [payload] = of_json(text)
    except (IndexError, Unparsable, binascii.Error, ValueError):
        return None
    return payload
