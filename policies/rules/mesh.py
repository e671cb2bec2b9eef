"""Service meshes: hosts outside that they know, what they let pass, and what is led around them."""

from collections.abc import Iterator

from facts import mesh
from facts.mesh import Bypass
from facts.words import plain
from facts.zones import Zone
from policies import entries, kubernetes, targets
from policies.documents import Unparsable
from policies.kubernetes import PODS
from policies.model import Node
from policies.rule import Hit, Subject, rule
from policies.walkers import images

_CONTROLS = ("HDS EXI 05", "HIPAA 164.312(e)(1)", "GDPR 32", "SNC 12.14", "SNC 13.2")

_ENTRY = "networking.istio.io/ServiceEntry"


@rule(
    "mesh.services",
    title="The mesh may know hosts of the zone only",
    routes=["K30"],
    controls=_CONTROLS,
    fix="Name hosts and addresses of the zone, and resolve them by DNS or STATIC.",
    pack="egress",
    severity="critical",
    kinds=[_ENTRY, "networking.istio.io/WorkloadEntry", "networking.istio.io/Gateway"],
)
def services(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A ServiceEntry adds hosts outside the cluster to those that sidecars let pass, also where the mesh lets
    nothing else pass. Without a resolution (NONE is the default) the sidecar sends the call to whichever
    address the caller chose, so a host of the zone is a name for any address. An egress gateway passes on to
    what its hosts list."""
    spec = subject["spec"]
    endpoints = [endpoint["address"] for endpoint in spec["endpoints"].each()]
    for node in (*spec["hosts"].each(), *spec["addresses"].each(), *endpoints, spec["address"]):
        yield from _inside(subject, node, node.text() or "", zone)
    for server in spec["servers"].each():
        for node in server["hosts"].each():  # `namespace/host`
            yield from _inside(subject, node, (node.text() or "").rpartition("/")[2], zone)
    assert subject.resource is not None
    resolution, addresses = spec["resolution"], spec["addresses"]
    unresolved = resolution.text() in (None, "NONE")
    if subject.resource.kind == _ENTRY and unresolved and addresses.absent:
        yield subject.refuse(
            resolution, seen="resolution NONE", why="a call goes to whichever address the caller chose"
        )


@rule(
    "mesh.routes",
    title="The mesh may lead and copy requests to the zone only",
    routes=["K30"],
    controls=_CONTROLS,
    fix="Name destinations and mirrors of the cluster or the zone.",
    pack="egress",
    severity="critical",
    kinds=["networking.istio.io/VirtualService"],
)
def routes(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A VirtualService can send what is meant for an internal Service elsewhere, redirect callers, and
    mirror: each request is then copied to a second host, prompt and all, unseen by the caller."""
    for inner in entries.inside(subject["spec"]):
        for key in ("host", "authority"):
            node = inner[key]
            if isinstance(node.value, str):
                yield from targets.judge(subject, node, zone, what="requests or copies of them")


@rule(
    "mesh.outbound",
    title="The mesh may let calls pass to known hosts only",
    routes=["K30"],
    controls=_CONTROLS,
    fix="Set outboundTrafficPolicy.mode to REGISTRY_ONLY, and name tracing and other services of the zone.",
    pack="egress",
    kinds=["core/ConfigMap", "networking.istio.io/Sidecar", "install.istio.io/IstioOperator"],
)
def outbound(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Istio lets calls to hosts that it doesn't know pass untouched unless the mesh's settings say
    REGISTRY_ONLY: ALLOW_ANY is the default. The same settings name to whom the sidecars send traces, access
    logs and what is to be authorised."""
    sidecar = subject["spec"]["outboundTrafficPolicy"]["mode"]
    if sidecar.text() == "ALLOW_ANY":
        yield subject.refuse(sidecar, seen="ALLOW_ANY", why="calls to any host pass")
    for config in _meshes(subject):
        mode = config["outboundTrafficPolicy"]["mode"]
        if mode.text() != "REGISTRY_ONLY":
            yield subject.refuse(
                mode, seen=mode.text() or "no mode, so ALLOW_ANY", why="calls to any host pass"
            )
        for inner in entries.inside(config):
            for key, node in inner.members():
                if plain(key).endswith(("address", "service")) and isinstance(node.value, str):
                    text = node.value if "://" in node.value else node.value.rpartition("/")[2]
                    yield from targets.judge_text(
                        subject, node, text, zone, what="traces, logs or requests of the mesh"
                    )


@rule(
    "mesh.extensions",
    title="Extensions of the mesh's proxies must show where they lead",
    routes=["K30"],
    controls=[*_CONTROLS, "HDS EXI 06"],
    fix="Take extensions from the zone's registries, and leave code and addresses outside out of filters.",
    pack="egress",
    kinds=["networking.istio.io/EnvoyFilter", "extensions.istio.io/WasmPlugin"],
)
def extensions(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """An EnvoyFilter can write anything into the proxies: a cluster at any address, a filter in Lua that
    copies requests. A WasmPlugin is code that each proxy fetches and runs on each request."""
    url = subject["spec"]["url"]
    text = (url.text() or "").removeprefix("oci://")
    if "://" in text:
        yield from targets.judge(subject, url, zone, what="requests for the proxies' code")
    elif text:
        image = images.parse(text)
        if image is None or not images.allowed(image, zone):
            yield subject.refuse(
                url,
                seen=str(image) if image else "no image",
                why=f"the proxies run code that no registry of zone {zone.name} holds",
            )
    for inner in entries.inside(subject["spec"]["configPatches"]):
        for key, node in inner.members():
            if plain(key).startswith("inline"):
                yield subject.undecided(
                    node, seen="code in a filter", why="what it sends where can't be told"
                )
            elif plain(key).endswith(("address", "uri")) and isinstance(node.value, str):
                yield from targets.judge(subject, node, zone, what="requests or what proxies know of them")


@rule(
    "mesh.bypass",
    title="Pods may not be led around the mesh",
    routes=["K31"],
    controls=_CONTROLS,
    fix="Remove the annotation, or exclude networks of the zone only.",
    pack="egress",
    kinds=[*PODS, "core/Namespace", "core/ConfigMap"],
)
def bypass(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """What the sidecar's rules lead around it leaves the pod as if there were no mesh: not encrypted, not
    authorised, not recorded, and to hosts that the mesh doesn't know. An excluded port is excluded for every
    address."""
    places = [pod.annotations for pod in kubernetes.pods(subject)]
    assert subject.resource is not None
    if subject.resource.kind == "core/Namespace":
        places.append(subject["metadata"]["annotations"])
    for place in places:
        for name, node in place.members():
            way = mesh.annotations().get(name)
            if way is not None:
                yield from _around(subject, node, name, way, zone)
    for proxy in _injected(subject):
        for name, way in mesh.injector().items():
            yield from _around(subject, proxy[name], name, way, zone)


def _inside(subject: Subject, node: Node, text: str, zone: Zone) -> Iterator[Hit]:
    if text and not targets.within(text, zone):
        yield subject.refuse(node, seen=text, why=f"pods may call it, and it is outside zone {zone.name}")


def _meshes(subject: Subject) -> Iterator[Node]:
    """Settings of the whole mesh: Istio's ConfigMap `istio`, of any revision, and what IstioOperator
    takes."""
    assert subject.resource is not None
    if subject.resource.kind == "install.istio.io/IstioOperator":
        yield subject["spec"]["meshConfig"]
    elif (subject["metadata"]["name"].text() or "").partition("-")[0] == "istio":
        yield from _parsed(subject, subject["data"]["mesh"])


def _injected(subject: Subject) -> Iterator[Node]:
    """Settings of every sidecar that Istio's injector adds."""
    if (subject["metadata"]["name"].text() or "").startswith("istio-sidecar-injector"):
        for values in _parsed(subject, subject["data"]["values"]):
            yield values["global"]["proxy"]


def _parsed(subject: Subject, node: Node) -> Iterator[Node]:
    try:
        yield from entries.mappings(node)
    except Unparsable:
        yield Node([], node.path, node.touched)  # malformed where a mapping is read


def _around(subject: Subject, node: Node, name: str, way: Bypass, zone: Zone) -> Iterator[Hit]:
    text = node.text()
    if text is None or (way != "only" and not text.strip()):
        return
    parts = [part.strip() for part in text.split(",")]
    if way == "networks":
        honest = all(targets.within(part, zone) for part in parts)
    else:
        honest = way == "only" and parts == ["*"]
    if not honest:
        yield subject.refuse(node, seen=name, why="what leaves by it goes around the mesh")
