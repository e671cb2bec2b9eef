"""Doors to the model: who may come in from outside the cluster, and whether a copy of what they say goes
elsewhere."""

from collections.abc import Iterator
from fnmatch import fnmatchcase

from facts.zones import Zone
from policies import kubernetes, vllm
from policies.kubernetes import PODS
from policies.model import Node, Plan
from policies.rule import Cel, Hit, Subject, rule
from policies.walkers import hosts

_CONTROLS = (
    "HDS EXI 05",
    "HIPAA 164.312(a)(1)",
    "HIPAA 164.312(d)",
    "HIPAA 164.312(e)(1)",
    "GDPR 32",
    "SNC 13.2",
)
_FIX = "Lead requests to the gateway's Service only, and leave mirrors, snippets and outside URLs out."

_INGRESSES = ("networking.k8s.io/Ingress", "extensions/Ingress")
_AROUND = "it is the model, without the gateway before it"
#: The model's namespace, as the kit calls it by default.
_SERVING = "llm-serving"
_ROUTES = "gateway.networking.k8s.io/*Route"
_GATEWAY = "gateway.networking.k8s.io/Gateway"
_OF_ISTIO = "networking.istio.io/VirtualService"

#: kubernetes-sigs/aws-load-balancer-controller docs/guide/ingress/annotations.md: internal unless it says
#: otherwise.
_SCHEME = "alb.ingress.kubernetes.io/scheme"
#: Annotations that put text into the configuration of the proxy: no rule can tell what it does.
#: kubernetes.github.io/ingress-nginx (annotations), docs.nginx.com (nginx.org/), haproxy-ingress and
#: haproxy.org.
_SNIPPETS = ("-snippet", "-snippets", "/config-backend")
#: Annotations that name where requests, copies of them, or callers are sent.
_TARGETS = (
    "auth-signin",
    "auth-tls-error-page",
    "auth-url",
    "mirror-target",
    "permanent-redirect",
    "temporal-redirect",
)


@rule(
    "doors.ingress",
    title="An Ingress may lead to the gateway, and nowhere around it",
    routes=["K14"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="egress",
    severity="critical",
    kinds=_INGRESSES,
    cel=[
        Cel(
            "(!has(object.spec.defaultBackend) || "
            "object.spec.defaultBackend.?service.?name.orValue('') == 'llm-gateway') && "
            "(!has(object.spec.rules) || object.spec.rules.all(r, !has(r.http) || r.http.paths.all(p, "
            "p.backend.?service.?name.orValue('') == 'llm-gateway')))",
            kinds=("networking.k8s.io/Ingress",),
        ),
    ],
)
def ingress(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """The gateway asks who calls and for what purpose, and keeps the record. An Ingress straight to vLLM goes
    around it; vLLM's own key guards some of its paths only. Annotations can copy each request to a mirror,
    send its headers to an authenticator outside, or write any directive into the proxy's configuration."""
    for annotation, where in subject["metadata"]["annotations"].members():
        yield from _annotation(subject, annotation, where, zone)
    yield from _models(subject)


@rule(
    "doors.routes",
    title="A route may lead to the gateway, and nowhere around it",
    routes=["K14"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="egress",
    severity="critical",
    kinds=[_ROUTES],
)
def routes(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """HTTPRoutes and their kin: a backend that is the model goes around the gateway; a RequestMirror copies
    each request to a second Service, with the prompt in it and no record; a redirect can lead callers
    outside."""
    yield from _models(subject)
    for entry in subject["spec"]["rules"].each():
        for backend in entry["backendRefs"].each():
            if backend["kind"].text() == "InferencePool":
                yield subject.refuse(
                    backend["kind"], seen="InferencePool", why="it is a pool of model servers"
                )
            for item in backend["filters"].each():
                yield from _filter(subject, item, zone)
        for item in entry["filters"].each():
            yield from _filter(subject, item, zone)


@rule(
    "doors.istio",
    title="A route of Istio may lead to the gateway, and nowhere around it",
    routes=["K14"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="egress",
    severity="critical",
    kinds=[_OF_ISTIO],
)
def istio(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A VirtualService leads what comes in by a gateway of Istio's as an Ingress does. What it leaves to
    another is not told here."""
    for entry in subject["spec"]["http"].each() if _is_door(subject) else ():
        if not entry["delegate"].absent:
            yield subject.undecided(
                entry["delegate"], seen="delegate", why="where requests are led another route says"
            )
    yield from _models(subject)


@rule(
    "doors.around",
    title="No door may lead to a Service that selects vLLM",
    routes=["K14"],
    controls=_CONTROLS,
    fix=_FIX,
    pack="egress",
    severity="critical",
    scope="plan",
)
def around(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A Service may be called anything and still select vLLM's pods: an Ingress or a route to it goes around
    the gateway all the same. Judged where the plan shows the door, the Service and the pods."""
    engines = _engines(subject.plan)
    kinds = [kind for kind in subject.plan.by_kind if kind in (*_INGRESSES, _OF_ISTIO) or _is_route(kind)]
    for look in kubernetes.looks(subject.plan, tuple(kinds)):
        for name, namespace in _services(look):
            labels = _selector(subject.plan, name.text() or "", namespace)
            if labels and any(labels.items() <= pod.items() for pod in engines.get(namespace or "", ())):
                yield kubernetes.hit(look, name, seen=f"Service {name.text()}", why=_AROUND)


@rule(
    "doors.gateways",
    title="A Gateway may only take addresses of the zone",
    routes=["K14"],
    controls=_CONTROLS,
    fix="Ask for addresses of the zone's networks.",
    pack="egress",
    kinds=[_GATEWAY],
)
def gateways(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A Gateway that asks for an address outside the zone's networks opens its door there."""
    for address in subject["spec"]["addresses"].each():
        where = address["value"]
        yield from _target(
            subject, where, where.text(), "address", f"the door opens outside zone {zone.name}", zone
        )


def _models(subject: Subject) -> Iterator[Hit]:
    for name, namespace in _services(subject):
        text = name.text()
        if text is not None and _is_model(subject, text, namespace):
            yield subject.refuse(name, seen=f"Service {text}", why=_AROUND)


def _annotation(subject: Subject, name: str, where: Node, zone: Zone) -> Iterator[Hit]:
    text = where.text()
    if not text:
        return
    if name == _SCHEME:
        if text != "internal":
            yield subject.refuse(where, seen=name, why="the door opens to the internet")
    elif name.endswith(_SNIPPETS):
        yield subject.refuse(where, seen=name, why="it writes any directive into the proxy's configuration")
    elif name.rpartition("/")[2] in _TARGETS and not text.startswith("/"):
        yield from _target(subject, where, text, name, f"requests go outside zone {zone.name}", zone)


def _filter(subject: Subject, item: Node, zone: Zone) -> Iterator[Hit]:
    if not item["requestMirror"].absent:
        yield subject.refuse(
            item, seen="RequestMirror", why="each request, prompt and all, is sent to a second place"
        )
    where = item["requestRedirect"]["hostname"]
    yield from _target(
        subject, where, where.text(), "redirect", f"callers are sent outside zone {zone.name}", zone
    )


def _target(
    subject: Subject, where: Node, text: str | None, what: str, why: str, zone: Zone
) -> Iterator[Hit]:
    if text is not None and not hosts.inside(hosts.host_of(text) or "", zone):
        yield subject.refuse(where, seen=f"{what}: {hosts.host_of(text) or 'no readable host'}", why=why)


def _is_door(subject: Subject) -> bool:
    """Whether a VirtualService takes requests in from outside, and not only from pods of the mesh."""
    return any(gateway.text() != "mesh" for gateway in subject["spec"]["gateways"].each())


def _services(subject: Subject) -> Iterator[tuple[Node, str | None]]:
    """The names of the Services that an Ingress or a route leads to, and their namespaces."""
    assert subject.resource is not None
    if subject.resource.kind == _OF_ISTIO:
        yield from _destinations(subject) if _is_door(subject) else ()
        return
    own = kubernetes.namespace(subject)
    spec = subject["spec"]
    backends = [spec["defaultBackend"], spec["backend"]]
    for entry in spec["rules"].each():
        backends += [path["backend"] for path in entry["http"]["paths"].each()]
        for backend in entry["backendRefs"].each():
            yield backend["name"], backend["namespace"].text() or own
    for backend in backends:
        yield backend["service"]["name"], own
        yield backend["serviceName"], own


def _destinations(subject: Subject) -> Iterator[tuple[Node, str | None]]:
    own = kubernetes.namespace(subject)
    for protocol in ("http", "tcp", "tls"):
        for entry in subject["spec"][protocol].each():
            for part in entry["route"].each():
                host = part["destination"]["host"]
                name, _, rest = (host.text() or "").partition(".")
                yield Node(name, host.path, host.touched), rest.partition(".")[0] or own


def _is_route(kind: str) -> bool:
    return fnmatchcase(kind, _ROUTES)


def _is_model(subject: Subject, service: str, namespace: str | None) -> bool:
    """Whether a Service is the model's: by its selector where the plan shows it, else by its name, or because
    it stands where the model does and isn't called a gateway."""
    labels = _selector(subject.plan, service, namespace)
    if labels:
        return labels.get("app") == "vllm-server"
    name = service.lower()
    return "vllm" in name or (namespace == _SERVING and "gateway" not in name)


def _selector(plan: Plan, service: str, namespace: str | None) -> dict[str, str]:
    """What a Service of the plan selects; nothing where it isn't in the plan or selects nothing."""
    found = plan.by_object.get(("core/Service", namespace or "", service))
    return kubernetes.labels_of(Node(found.inputs if found else {}, "", {})["spec"]["selector"]) or {}


def _engines(plan: Plan) -> dict[str, list[dict[str, str]]]:
    """The labels of the plan's vLLM pods, by namespace."""
    found: dict[str, list[dict[str, str]]] = {}
    for look in kubernetes.looks(plan, PODS):
        for engine in vllm.engines(look):
            labels = kubernetes.labels_of(engine.container.pod.labels)
            found.setdefault(kubernetes.namespace(look) or "", []).append(labels or {})
    return found
