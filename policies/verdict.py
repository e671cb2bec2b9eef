"""The stored verdict: what a pack said of a plan, bound by a digest to all that the plan was made from.

The pack stores it at the end of the preview half; the program asks for it before anything is made, and
uses it once. It is no secret and no signature: whoever may write the file may also run the engine without
the kit.
"""

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from facts.site import Site
from policies.model import Judgement

SCHEMA = "verdict/v1"

#: How long a verdict holds.
VALID = timedelta(hours=1)

#: The checkout's sources that a plan comes from; what a site adds is hashed from the site.
_SOURCES = ("facts", "policies", "components", "stacks")
_FILES = ("Pulumi.yaml", "requirements.txt")


class NoVerdict(RuntimeError):
    """There is no passing verdict for what is about to run; the message says why and what to do."""


def file_of(site: Site, stack: str) -> Path:
    """Where a stack's verdict is stored."""
    return site.work(stack) / "verdict.json"


def digest(
    site: Site, stack: str, zone: str | None, config: Mapping[str, str], secret_keys: Iterable[str]
) -> str:
    """One digest over the program, the rules, the facts, the site's data and the stack's configuration.

    `config` is as the engine hands it to program and pack; of a secret only the key counts. A settings file's
    encryption salt is not in it, so encrypting anew changes nothing here.
    """
    sealed = hashlib.sha256()
    hidden = frozenset(secret_keys)
    for name, content in _files(site, zone):
        sealed.update(f"{name}\0{hashlib.sha256(content).hexdigest()}\0".encode())
    shown = {key: "" if key in hidden else _canonical(value) for key, value in config.items()}
    sealed.update(json.dumps([stack, zone, shown], sort_keys=True).encode())
    return f"sha256:{sealed.hexdigest()}"


def _files(site: Site, zone: str | None) -> Iterator[tuple[str, bytes]]:
    chosen = [site.root / name for name in _FILES]
    for folder in _SOURCES:
        for file in (site.root / folder).rglob("*"):
            data = file.suffix == ".yaml" and folder != "stacks"
            if file.is_file() and (file.suffix == ".py" or data):
                chosen.append(file)
    for file in sorted(chosen):
        yield str(file.relative_to(site.root)), file.read_bytes()
    own = [site.types_file, site.models_file, *sorted(site.folder.glob("rollback.*.yaml"))]
    own += [*sorted(site.rules_folder.glob("*.py")), *sorted(site.rules_folder.glob("*.yaml"))]
    own += sorted(site.waivers_folder.glob("*.yaml"))
    own += [site.zone_file(zone)] if zone else []
    for file in own:
        if file.is_file():
            yield f"site/{file.relative_to(site.folder)}", file.read_bytes()


def _canonical(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def store(
    path: Path,
    *,
    stack: str,
    judgement: Judgement,
    digest: str,
    rules: Iterable[str],
    resources: int,
    review: bool = False,
    now: datetime | None = None,
) -> None:
    """Stores a verdict. Packs that judged one plan add to each other's; a refusal stays one. `review`: it is of a
    plan by stand-ins, and no more than advice."""
    made = now or datetime.now(UTC)
    said = {
        "schema": SCHEMA,
        "stack": stack,
        **judgement.to_json(),
        "digest": digest,
        "rules": sorted(rules),
        "resources": resources,
        "review": review,
        "made": made.isoformat(timespec="seconds"),
        "consumed": False,
    }
    with _held(path):
        other = _read(path)
        same = other is not None and all(other.get(key) == said[key] for key in ("digest", "review"))
        if other is not None and same and _usable(other, made) is None:
            said = _joined(other, said)
        _write(path, said)


def withdraw(path: Path) -> None:
    """Takes back an older verdict, if there is one: a new plan is being made."""
    with _held(path):
        path.unlink(missing_ok=True)


def require(path: Path, digest: str, rules: Iterable[str], now: datetime | None = None) -> None:
    """Uses up the stored verdict. Raises NoVerdict where there is none that passes, is fresh, and fits."""
    with _held(path):
        said = _read(path)
        if said is None:
            raise NoVerdict(
                "No plan of this stack has been judged, so nothing is made. Run it with the rules: "
                "`sovereign up STACK`, or `pulumi up -s STACK --policy-pack policies/sovereign`."
            )
        problem = _usable(said, now or datetime.now(UTC))
        missing = sorted(set(rules) - set(said.get("rules") or ()))
        if said.get("verdict") != "pass":
            problem = f"the plan was refused, with {len(said.get('findings') or ())} findings"
        elif said.get("review") is not False:
            problem = "its verdict is that of a review, which stand-ins have planned"
        elif said.get("digest") != digest:
            problem = "program, rules, zone or settings have changed since the plan was judged"
        elif missing:
            problem = f"the plan was judged without these rules: {', '.join(missing)}"
        if problem is not None:
            raise NoVerdict(f"Nothing is made, because {problem}. Plan it again, with all rules on.")
        _write(path, {**said, "consumed": True})


def _usable(said: Mapping[str, Any], now: datetime) -> str | None:
    """Why a stored verdict can't be used at all; None where it can."""
    if said.get("schema") != SCHEMA:
        return "the stored verdict is of another version of the kit"
    if said.get("consumed") is not False:
        return "its verdict has been used already"
    try:
        age = now - datetime.fromisoformat(str(said.get("made")))
    except (ValueError, TypeError):
        return "the stored verdict has no readable time"
    if not timedelta(minutes=-5) <= age <= VALID:
        return f"its verdict is older than {VALID.seconds // 60} minutes"
    return None


def _joined(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    def both(key: str) -> list[Any]:
        shown = {json.dumps(item, sort_keys=True): item for item in (*one[key], *other[key])}
        return [shown[text] for text in sorted(shown)]

    verdicts = {one["verdict"], other["verdict"]}
    return {
        **other,
        "verdict": "pass" if verdicts == {"pass"} else "refuse",
        "findings": both("findings"),
        "not_visible": both("not_visible"),
        "waived": both("waived"),
        "warnings": both("warnings"),
        "rules": sorted({*one["rules"], *other["rules"]}),
        "resources": max(one["resources"], other["resources"]),
    }


def _read(path: Path) -> dict[str, Any] | None:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _write(path: Path, said: Mapping[str, Any]) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(said, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def _held(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
