"""The stack's own state and the key of its secrets: they hold every input, so they stay in the zone too."""

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

from facts.zones import Zone
from policies.rule import Hit, Subject, rule
from policies.walkers import hosts, places

_CONTROLS = ["HDS EXI 28", "HDS EXI 30", "GDPR 44-46", "SNC 19.2"]


@rule(
    "state.backend",
    title="The state must live in the zone",
    routes=["P18"],
    controls=_CONTROLS,
    fix="Keep the state in a file, or in a bucket or service whose region or host the zone names.",
    pack="residency",
    severity="critical",
    scope="plan",
)
def backend(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """State holds every input and output, secrets included. The default backend is a service in the United
    States."""
    url = subject.plan.stack.backend
    if url is None:
        if subject.plan.source == "engine" and subject.plan.whole:
            yield subject.undecided(
                "state.backend", seen="no backend named", why="where the state lives can't be told"
            )
        return
    parts = _split(url)
    where = "state.backend"
    if parts is None:
        yield subject.undecided(
            where, seen="a backend that can't be read", why="where the state lives can't be told"
        )
    elif parts.scheme == "file":
        return  # what follows is a path, never a host
    elif parts.scheme == "s3":
        yield from _bucket(subject, where, parts.query, zone)
    elif parts.scheme in ("azblob", "https", "http"):
        yield from _host(subject, where, _service_host(parts.scheme, url), zone, "the state lives there")
    else:
        yield subject.refuse(
            where,
            seen=f"{parts.scheme or 'no'}:// scheme",
            why="where such a backend keeps its data can't be told",
        )


@rule(
    "state.secrets-provider",
    title="The key of the stack's secrets must live in the zone",
    routes=["P19"],
    controls=[*_CONTROLS, "HIPAA 164.312(a)(2)(iv)"],
    fix="Use `passphrase`, or a key whose region or host the zone names.",
    pack="residency",
    severity="critical",
    scope="plan",
)
def secrets_provider(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Whoever holds this key reads every secret of the state; `default` and `service` are Pulumi's own
    service."""
    url = subject.plan.stack.secrets_provider
    where = "state.secretsProvider"
    if url is None:
        if subject.plan.source == "engine" and subject.plan.whole:
            yield subject.undecided(
                where, seen="no secrets provider named", why="whose key it is can't be told"
            )
        return
    if url == "passphrase":
        return
    parts = _split(url)
    key_there = "the key of every secret in the state lives there"
    if url in ("", "default", "service"):
        yield subject.refuse(
            where, seen=url or "nothing", why="the key is held by the service that keeps the state"
        )
    elif parts is None:
        yield subject.undecided(
            where, seen="a secrets provider that can't be read", why="whose key it is can't be told"
        )
    elif parts.scheme == "awskms":
        yield from _kms(subject, where, url, parts.query, zone)
    elif parts.scheme == "azurekeyvault":
        yield from _host(subject, where, hosts.host_of(f"//{parts.netloc}"), zone, key_there)
    elif parts.scheme == "gcpkms":
        found = re.search(r"/locations/([a-z0-9-]+)/", url)
        yield from _region(subject, where, found.group(1) if found else None, "gcp", zone)
    elif parts.scheme == "hashivault":
        yield subject.undecided(
            where,
            seen="hashivault://",
            why="its server comes from the environment of whoever runs it (VAULT_SERVER_URL)",
        )
    else:
        yield subject.refuse(
            where, seen=f"{parts.scheme or 'no'}:// scheme", why="where that key is can't be told"
        )


class _Parts:
    def __init__(self, scheme: str, netloc: str, query: dict[str, list[str]]) -> None:
        self.scheme, self.netloc, self.query = scheme, netloc, query


def _split(url: str) -> _Parts | None:
    try:
        parts = urlsplit(url)
        return _Parts(parts.scheme.lower(), parts.netloc, parse_qs(parts.query, keep_blank_values=True))
    except ValueError:
        return None


def _service_host(scheme: str, url: str) -> str | None:
    parts = _split(url)
    if parts is None or scheme != "azblob":
        return hosts.host_of(url)
    account = parts.query.get("storage_account", [""])[0]
    domain = parts.query.get("domain", ["blob.core.windows.net"])[0]
    return hosts.host_of(f"{account}.{domain}") if account else None


def _bucket(subject: Subject, where: str, query: dict[str, list[str]], zone: Zone) -> Iterator[Hit]:
    if endpoint := query.get("endpoint", query.get("hostname_immutable_endpoint", [""]))[0]:
        yield from _host(subject, where, hosts.host_of(endpoint), zone, "the state lives there")
        return
    yield from _region(subject, where, query.get("region", [None])[0], "aws", zone)


def _kms(subject: Subject, where: str, url: str, query: dict[str, list[str]], zone: Zone) -> Iterator[Hit]:
    named = re.findall(r"arn:(aws[a-z-]*):kms:([a-z0-9-]*):", url)
    for partition, region in named:
        yield from _region(subject, where, region or None, "aws" if partition == "aws" else partition, zone)
    if region := query.get("region", [""])[0]:
        yield from _region(subject, where, region, "aws", zone)
    elif not named:
        yield from _region(subject, where, None, "aws", zone)


def _region(subject: Subject, where: str, code: str | None, package: str, zone: Zone) -> Iterator[Hit]:
    if not code:
        yield subject.refuse(
            where, seen="no region", why="the environment of whoever runs it decides where it lives"
        )
        return
    outside = places.judge_region(code, places.providers_of(package) or (package,), zone)
    if outside:
        yield subject.refuse(where, seen=code, why=f"it {outside}")


def _host(subject: Subject, where: str, host: str | None, zone: Zone, why: str) -> Iterator[Hit]:
    if host is None:
        yield subject.undecided(where, seen="no readable host", why="where it lives can't be told")
    elif not hosts.declared(host, zone):
        yield subject.refuse(where, seen=host, why=f"{why}, and zone {zone.name} does not name it")
