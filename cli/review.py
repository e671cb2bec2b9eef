"""What a review of a stack needs: no account, no cluster, no secret and no state of the stack's.

Stand-ins answer for the plugins; the state is thrown away afterwards, and so are the secrets made for it.
"""

import json
import secrets
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml

from cli import prepare, workspace
from cli.errors import BadInput
from cli.prepare import ENGINE_KEYS, Prepared, Report
from cli.workspace import Stack
from facts.sentinels import PREVIEW
from facts.site import ROOT, VARIABLE

if TYPE_CHECKING:
    from stacks.settings import Settings
    from toolchain.engine import Engine

Preview = Literal["symbolic", "ordinary"]

#: how the engine writes a secret in an exported state (sdk/go/common/resource/sig, pulumi v3.259.0)
_SIGNATURE, _SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
#: what stands for a secret of a state, which nobody can read here
_HIDDEN = "secret of the state"


@contextmanager
def prepared(stack: Stack, preview: Preview, state: Path | None, report: Report) -> Iterator[Prepared]:
    """The stack as the engine can review it, against an exported `state` or an empty one.

    Raises BadInput, BuildError, EngineError, and the errors of settings and zone.
    """
    from toolchain import engine

    settings = prepare.settings_of(stack)
    zone = prepare.zone_of(stack, settings)
    prepare.refuse_beyond_zone(stack, settings, zone)
    with tempfile.TemporaryDirectory(prefix="sovereign-review-") as name:
        folder = Path(name)
        (folder / "passphrase").write_text(secrets.token_urlsafe(32), encoding="utf-8")
        own = {} if stack.site.is_default else {VARIABLE: str(stack.site.folder)}
        made = engine.Engine(
            executable=engine.find(report),
            root=ROOT,
            home=workspace.review_home(stack.site),
            backend=f"file://{folder / 'state'}",
            config_file=_settings_file(stack, folder),
            passphrase_file=folder / "passphrase",
            variables={**own, PREVIEW: preview},
        )
        install_stand_ins(made.home, report)
        made.create_stack(stack.name, "passphrase")
        if state is not None:
            _take(state, stack, made, folder)
        _set_secrets(stack, settings, made)
        yield Prepared(stack, settings, zone, made)


def install_stand_ins(home: Path, report: Report) -> None:
    """Puts the stand-ins into a PULUMI_HOME that has nothing else. Raises BuildError."""
    from toolchain import build
    from toolchain.providers import aws, kubernetes

    python = Path(sys.executable)
    api = build.ensure(("kubernetes-api",), report)["kubernetes-api"]
    kubernetes.install(home, python, ROOT, api)
    aws.install(home, python, ROOT)


def _settings_file(stack: Stack, folder: Path) -> Path:
    """The site's settings without the key of its secrets and without what that key encrypts."""
    source: dict[str, Any] = yaml.safe_load(stack.source.read_text(encoding="utf-8"))
    file = folder / f"Pulumi.{stack.name}.yaml"
    shown = {key: value for key, value in source.items() if key not in ENGINE_KEYS}
    shown["config"] = {
        key: value
        for key, value in (source.get("config") or {}).items()
        if not (isinstance(value, Mapping) and "secure" in value)
    }
    file.write_text(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return file


def _set_secrets(stack: Stack, settings: "Settings", engine: "Engine") -> None:
    """Secrets for this review alone, under the keys of the stack's own."""
    from stacks import secret_config

    made = secret_config.ensure({}, settings, datetime.now(UTC))
    # they are worth nothing, so they may be seen on a command line, which sets all at once
    pairs = [part for key, value in made.items() for part in ("--secret", f"{key}={value}")]
    engine.checked(["config", "set-all", "--stack", stack.name, *pairs])


def _take(file: Path, stack: Stack, engine: "Engine", folder: Path) -> None:
    """Reviews against a `pulumi stack export`. Raises BadInput for a file that is none."""
    try:
        exported = json.loads(file.read_text(encoding="utf-8"))
        deployment = exported["deployment"]
        urns = [resource["urn"] for resource in deployment.get("resources") or ()]
    except (OSError, ValueError, KeyError, TypeError):
        raise BadInput(f"{file} is no state: give the file that `pulumi stack export` writes.") from None
    own = f"urn:pulumi:{stack.name}::"
    if foreign := next((urn for urn in urns if not urn.startswith(own)), None):
        raise BadInput(
            f"{file} is the state of another stack ({foreign.split('::')[0]}), not of {stack.name}."
        )
    own_key = json.loads(engine.checked(["stack", "export", "--stack", stack.name]))["deployment"]
    known = {**_in_clear(deployment), "secrets_providers": own_key["secrets_providers"]}
    given = folder / "state.json"
    given.write_text(json.dumps({**exported, "deployment": known}), encoding="utf-8")
    engine.checked(["stack", "import", "--stack", stack.name, "--file", str(given)])


def _in_clear(value: Any) -> Any:
    """A state whose secrets, which the stack's key encrypts, are put in by a text that stands for them."""
    if isinstance(value, dict):
        if value.get(_SIGNATURE) == _SECRET:
            return {_SIGNATURE: _SECRET, "plaintext": json.dumps(_HIDDEN)}
        return {key: _in_clear(item) for key, item in value.items()}
    return [_in_clear(item) for item in value] if isinstance(value, list) else value
