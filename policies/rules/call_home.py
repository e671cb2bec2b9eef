"""Programs that report, fetch or look for updates by themselves, and services that variables name."""

from collections.abc import Iterator

from facts import call_home
from facts.call_home import Program, Service, Way
from facts.zones import Zone
from policies import kubernetes, targets, vllm
from policies.kubernetes import PODS, quiet
from policies.rule import Hit, Subject, rule
from policies.told import Said, Told
from policies.walkers import hosts, images

_CONTROLS = ("HDS EXI 26", "HIPAA 164.312(e)(1)", "GDPR 5(1)(c)", "GDPR 25", "SNC 12.14")

[_RAY] = call_home.started("ray")
#: vLLM starts Ray by itself for engines that span nodes (vllm/v1/executor/ray_utils.py: ray.init()).
_SPANS = ("distributed-executor-backend", "data-parallel-backend")


@rule(
    "call-home.programs",
    title="A program that calls home by default must be told not to",
    routes=["K25", "K48", "K56", "K57"],
    controls=_CONTROLS,
    fix="Set the switch that facts/call_home.yaml names for the program, where the plan shows it.",
    pack="egress",
    kinds=PODS,
)
def programs(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Many programs report their use, look for a newer version or fetch a list unless a variable, a flag or
    a line of their settings says otherwise: what runs, how large it is and from where goes to the vendor
    every day. The switch must be in the plan: in the container, or in a ConfigMap or Secret that its pod
    mounts."""
    for container in kubernetes.containers(subject):
        told = Told(subject, container)
        for program in _programs(told):
            yield from _switches(subject, program, told, zone)
    for engine in vllm.engines(subject):
        if any(flag.value.text == "ray" for flag in engine.flags(*_SPANS)):
            yield from _switches(subject, _RAY, Told(subject, engine.container), zone)


@rule(
    "call-home.services",
    title="Services that are named by variables must be in the zone",
    routes=["K25", "K26"],
    controls=_CONTROLS,
    fix="Point the service's variable at a host of the zone, or remove its key.",
    pack="egress",
    kinds=PODS,
)
def services(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A key of a tracing, tracking or model service among a container's variables means that prompts, errors
    or measurements go there. Where a second variable doesn't say otherwise, that is the vendor's own
    address."""
    for container in kubernetes.containers(subject):
        told = Told(subject, container)
        for service in call_home.services(told.names):
            yield from _service(subject, service, told, zone)


def _programs(told: Told) -> frozenset[Program]:
    """The known programs that a container runs, by its image, by its command, and by what it is told."""
    reference = quiet(told.container.node)["image"].text()
    image = images.parse(reference) if reference else None
    found = call_home.programs(image.path) if image is not None else ()
    words = (*told.names, *(word.text for word in told.words))
    return frozenset(found).union(
        *(call_home.started(one.program) for one in told.commands), *map(call_home.addressed, words)
    )


def _switches(subject: Subject, program: Program, told: Told, zone: Zone) -> Iterator[Hit]:
    for switch in program.switches:
        ways = [list(told.said(way.at, alone="true" in way.says)) for way in switch.ways]
        if any(
            said and all(_is_off(one, way, zone) for one in said)
            for way, said in zip(switch.ways, ways, strict=True)
        ):
            continue
        said = [one for way in ways for one in way]
        where = said[0].where if said else told.container.node["env"]
        if any(one.text is None for one in said) or (not said and told.unseen):
            yield subject.undecided(
                where,
                seen=program.name,
                why=f"{switch.what}, unless something that the plan doesn't show says otherwise",
                route=program.route,
            )
        else:
            yield subject.refuse(where, seen=program.name, why=switch.what, route=program.route)


def _is_off(said: Said, way: Way, zone: Zone) -> bool:
    text = (said.text or "").strip().lower()
    if way.host:
        return hosts.inside(hosts.host_of(text) or "", zone)
    if not way.registry:
        return text in way.says
    found = [images.parse(one.strip()) for one in text.split(",")]
    return all(image is not None and images.allowed(image, zone) for image in found)


def _service(subject: Subject, service: Service, told: Told, zone: Zone) -> Iterator[Hit]:
    for name, values in service.ended_by.items():
        ended = told.setting(name)
        if ended is not None and (ended.text or "").lower() in values:
            return
    pointed = False
    for name in service.hosts:
        host = told.setting(name)
        if host is None or host.text == "":
            continue
        pointed = True
        if host.text is not None:
            yield from targets.judge_text(
                subject, host.where, host.text, zone, what=f"data for {service.name}", route=service.route
            )
        else:
            yield subject.undecided(
                host.where, seen=name, why="it comes from what the plan doesn't show", route=service.route
            )
    for name in service.marks if not pointed else ():
        mark = told.setting(name)
        if mark is not None:
            yield subject.refuse(
                mark.where,
                seen=name,
                why=f"{service.name} is used, and nothing says that it is elsewhere than at {service.home}",
                route=service.route,
            )
