"""Providers: in which region, and at which cluster, everything below them lands."""

from collections.abc import Iterator, Mapping
from typing import Any

from facts.zones import Zone
from policies.documents import of_yaml
from policies.model import Node
from policies.rule import Hit, Subject, rule
from policies.walkers import hosts, places

_RESIDENCY = ["HDS EXI 28", "GDPR 44-46", "SNC 19.2"]
_CLOUDS = ["pulumi:providers:aws", "pulumi:providers:aws-native"]


def _allowed(zone: Zone, package: str) -> str:
    codes = [code for provider in places.providers_of(package) for code in zone.regions.get(provider, ())]
    return f"Use a region of zone {zone.name}: {', '.join(codes) or 'it has none of this provider'}."


@rule(
    "providers.region",
    title="A provider's region must be in the zone",
    routes=["P01", "P02"],
    controls=_RESIDENCY,
    fix="Give the provider a region of the zone.",
    pack="residency",
    severity="critical",
    types=_CLOUDS,
)
def region(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Everything under a provider lands in its region; without one, the environment or a profile decides."""
    resource = subject.resource
    assert resource is not None
    code = subject["region"].text()
    if subject["region"].absent or code == "":
        yield subject.refuse(
            "region",
            seen="no region",
            why="the environment or a profile of whoever runs it decides where its resources land",
            route="P02",
            fix=_allowed(zone, resource.package),
        )
    elif code is not None:
        outside = places.judge_region(code.strip(), places.providers_of(resource.package), zone)
        if outside:
            yield subject.refuse(
                "region", seen=code, why=f"it {outside}", fix=_allowed(zone, resource.package)
            )


@rule(
    "providers.own-region",
    title="A resource's own region must be in the zone",
    routes=["P03"],
    controls=_RESIDENCY,
    fix="Leave the resource's region out, or give one of the zone.",
    pack="residency",
    severity="critical",
    types=["aws:*"],
)
def own_region(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """An AWS resource's own `region` overrides its provider's, on nine types of ten since pulumi-aws 7."""
    code = subject["region"].text()
    if code:
        outside = places.judge_region(code, places.providers_of("aws"), zone)
        if outside:
            yield subject.refuse(
                "region",
                seen=code,
                why=f"it overrides the provider's region and {outside}",
                fix=_allowed(zone, "aws"),
            )


@rule(
    "providers.cluster",
    title="A Kubernetes provider must name one cluster of the zone",
    routes=["P07"],
    controls=[*_RESIDENCY, "HIPAA 164.312(a)(1)"],
    fix="Give the provider the content of a kubeconfig whose server is among the zone's hosts or networks.",
    pack="residency",
    severity="critical",
    types=["pulumi:providers:kubernetes"],
)
def cluster(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """The cluster's API server must be named by the zone, and told by the plan: no path, no ambient
    kubeconfig."""
    directory = subject["renderYamlToDirectory"]
    if not directory.absent and directory.text() != "":
        yield subject.refuse(
            directory,
            seen="renderYamlToDirectory",
            why="every object, Secrets in clear too, is written to a directory of whoever runs it",
            fix="Remove renderYamlToDirectory.",
        )
    given = subject["kubeconfig"]
    content = given.text()
    if given.absent or content == "":
        yield subject.refuse(
            given,
            seen="no kubeconfig",
            why="the ambient kubeconfig of whoever runs it decides which cluster it is",
        )
    elif content is not None:
        yield from _kubeconfig(subject, given, content.strip(), zone)


def _kubeconfig(subject: Subject, given: Node, content: str, zone: Zone) -> Iterator[Hit]:
    try:
        [config] = of_yaml(content)
    except ValueError:
        config = None
    if isinstance(config, str):
        yield subject.refuse(
            given,
            seen="a path",
            why="what the file holds is not part of the plan, so the cluster can't be judged",
        )
        return
    if not isinstance(config, Mapping):
        yield subject.undecided(
            given, seen="a kubeconfig that can't be read", why="its cluster can't be told"
        )
        return
    chosen = _chosen(subject, config)
    if chosen is None:
        yield subject.undecided(
            given,
            seen="a kubeconfig without a current cluster",
            why="which of its clusters is meant can't be told",
        )
        return
    for key in ("server", "proxy-url"):
        address = chosen.get(key)
        if address is None and key == "proxy-url":
            continue
        host = hosts.host_of(address) if isinstance(address, str) else None
        if host is None:
            yield subject.undecided(
                given, seen=f"a kubeconfig without a readable {key}", why="its host can't be told"
            )
        elif not hosts.declared(host, zone):
            yield subject.refuse(
                given,
                seen=f"{key} {host}",
                why=f"everything below the provider lands there, and zone {zone.name} does not name it",
            )


def _chosen(subject: Subject, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The cluster entry that the provider will use: its `cluster`, else that of `context` or the current
    context."""
    name = subject["cluster"].text()
    if name is None:
        context = subject["context"].text() or config.get("current-context")
        entry = _entry(config.get("contexts"), context, "context")
        name = entry.get("cluster") if entry is not None else None
    return _entry(config.get("clusters"), name, "cluster")


def _entry(entries: Any, name: Any, key: str) -> Mapping[str, Any] | None:
    for item in entries if isinstance(entries, list) else ():
        if isinstance(item, Mapping) and isinstance(name, str) and item.get("name") == name:
            inner = item.get(key)
            return inner if isinstance(inner, Mapping) else None
    return None
