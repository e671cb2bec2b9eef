"""Whom the API server calls: webhooks, and servers of added APIs. They are handed whole objects."""

from collections.abc import Iterator

from facts.zones import Zone
from policies import targets
from policies.model import Node
from policies.rule import Hit, Subject, rule
from policies.walkers import hosts

_CONTROLS = ("HDS EXI 05", "HIPAA 164.312(e)(1)", "GDPR 32", "SNC 12.14", "SNC 13.2")

_CRD = "apiextensions.k8s.io/CustomResourceDefinition"
_ADMISSION = (
    "admissionregistration.k8s.io/MutatingWebhookConfiguration",
    "admissionregistration.k8s.io/ValidatingWebhookConfiguration",
)


@rule(
    "webhooks.address",
    title="The API server may call webhooks of the zone only",
    routes=["K28"],
    controls=_CONTROLS,
    fix="Name a Service of the cluster in clientConfig, or a URL of the zone.",
    pack="egress",
    severity="critical",
    kinds=[*_ADMISSION, _CRD],
)
def address(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """An admission or conversion webhook is sent each object that it is registered for, whole, by the API
    server itself: no NetworkPolicy holds it. A Service in its place can be an alias of a host outside."""
    for config in _clients(subject):
        yield from targets.judge(subject, config["url"], zone, what="whole objects")
        yield from _alias(subject, config["service"], zone)


@rule(
    "webhooks.added-api",
    title="An added API must be served from within the zone",
    routes=["K29"],
    controls=_CONTROLS,
    fix="Point spec.service at a Service of the plan with a selector.",
    pack="egress",
    severity="critical",
    kinds=["apiregistration.k8s.io/APIService"],
)
def added_api(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """The API server passes on every request for an added API group, with the objects and with who asks, to
    the Service that the APIService names. As an alias (ExternalName) that Service leads outside, so in a
    whole plan it must be there to be seen, or somebody must answer for it (`declared` in the zone)."""
    service = subject["spec"]["service"]
    yield from _alias(subject, service, zone)
    plan = subject.plan
    if service.absent or not plan.whole or zone.declares("K29", plan.at):
        return  # without a service the API server answers itself
    key = ("core/Service", service["namespace"].text() or "", service["name"].text() or "")
    if key not in plan.by_object:
        yield subject.undecided(
            service, seen="a Service that the plan doesn't show", why="whether it leads outside can't be told"
        )


def _clients(subject: Subject) -> Iterator[Node]:
    for webhook in subject["webhooks"].each():
        yield webhook["clientConfig"]
    conversion = subject["spec"]["conversion"]
    yield conversion["webhook"]["clientConfig"]
    yield conversion["webhookClientConfig"]  # as apiextensions.k8s.io/v1beta1 has it


def _alias(subject: Subject, service: Node, zone: Zone) -> Iterator[Hit]:
    """Findings where a Service of the plan is an alias of a host outside."""
    key = ("core/Service", service["namespace"].text() or "", service["name"].text() or "")
    found = subject.plan.by_object.get(key)
    external = Node(found.inputs, "", {})["spec"]["externalName"].text() if found is not None else None
    if external is not None:
        host = hosts.host_of(external)
        if host is None or not hosts.inside(host, zone):
            yield subject.refuse(
                service["name"],
                seen=host or "no readable host",
                why=f"the Service is an alias of it, outside zone {zone.name}, so whole objects go there",
            )
