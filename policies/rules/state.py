"""The stack's own state and the key of its secrets: they hold every input, so they stay in the zone too."""

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

from facts.zones import Zone
from policies.model import Plan
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
        if _of_engine(subject.plan):
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
        yield from _bucket(subject, where, parts, zone)
    elif parts.scheme in ("azblob", "https", "http"):
        yield from _host(subject, where, _service_host(parts, url), zone, "the state lives there")
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
        if _of_engine(subject.plan):
            yield subject.undecided(
                where, seen="no secrets provider named", why="whose key it is can't be told"
            )
        return
    if url == "passphrase":
        return
    parts = _split(url)
    key_there = "the key of every secret in the state lives there"
    if parts is None:
        yield subject.undecided(
            where, seen="a secrets provider that can't be read", why="whose key it is can't be told"
        )
    elif parts.scheme == "awskms":
        yield from _kms(subject, where, url, parts, zone)
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
            where,
            seen=f"{parts.scheme}:// scheme" if parts.scheme else url or "nothing",
            why="where that key is can't be told"
            if parts.scheme
            else "the key is held by the service that keeps the state",
        )


class _Parts:
    def __init__(self, scheme: str, netloc: str, query: dict[str, list[str]]) -> None:
        self.scheme, self.netloc, self.query = scheme, netloc, query

    def first(self, *names: str) -> str | None:
        """The first of these parameters that is given."""
        return next((value for name in names for value in self.query.get(name, ())), None)


def _split(url: str) -> _Parts | None:
    try:
        parts = urlsplit(url)
        return _Parts(parts.scheme.lower(), parts.netloc, parse_qs(parts.query, keep_blank_values=True))
    except ValueError:
        return None


def _of_engine(plan: Plan) -> bool:
    return plan.source == "engine" and plan.whole


def _service_host(parts: _Parts, url: str) -> str | None:
    if parts.scheme != "azblob":
        return hosts.host_of(url)
    account = parts.first("storage_account")
    return hosts.host_of(f"{account}.{parts.first('domain') or 'blob.core.windows.net'}") if account else None


def _bucket(subject: Subject, where: str, parts: _Parts, zone: Zone) -> Iterator[Hit]:
    endpoint = parts.first("endpoint", "hostname_immutable_endpoint")
    if endpoint is not None:
        yield from _host(subject, where, hosts.host_of(endpoint), zone, "the state lives there")
    else:
        yield from _region(subject, where, parts.first("region"), "aws", zone)


def _kms(subject: Subject, where: str, url: str, parts: _Parts, zone: Zone) -> Iterator[Hit]:
    """The key's ARN, where it is one, the region beside it, and the host that is asked where one is named:
    none may be outside."""
    endpoint = parts.first("endpoint")
    if endpoint is not None:
        yield from _host(subject, where, hosts.host_of(endpoint), zone, "every secret is sent there")
    named = re.findall(r"arn:(aws[a-z-]*):kms:([a-z0-9-]*):", url)
    asked = parts.first("region")
    for partition, region in [*named, *([("aws", asked)] if asked or not named else [])]:
        yield from _region(subject, where, region, partition, zone)


def _region(subject: Subject, where: str, code: str | None, package: str, zone: Zone) -> Iterator[Hit]:
    outside = places.judge_region(code or "", places.providers_of(package) or (package,), zone)
    if outside:
        yield subject.refuse(
            where,
            seen=code or "no region",
            why=f"it {outside}" if code else "the environment of whoever runs it decides where it lives",
        )


def _host(subject: Subject, where: str, host: str | None, zone: Zone, why: str) -> Iterator[Hit]:
    if host is None:
        yield subject.undecided(where, seen="no readable host", why="where it lives can't be told")
    elif not hosts.declared(host, zone):
        yield subject.refuse(where, seen=host, why=f"{why}, and zone {zone.name} does not name it")
