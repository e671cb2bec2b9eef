"""What a run tells of itself: its machine, the variables that steer the engine, what its settings import, and
where its files come from. Read where the engine configures a pack; the rules get plain facts.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from facts import site as sites
from facts.reading import read
from facts.site import Site
from policies.model import Origin, Runner, StackFacts

#: Variables that steer the engine, its plugins and its providers; never one that holds a secret.
_STEERS = re.compile(
    r"PULUMI_(?!\w*(?:TOKEN|PASSPHRASE|PASSWORD|SECRET|CREDENTIAL))\w+"
    r"|OTEL_EXPORTER_OTLP_\w*ENDPOINT|AWS_ENDPOINT_URL\w*|(?:HTTPS?|ALL)_PROXY",
    re.IGNORECASE,
)
_RUNNERS = Path(sites.__file__).with_name("runners.yaml")
_COMMIT = re.compile(r"[@#][0-9a-f]{40}$")


def of_run(facts: StackFacts, site: Site, environ: Mapping[str, str], host: str) -> StackFacts:
    """The facts of a stack with those of this run. `host`: the name of the machine. Raises OSError."""
    settings = environ.get("PULUMI_OPTION_CONFIG_FILE")
    file = Path(settings) if settings else site.stack_file(facts.name or "")
    return replace(
        facts,
        environments=tuple(_environments(_mapping(file).get("environment"))),
        runner=_runner(environ, host),
        origins=(*_remotes(site), *_packages(_mapping(site.root / "Pulumi.yaml").get("packages"))),
        engine={name: value for name, value in environ.items() if _STEERS.fullmatch(name)},
    )


def _environments(given: Any) -> Iterator[str]:
    """The names of ESC environments that settings import (an inline one may fetch from anywhere too)."""
    if isinstance(given, Mapping):
        imports = given.get("imports")
        yield from _environments(imports if isinstance(imports, list) else [])
        if given.keys() - {"imports"}:
            yield "inline"
    for item in given if isinstance(given, list) else ():
        yield str(next(iter(item), "unnamed")) if isinstance(item, Mapping) else str(item)


@cache
def services() -> Mapping[str, Mapping[str, Any]]:
    """How a run tells that a CI service started it, by service, as the data file explains."""
    told: Mapping[str, Mapping[str, Any]] = read(_RUNNERS)["services"]
    return told


def _runner(environ: Mapping[str, str], host: str) -> Runner:
    for service, told in services().items():
        if environ.get(told["present"]):
            said = environ.get(told["machine"], "") if "machine" in told else told.get("always", "")
            hosted = {told.get("hosted", "hosted"): True, told.get("own", "own"): False}.get(said)
            names = [
                name for key in told["names"] for name in re.findall(r"[^\s,\[\]\"]+", environ.get(key, ""))
            ]
            return Runner((host, *names), service, hosted)
    return Runner((host,), None, False)


def _remotes(site: Site) -> Iterator[Origin]:
    """Where a site of one's own is kept in git. The kit's own examples are everybody's."""
    if site.is_default:
        return
    config = next((found for folder in (site.folder, *site.folder.parents) if (found := _git(folder))), None)
    remote = False
    for line in config.read_text(encoding="utf-8", errors="replace").splitlines() if config else ():
        key, _, value = (part.strip() for part in line.partition("="))
        if key.startswith("["):
            remote = key.startswith("[remote ")
        elif remote and key.lower() in ("url", "pushurl"):
            yield Origin("site", value)


def _git(folder: Path) -> Path | None:
    """The git configuration of the checkout that a folder is the top of; a linked one has its main one's."""
    git = folder / ".git"
    if git.is_file():
        found = re.fullmatch(r"gitdir: (.+)", git.read_text(encoding="utf-8").strip())
        own = folder / found.group(1) if found else git
        common = own / "commondir"
        git = own / common.read_text(encoding="utf-8").strip() if common.is_file() else own
    return git / "config" if (git / "config").is_file() else None


def _packages(given: Any) -> Iterator[Origin]:
    """Packages that the project fetches by address rather than by name."""
    for name, told in given.items() if isinstance(given, Mapping) else ():
        parts = told if isinstance(told, Mapping) else {"source": told}
        source, version = str(parts.get("source", "")), str(parts.get("version", ""))
        if "/" in source and not source.startswith(("./", "../", "/")):
            pinned = bool(_COMMIT.search(source) or _COMMIT.search(f"@{version}"))
            yield Origin(f"package {name}", source, pinned)


def _mapping(file: Path) -> Mapping[str, Any]:
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except yaml.YAMLError:
        raise OSError(f"{file} is not YAML") from None
    return data if isinstance(data, Mapping) else {}
