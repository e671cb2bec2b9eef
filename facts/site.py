"""Where a site's files lie. A site is a folder laid out like stacks/; paths only, nothing is read here."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

#: the checkout: the folder of Pulumi.yaml
ROOT = Path(__file__).resolve().parent.parent

#: carries the absolute path of another site into the program and the packs
VARIABLE = "SOVEREIGN_SITE"


class SiteError(ValueError):
    """The site named in the environment can't be used."""


@dataclass(frozen=True)
class Site:
    """One site: its `folder` of settings, zones, types and rules, and the checkout `root` that serves it."""

    folder: Path
    root: Path = ROOT

    @staticmethod
    def current(environ: Mapping[str, str] = os.environ) -> "Site":
        """The site that this run is for: SOVEREIGN_SITE, else the checkout's own. Raises SiteError."""
        named = environ.get(VARIABLE)
        if not named:
            return Site(ROOT / "stacks")
        folder = Path(named)
        if not folder.is_absolute() or not folder.is_dir():
            raise SiteError(
                f"{VARIABLE} names no folder by its absolute path: use `sovereign --site DIR`, which sets it."
            )
        return Site(folder.resolve())

    @property
    def is_default(self) -> bool:
        return self.folder == self.root / "stacks"

    @property
    def base(self) -> Path:
        """What relative paths in the site's settings are relative to."""
        return self.root if self.is_default else self.folder

    @property
    def types_file(self) -> Path:
        """Resource types that this site allows besides the kit's."""
        return self.folder / "types.yaml"

    @property
    def models_file(self) -> Path:
        """Models that this site knows besides the kit's."""
        return self.folder / "models.yaml"

    @property
    def rules_folder(self) -> Path:
        """Rules of this site's own."""
        return self.folder / "rules"

    @property
    def waivers_folder(self) -> Path:
        """Findings that two people let stand for a while."""
        return self.folder / "waivers"

    @property
    def cluster(self) -> Path:
        """The embedded cluster's folder."""
        return self.base / ".sovereign" / "cluster"

    def stack_file(self, stack: str) -> Path:
        """The settings of a stack."""
        return self.folder / f"Pulumi.{stack}.yaml"

    def rollback_file(self, stack: str) -> Path:
        """The releases that stand in the place of the stack's settings, where a model was rolled back."""
        return self.folder / f"rollback.{stack}.yaml"

    def zone_file(self, zone: str) -> Path:
        return self.folder / "zones" / f"{zone}.yaml"

    def work(self, stack: str) -> Path:
        """What the runs of a stack leave behind: state, working copy of the settings, passphrase, verdict."""
        return self.base / ".sovereign" / "stacks" / stack

    def path(self, given: str) -> Path:
        """A path of the settings as an absolute one: `~` is the user's home, relative means from the base."""
        return Path(os.path.normpath(self.base / Path(given).expanduser()))
