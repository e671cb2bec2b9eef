"""The site of the running command, and the folder that a stack of it works in."""

import os
import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import click

from cli.errors import BadInput
from facts.site import ROOT, Site

STACK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Stack:
    """One stack of a site: its settings file, and where its runs leave what must outlive them."""

    name: str
    site: Site

    @property
    def source(self) -> Path:
        """The settings as the site has them."""
        return self.site.stack_file(self.name)

    @property
    def folder(self) -> Path:
        return self.site.work(self.name)

    @property
    def working_copy(self) -> Path:
        """The settings file that the engine writes salt and secrets to, for an embedded stack."""
        return self.folder / f"Pulumi.{self.name}.yaml"

    @property
    def passphrase(self) -> Path:
        return self.folder / "passphrase"

    @property
    def verdict(self) -> Path:
        return self.folder / "verdict.json"


def engine_home(site: Site) -> Path:
    """The private PULUMI_HOME of stacks that name the kit's provider: nothing of the user's is in it."""
    return site.base / ".sovereign" / "pulumi-home"


def review_home(site: Site) -> Path:
    """The private PULUMI_HOME of reviews: stand-ins, and nothing that reaches anything."""
    return site.base / ".sovereign" / "review-home"


def official_home() -> Path:
    """The user's own PULUMI_HOME, where `pulumi plugin install` puts official plugins."""
    return Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")


def current() -> Site:
    """The site of the running command, from the global --site. Raises BadInput where it can't be used."""
    given: Path | None = (click.get_current_context().find_root().obj or {}).get("site")
    if not (ROOT / "Pulumi.yaml").is_file():
        raise BadInput(
            f"There is no Pulumi.yaml in {ROOT}, so this is no checkout of the kit. "
            "Clone it and run `make up` there: the kit is an application with an environment of its own."
        )
    folder = (given or ROOT / "stacks").resolve()
    if not folder.is_dir():
        raise BadInput(
            f"There is no site folder {folder}. Give --site a folder laid out like {ROOT / 'stacks'}."
        )
    return Site(folder)


def stacks(site: Site) -> list[str]:
    """The names of the site's stacks."""
    return sorted(file.name[len("Pulumi.") : -len(".yaml")] for file in site.folder.glob("Pulumi.?*.yaml"))


def stack(site: Site, name: str) -> Stack:
    """The stack of this name. Raises BadInput naming those that there are."""
    if not STACK_NAME.fullmatch(name) or not site.stack_file(name).is_file():
        raise BadInput(f"There is no stack {name!r} in {site.folder}. {_advice(site, name)}")
    return Stack(name, site)


def _advice(site: Site, name: str) -> str:
    known = stacks(site)
    if not known:
        return f"It holds no Pulumi.<stack>.yaml: write one, as {ROOT / 'stacks'} has it."
    near = get_close_matches(name, known, 1)
    hint = f"Did you mean {near[0]}? " if near else ""
    return f"{hint}Its stacks are: {', '.join(known)}."
