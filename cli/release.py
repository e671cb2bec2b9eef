"""A release: a plan made with the very plugins that `up` will use, and bound to all that it was made from.

The engine's saved plan constrains operations and known inputs only. What it leaves open (the program, the
packs, the configuration, the plugins, the starting state) is bound here, and `up` compares it.

The record is sealed by a secret of the stack: only who can read the stack's secrets can write one. That says
which machine, not who: a person's word is the signature, for which the zone names signers.
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from cli import drive, prepare
from cli.errors import BadInput, OperationFailed, Refused
from cli.prepare import Prepared
from cli.workspace import Stack
from facts.site import ROOT

if TYPE_CHECKING:
    from facts.zones import Zone
    from stacks.settings import Settings

SCHEMA = "release/v1"

#: what a release is bound to, and what is said where it is another now
BOUND = {
    "program": "the program is another one (facts/, components/, stacks/, Pulumi.yaml)",
    "packs": "the rules are others (policies/, the site's rules, types and waivers)",
    "settings": "the settings are others (the stack's file, its zone, models and rollbacks)",
    "locks": "a lock file is another one (requirements.txt, toolchain/build)",
    "engine": "the engine is another one",
    "plugins": "a provider plugin is another one",
    "serial": "the state has been written since",
    "state": "the state is another one than the plan started from",
    "plan": "the saved plan is another file",
}
#: what the key of seals is derived for, so that it is no key of anything else
_SEALS = b"sovereign release v1"
_PROGRAM = (
    *("Pulumi.yaml", "stacks/*.py"),
    *("facts/**/*.py", "facts/**/*.yaml", "components/**/*.py", "components/**/*.yaml"),
)
_PACKS = ("policies/**/*.py", "policies/**/*.yaml")
_RULES_OF_SITE = ("rules/**/*.py", "rules/**/*.yaml", "waivers/*.yaml", "types.yaml")
_LOCKS = ("requirements.txt", "toolchain/build/*/go.mod", "toolchain/build/*/go.sum")
_KIT_PROVIDERS = ("toolchain/providers/**/*.py", "toolchain/providers/**/*.yaml")


def asked(settings: "Settings") -> bool:
    """Whether a stack is changed by releases only: on a cloud, where nothing can be tried beforehand."""
    return settings.cluster.of_ground


def file_of(stack: Stack) -> Path:
    return stack.folder / "release.json"


def plan_of(stack: Stack) -> Path:
    """The plan that the engine saved."""
    return stack.folder / "release-plan.json"


def withdraw(stack: Stack) -> None:
    """Takes back an older release: a new one is being planned."""
    file_of(stack).unlink(missing_ok=True)
    plan_of(stack).unlink(missing_ok=True)


def check_approver(name: str, key: Path | None, zone: "Zone") -> None:
    """Raises BadInput where the zone names signers and this is none of them, or brings no key."""
    if not zone.signers:
        return
    if name not in zone.signers:
        raise BadInput(
            f"{name} may not approve a release in zone {zone.name}: its signers are "
            f"{', '.join(sorted(zone.signers))}."
        )
    if key is None:
        raise BadInput(f"Zone {zone.name} names signers, so {name} has to sign: give --key PRIVATE.pem.")


def record(
    prepared: Prepared,
    began: Mapping[str, str],
    verdict: Mapping[str, Any],
    approver: str,
    key: Path | None,
    valid: timedelta,
    now: datetime | None = None,
) -> dict[str, Any]:
    """Writes down, and gives, what was just planned and passed. `began`: the digests from before it was.

    Raises OperationFailed where something has changed since, BadInput for a key that can't sign.
    """
    made = now or datetime.now(UTC)
    plan_of(prepared.stack).chmod(0o600)
    bound = Bound(prepared)
    if moved := [BOUND[name] for name, digest in bound.digests().items() if began.get(name) != digest]:
        raise OperationFailed(
            f"{prepared.stack.name}: there is no release, because since planning began {'; '.join(moved)}. "
            "Plan it again while nobody works on it."
        )
    said = {
        "schema": SCHEMA,
        "stack": prepared.stack.name,
        "zone": prepared.zone.name,
        "approver": approver,
        "made": made.isoformat(timespec="seconds"),
        "expires": (made + valid).isoformat(timespec="seconds"),
        "verdict": {"digest": verdict["digest"], "resources": verdict["resources"]},
        "plugins": list(bound.plugins),
        "bound": {**began, "plan": bound.plan},
    }
    said["seal"] = _sealed(prepared, said)
    if key is not None:
        said["signature"] = base64.b64encode(_private(key).sign(_signed_bytes(said))).decode()
    _write(file_of(prepared.stack), json.dumps(said, indent=2) + "\n")
    return said


def require(prepared: Prepared, now: datetime | None = None) -> dict[str, Any]:
    """The stack's release, if it is for exactly what is about to run. Raises Refused: all that differs."""
    name = prepared.stack.name
    said = _read(prepared.stack)
    if wrong := list(_problems(said, prepared, now or datetime.now(UTC))):
        lines = "\n".join(f"  {one}" for one in wrong)
        raise Refused(
            f"{name}: the release of {said.get('made')} is not for this run:\n{lines}\n"
            f"Nothing is changed. Plan and approve it again: sovereign plan {name} --release."
        )
    return said


def _problems(said: Mapping[str, Any], prepared: Prepared, now: datetime) -> Iterator[str]:
    zone, bound, then = prepared.zone, Bound(prepared), said.get("bound")
    if (said.get("stack"), said.get("zone")) != (prepared.stack.name, zone.name):
        yield "it is of another stack or zone"
    if not _before(now, said.get("expires")):
        yield f"it has expired: it was to be used until {said.get('expires')}"
    if not hmac.compare_digest(str(said.get("seal")).encode(), _sealed(prepared, said).encode()):
        yield "it wasn't written with the stack's secrets, or has been changed since, or they have"
    if zone.signers and not _is_signed(said, zone):
        yield f"{said.get('approver')} is no signer of zone {zone.name}, or has not signed it as it is"
    known = then if isinstance(then, Mapping) else {}
    for name, digest in {**bound.digests(), "plan": bound.plan}.items():
        if known.get(name) != digest:
            yield BOUND[name] + (_others(said.get("plugins"), bound.plugins) if name == "plugins" else "")


def _others(before: Any, after: Iterable[Mapping[str, str]]) -> str:
    """Which plugins are others now, by name and version."""
    then = before if isinstance(before, list) else []
    other = [f"{one['name']} {one['version']}" for one in after if one not in then]
    return f": {', '.join(other)}" if other else ""


class Bound:
    """What a run of a prepared stack is made from."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared

    def digests(self) -> dict[str, str]:
        """Each part of it as a digest, but for the serial of the state; the saved plan is apart. Raises
        EngineError."""
        stack, site = self._prepared.stack, self._prepared.stack.site
        deployment = dict(drive.state(self._prepared).get("deployment") or {})
        manifest = deployment.pop("manifest", None) or {}
        own = [site.zone_file(self._prepared.settings.zone), site.models_file, site.rollback_file(stack.name)]
        return {
            "program": _of_files(_found(ROOT, _PROGRAM)),
            "packs": _of_files(_found(ROOT, _PACKS) | _found(site.folder, _RULES_OF_SITE)),
            "settings": _of_files(_named(self._prepared.engine.config_file, *own)),
            "locks": _of_files(_found(ROOT, _LOCKS)),
            "engine": _of_files(self._engine()),
            "plugins": _of_text(json.dumps(self.plugins, sort_keys=True)),
            # backends that count no changes write the time of the last one into the state
            "serial": str(manifest.get("time")),
            "state": _of_text(json.dumps(deployment, sort_keys=True)),
        }

    @property
    def plan(self) -> str:
        """The digest of the plan that the engine saved."""
        return _of_files(_named(plan_of(self._prepared.stack)))

    @cached_property
    def plugins(self) -> tuple[Mapping[str, str], ...]:
        """The provider plugins that `up` will use: name, version, checksum of all their files."""
        return tuple(self._plugins())

    def _plugins(self) -> Iterator[Mapping[str, str]]:
        settings, home = self._prepared.settings, self._prepared.engine.home
        for package, version in prepare.plugins(settings):
            files = _found(home / "plugins" / f"resource-{package}-v{version}", ("**/*",))
            if settings.cluster.provider == "kit":
                files |= _found(ROOT, _KIT_PROVIDERS)  # its launcher runs these
            yield {"name": package, "version": version, "checksum": _of_files(files)}

    def _engine(self) -> Mapping[str, Path]:
        """The executable, and the language host beside it."""
        executable = self._prepared.engine.executable.resolve()
        return _named(executable, *executable.parent.glob("pulumi-language-python*"))


def _found(folder: Path, patterns: Iterable[str]) -> dict[str, Path]:
    """The files of a folder that match, by their path in it; what running them leaves behind is none."""
    found = {file for pattern in patterns for file in folder.glob(pattern) if file.is_file()}
    return {file.relative_to(folder).as_posix(): file for file in found if "__pycache__" not in file.parts}


def _named(*files: Path | None) -> dict[str, Path]:
    """Those files that are there, by name."""
    return {file.name: file for file in files if file is not None and file.is_file()}


def _of_files(files: Mapping[str, Path]) -> str:
    sealed = hashlib.sha256()
    for name, file in sorted(files.items()):
        with file.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
        sealed.update(f"{name}\0{content}\0".encode())
    return f"sha256:{sealed.hexdigest()}"


def _of_text(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _before(now: datetime, until: Any) -> bool:
    try:
        return now <= datetime.fromisoformat(str(until))
    except (ValueError, TypeError):
        return False


def _sealed(prepared: Prepared, said: Mapping[str, Any]) -> str:
    """What only those can write who read the stack's secrets. Raises EngineError."""
    key = hmac.digest(prepare.audit_key(prepared).encode(), _SEALS, "sha256")
    return hmac.new(key, _signed_bytes(said), "sha256").hexdigest()


def _signed_bytes(said: Mapping[str, Any]) -> bytes:
    """What is signed and sealed: everything but signature and seal, as canonical JSON."""
    shown = {key: value for key, value in said.items() if key not in ("signature", "seal")}
    return json.dumps(shown, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _is_signed(said: Mapping[str, Any], zone: "Zone") -> bool:
    from policies.waivers import key_of

    key = key_of(zone.signers.get(str(said.get("approver")), ""))
    if key is None:
        return False
    try:
        key.verify(base64.b64decode(str(said.get("signature")), validate=True), _signed_bytes(said))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def _private(file: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(file.read_bytes(), None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadInput(f"{file} holds no ed25519 private key in PEM without a passphrase.")
    return key


def _read(stack: Stack) -> dict[str, Any]:
    file = file_of(stack)
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Refused(
            f"{stack.name} is changed by releases only, and none is planned: "
            f"sovereign plan {stack.name} --release --approver NAME."
        ) from None
    except (OSError, ValueError):
        said = None
    if not isinstance(said, dict) or said.get("schema") != SCHEMA:
        raise Refused(
            f"{file} is no release that this version of the kit can read: plan it again, "
            f"sovereign plan {stack.name} --release --approver NAME."
        )
    return said


def _write(file: Path, text: str) -> None:
    draft = file.with_name(f".{file.name}.new")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, file)
