"""Proxies named in the environment: to whom a container's calls really go."""

from collections.abc import Iterator

from facts.zones import Zone
from policies import command_line, kubernetes
from policies.command_line import Environment
from policies.kubernetes import PODS
from policies.rule import Cel, Hit, Subject, rule
from policies.walkers import hosts

_NAMES = frozenset(
    ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY", "GRPC_PROXY", "SOCKS_PROXY", "WSS_PROXY")
)


@rule(
    "proxies.environment",
    title="A proxy must be a host of the zone",
    routes=["K19"],
    controls=["HDS EXI 05", "HIPAA 164.312(e)(1)", "GDPR 32", "SNC 12.14", "SNC 13.2"],
    fix="Name a proxy of the zone as a literal, or remove the variable.",
    pack="egress",
    kinds=PODS,
    cel=[
        Cel(
            "variables.containers.all(c, !has(c.env) || c.env.all(e, !(e.name.lowerAscii() in "
            "['http_proxy', 'https_proxy', 'all_proxy', 'ftp_proxy']) || !has(e.valueFrom) && "
            "(!has(e.value) || e.value == '' || isURL(e.value) && {hosts}.exists(h, "
            "url(e.value).getHostname().matches(h)))))"
        ),
    ],
)
def environment(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, in any case, send a container's calls to whoever they name.
    NO_PROXY sends nothing anywhere and passes. A variable from a ConfigMap or Secret is judged by that object
    where it is in the plan; where it isn't, a variable that may be a proxy can't be judged, and neither can a
    whole `envFrom`."""
    for container in kubernetes.containers(subject):
        variables = Environment(container, subject)
        for source in variables.unseen:
            yield subject.undecided(
                source,
                seen="envFrom",
                why="it may name a proxy, and the object that it takes variables from is not in the plan",
            )
        for variable in variables.variables.values():
            if variable.name.upper() not in _NAMES:
                continue
            text = variables.text(variable)
            if text is not None:
                yield from _judge(subject, variable.where.path, variable.name, text, zone)
            else:
                yield subject.undecided(
                    variable.where,
                    seen=variable.name,
                    why="it comes from something that the plan doesn't show",
                )
        for name, word in command_line.assigned(container, variables).items():
            if name.upper() in _NAMES:
                yield from _judge(subject, word.where.path, name, word.text, zone)


def _judge(subject: Subject, path: str, name: str, text: str, zone: Zone) -> Iterator[Hit]:
    if not text.strip():
        return
    host = hosts.host_of(text) or ""
    if not hosts.inside(host, zone):
        yield subject.refuse(
            path,
            seen=f"{name}: {host or 'no readable host'}",
            why=f"the container's calls go to a proxy outside zone {zone.name}",
        )
