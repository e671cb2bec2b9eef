"""Where a stack's state and its secrets key live: what the settings declare has to be what the engine uses.

The zone judges what is declared (routes P18, P19); a run that keeps them elsewhere is refused here.
"""

from collections.abc import Mapping
from pathlib import Path

import pulumi
import yaml

from facts.sentinels import PREVIEW
from facts.site import Site
from stacks.settings import Settings, SettingsError, read_file


class CustodyError(ValueError):
    """State or secrets key of a run are not where the stack's settings say."""


def backend(settings: Settings, site: Site) -> str:
    """The declared backend as the engine takes it: a relative folder made absolute."""
    return _resolved(settings.state.backend, site)


def check(settings: Settings, site: Site, stack: str, environ: Mapping[str, str]) -> None:
    """Compares this run's backend and secrets provider with the declared ones. Raises CustodyError.

    A review has no state to keep, and no secret of the stack's.
    """
    if environ.get(PREVIEW) and pulumi.runtime.is_dry_run():
        return
    source = site.stack_file(stack)
    actual = environ.get("PULUMI_BACKEND_URL") or _project_backend(site.root / "Pulumi.yaml")
    if not actual:
        raise CustodyError(
            "This run does not say where its state lives, so it could be anywhere. Set PULUMI_BACKEND_URL to "
            f"the state.backend of {source}, or run `sovereign up {stack}`, which does."
        )
    if _resolved(actual, site) != backend(settings, site):
        raise CustodyError(
            f"This run keeps its state elsewhere than {source} declares in state.backend. Set "
            f"PULUMI_BACKEND_URL to the declared one, or run `sovereign up {stack}`, which does."
        )
    provider = _secrets_provider(Path(environ.get("PULUMI_OPTION_CONFIG_FILE") or source), actual)
    if provider != settings.state.secrets_provider:
        raise CustodyError(
            f"This run's secrets are encrypted by another key than {source} declares in "
            "state.secretsProvider. Change it with `pulumi stack change-secrets-provider`, or correct the "
            "settings."
        )


def _resolved(url: str, site: Site) -> str:
    scheme, _, rest = url.partition("://")
    return f"file://{site.path(rest)}" if scheme == "file" else url.rstrip("/")


def _project_backend(project: Path) -> str | None:
    try:
        data = yaml.safe_load(project.read_text(encoding="utf-8"))
        url = data["backend"]["url"]
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError):
        return None
    return url if isinstance(url, str) else None


def _secrets_provider(file: Path, backend_url: str) -> str:
    try:
        data = read_file(file)
    except SettingsError as error:
        raise CustodyError(str(error)) from None
    named = data.get("secretsprovider")
    if named in (None, "", "default"):
        # what the engine falls back to: a service keeps the key itself, other backends ask for a passphrase
        return (
            "passphrase"
            if data.get("encryptionsalt") or not backend_url.startswith("https://")
            else "service"
        )
    return str(named)
