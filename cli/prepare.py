"""What a stack needs before the engine may run it: programs, cluster, passphrase, settings, provider.

Each step does nothing where its work is done, so that every verb may begin with all of them.
"""

import fcntl
import json
import os
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from cli import cluster, policy, workspace
from cli.errors import BadInput, OperationFailed, Refused
from cli.output import finding_text
from cli.workspace import Stack
from facts.site import ROOT, VARIABLE

if TYPE_CHECKING:
    from facts.zones import Zone
    from stacks.settings import Settings
    from toolchain.engine import Engine

Report = Callable[[str], None]

#: keys of a settings file by which the engine finds the key of its secrets
ENGINE_KEYS = ("encryptionsalt", "encryptedkey", "secretsprovider")


@dataclass(frozen=True)
class Prepared:
    """A stack that the engine can run."""

    stack: Stack
    settings: "Settings"
    zone: "Zone"
    engine: "Engine"


def prepare(stack: Stack, report: Report) -> Prepared:
    """Brings the stack to where the engine can plan it, from nothing if need be.

    Raises BadInput, Refused (state or key outside the zone), OperationFailed, and the errors of each part.
    """
    from toolchain.repair import repair

    settings = settings_of(stack)
    zone = zone_of(stack, settings)
    refuse_beyond_zone(stack, settings, zone)
    refuse_placeholders(stack, settings)
    refuse_foreign_state(stack, settings, zone)
    passphrase = passphrase_file(stack, settings)
    if settings.cluster.embedded:
        cluster_up(stack, settings, report)
    engine = engine_of(stack, settings, settings_file(stack, settings), passphrase, report)
    install_provider(settings, engine)
    if engine.create_stack(stack.name, settings.state.secrets_provider):
        report(f"made the stack {stack.name} in {settings.state.backend}")
    repair(engine, stack.name, report)
    set_missing_secrets(stack, settings, engine, report)
    return Prepared(stack, settings, zone, engine)


def reopen(stack: Stack, report: Report) -> Prepared:
    """The stack as it is, for taking it down: starts nothing and makes nothing new. Raises as `prepare`."""
    from toolchain.repair import repair

    settings = settings_of(stack)
    zone = zone_of(stack, settings)
    refuse_foreign_state(stack, settings, zone)
    passphrase = passphrase_file(stack, settings)
    engine = engine_of(stack, settings, settings_file(stack, settings), passphrase, report)
    install_provider(settings, engine)
    repair(engine, stack.name, report)
    return Prepared(stack, settings, zone, engine)


@contextmanager
def held(stack: Stack) -> Iterator[None]:
    """Holds the stack for one run: whoever holds it may take an engine's leftover lock for stale.

    Being told to end (SIGTERM, SIGHUP) is taken as Ctrl-C meanwhile. Raises OperationFailed where another run
    of the kit is at work on the stack.
    """
    from toolchain.interrupts import as_keyboard_interrupt

    stack.folder.mkdir(parents=True, exist_ok=True)
    with (stack.folder / "lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise OperationFailed(
                f"Another run (process {lock.read().strip() or 'unknown'}) is at work on {stack.name}: "
                "wait for it to end, then run the command again."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        with as_keyboard_interrupt():
            yield


def settings_of(stack: Stack) -> "Settings":
    """The stack's settings. Raises SettingsError."""
    from stacks import settings

    return settings.load(stack.source)


def zone_of(stack: Stack, settings: "Settings") -> "Zone":
    """The zone that the stack declares. Raises ZoneError."""
    from facts import zones

    return zones.load(stack.site.zone_file(settings.zone))


def refuse_beyond_zone(stack: Stack, settings: "Settings", zone: "Zone") -> None:
    """Raises SettingsError where the settings name what lies outside the zone."""
    from stacks import bounds

    bounds.check(settings, zone, stack.source)


def refuse_placeholders(stack: Stack, settings: "Settings") -> None:
    """What stands for something yet to come is for a review only. Raises BadInput."""
    faults = list(settings.placeholders()) if settings.cluster.of_ground else []
    if faults:
        raise BadInput("\n".join(f"{stack.source}: {fault}" for fault in faults))


def refuse_foreign_state(stack: Stack, settings: "Settings", zone: "Zone") -> None:
    """Judges where state and secrets key lie before the engine writes there. Raises Refused."""
    from policies.judge import judge
    from policies.model import Plan, StackFacts

    facts = StackFacts(stack.name, settings.state.backend, settings.state.secrets_provider)
    rules = [rule for rule in policy.rules_of(stack.site) if {"P18", "P19"} & set(rule.routes)]
    found = judge(Plan.of((), facts, whole=False), zone, rules).findings
    if found:
        raise Refused("\n".join(finding_text(finding.to_json()) for finding in found))


def cluster_up(stack: Stack, settings: "Settings", report: Report) -> None:
    """Starts the embedded cluster as the settings describe it. Raises BuildError, ClusterError."""
    wanted = settings.embedded
    assert wanted is not None  # the settings hold it for an embedded cluster
    cluster.start(stack.site, wanted.nodes, wanted.gpu, wanted.gpus_per_node, wanted.rooms, report)


def engine_of(
    stack: Stack, settings: "Settings", file: Path, passphrase: Path | None, report: Report
) -> "Engine":
    """The engine in the environment of this stack. Raises BuildError."""
    from stacks import custody
    from toolchain import engine

    return engine.Engine(
        executable=engine.find(report),
        root=ROOT,
        home=workspace.engine_home(stack.site)
        if settings.cluster.provider == "kit"
        else workspace.official_home(),
        backend=custody.backend(settings, stack.site),
        config_file=file,
        passphrase_file=passphrase,
        variables={} if stack.site.is_default else {VARIABLE: str(stack.site.folder)},
        keep=keep(
            settings.state.backend,
            "" if passphrase else settings.state.secrets_provider,
            "aws" if settings.aws else "",
            "official" if settings.cluster.provider == "official" else "",
        ),
    )


#: what a cloud, a backend or a secrets provider of the user's own authenticates with, by name or scheme
AUTHENTICATION = {
    "aws": ("AWS_",),
    "s3": ("AWS_",),
    "awskms": ("AWS_",),
    "azblob": ("AZURE_",),
    "azurekeyvault": ("AZURE_",),
    "hashivault": ("VAULT_",),
    "https": ("PULUMI_ACCESS_TOKEN",),
    "passphrase": ("PULUMI_CONFIG_PASSPHRASE",),
}
#: what lies on this machine: no proxy leads there
_HERE = ("", "file", "passphrase")


def keep(*places: str) -> tuple[str, ...]:
    """The variables of the present environment that these clouds, plugins and places of state and key need,
    to be reached and to authenticate."""
    from toolchain.engine import PROXIES

    schemes = [place.partition("://")[0] for place in places]
    return (
        *(name for scheme in schemes for name in AUTHENTICATION.get(scheme, ())),
        *(PROXIES if any(scheme not in _HERE for scheme in schemes) else ()),
    )


def plugins(settings: "Settings") -> list[tuple[str, str]]:
    """Name and version of each provider plugin that the stack's program uses."""
    from toolchain.providers import aws, kubernetes

    own = [(aws.PACKAGE, aws.VERSION)] if settings.aws else []
    return [(kubernetes.PACKAGE, kubernetes.VERSION), *own]


def install_provider(settings: "Settings", engine: "Engine") -> None:
    """Puts the kit's Kubernetes provider into the engine's home where the stack names it, and only there.

    Raises BadInput where the stack names official plugins and one is not installed.
    """
    from toolchain.providers import kubernetes

    if settings.cluster.provider == "kit":
        kubernetes.install(engine.home, python=Path(sys.executable), root=ROOT)
        return
    instead = {
        kubernetes.PACKAGE: ", or name the kit's own in the stack's settings: cluster.provider: kit"
        if not settings.cluster.of_ground
        else ""
    }
    for package, version in plugins(settings):
        plugin = f"resource-{package}-v{version}"
        if not (engine.home / "plugins" / plugin).is_dir():
            raise BadInput(
                f"The official plugin {package} is not installed: {engine.home / 'plugins'} has no {plugin}. "
                f"Install it (`pulumi plugin install resource {package} {version}` or your mirror)"
                f"{instead.get(package, '')}."
            )


def set_missing_secrets(stack: Stack, settings: "Settings", engine: "Engine", report: Report) -> None:
    """Makes the secret configuration that the stack lacks; values reach the engine by standard input only."""
    from stacks import secret_config
    from stacks.settings import read_file

    present = (read_file(_given(engine.config_file)).get("config") or {}).keys()
    current = {
        key: "set" if key == secret_config.AUDIT_KEY else _in_clear(key, stack, engine)
        for key in (secret_config.AUDIT_KEY, secret_config.AUTHORITY, secret_config.CERTIFICATES)
        if key in present
    }
    for key, value in secret_config.ensure(current, settings, datetime.now(UTC)).items():
        engine.checked(["config", "set", "--secret", key, "--stack", stack.name], given=value)
        report(f"{'renewed' if key in present else 'made'} the secret {key}")


def _in_clear(key: str, stack: Stack, engine: "Engine") -> str:
    """A secret of the stack's configuration; it stays in this process."""
    return engine.checked(["config", "get", key, "--stack", stack.name]).removesuffix("\n")


def audit_key(prepared: Prepared) -> str:
    """The secret from which a stack's other keys are derived; it stays in this process. Raises EngineError."""
    from stacks.secret_config import AUDIT_KEY

    return _in_clear(AUDIT_KEY, prepared.stack, prepared.engine)


def state_folder(stack: Stack, settings: "Settings") -> Path | None:
    """The folder of a state that is kept in files; None for one that a service keeps."""
    from stacks import custody

    scheme, _, place = custody.backend(settings, stack.site).partition("://")
    return Path(place) if scheme == "file" else None


def has_state(stack: Stack, settings: "Settings") -> bool:
    """Whether the stack's files hold a state; always so for one that a service keeps."""
    folder = state_folder(stack, settings)
    return folder is None or any(_checkpoints(folder, stack))


def has_resources(stack: Stack, settings: "Settings") -> bool:
    """Whether the state holds anything to delete; taken to be so where the files don't tell."""
    folder = state_folder(stack, settings)
    try:
        return folder is None or any(
            json.loads(file.read_text(encoding="utf-8"))["checkpoint"]["latest"].get("resources")
            for file in _checkpoints(folder, stack)
        )
    except (OSError, ValueError, KeyError, AttributeError):
        return True


def _checkpoints(folder: Path, stack: Stack) -> Iterator[Path]:
    return folder.glob(f".pulumi/stacks/*/{stack.name}.json")


def passphrase_file(stack: Stack, settings: "Settings") -> Path | None:
    """The passphrase of an embedded stack, made once; None where the user brings the key.

    Raises BadInput where a stack of the user's own encrypts by passphrase and none is given, or where the
    passphrase of an existing state is gone.
    """
    if settings.state.secrets_provider != "passphrase":
        return None
    given = os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    if not settings.cluster.embedded:
        if given:
            return Path(given).resolve()
        if "PULUMI_CONFIG_PASSPHRASE" in os.environ:
            return None
        raise BadInput(
            f"{stack.source} encrypts its secrets by passphrase, and none is given: set "
            "PULUMI_CONFIG_PASSPHRASE_FILE to a file that only you can read, or name a key of yours in "
            "`state.secretsProvider` (hashivault://, awskms://, azurekeyvault://)."
        )
    if not stack.passphrase.exists():
        if has_state(stack, settings):
            raise BadInput(
                f"{stack.passphrase} is gone, and the state beside it can't be read without it. Put the file "
                f"back, or start over: sovereign down {stack.name} --cluster."
            )
        _write(stack.passphrase, secrets.token_urlsafe(32))
    return stack.passphrase


def settings_file(stack: Stack, settings: "Settings") -> Path:
    """The settings file for the engine: the site's own, or, for an embedded stack, a copy kept in step.

    The engine writes a salt and secrets into it, which a default that everyone shares must not get.
    """
    if not settings.cluster.embedded:
        return stack.source
    source = yaml.safe_load(stack.source.read_text(encoding="utf-8"))
    kept = (
        yaml.safe_load(stack.working_copy.read_text(encoding="utf-8")) if stack.working_copy.exists() else {}
    )
    merged = in_step(source, kept or {})
    if merged != kept:
        _write(stack.working_copy, yaml.safe_dump(merged, sort_keys=False, allow_unicode=True))
    return stack.working_copy


def in_step(source: Mapping[str, Any], copy: Mapping[str, Any]) -> dict[str, Any]:
    """The source's settings with the copy's salt and encrypted secrets; those of a source are another's."""
    merged = {key: value for key, value in source.items() if key not in ENGINE_KEYS}
    merged["config"] = dict(source.get("config") or {})
    for key, value in (copy.get("config") or {}).items():
        if isinstance(value, Mapping) and set(value) == {"secure"}:
            merged["config"].setdefault(key, value)
    merged.update({key: copy[key] for key in ENGINE_KEYS if key in copy})
    return merged


def _given(file: Path | None) -> Path:
    assert file is not None  # every stack of the kit names its settings file
    return file


def _write(path: Path, text: str) -> None:
    """Replaces a file in one step, readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
