"""Puts a stack right after an engine that was killed: its lock, and the creates that it had begun.

An engine that is interrupted cleans up after itself. One that is killed leaves its lock behind, and the
state says of what it was creating only that it was begun (pulumi 3.259, backend/diy/lock.go and
cmd/pulumi/operations/refresh.go: such "pending creates" stay there until someone decides). The next `up`
would make such an object again, but a `destroy` would forget it. So each is taken into the state under the id
that it has if it exists, and a refresh of just these asks the provider whether it does.
"""

import json
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolchain.engine import PROJECT, Engine, Report
from toolchain.errors import EngineError

#: the id that a resource has when it exists, from its type and inputs; None where the provider chooses it
Identify = Callable[[str, Mapping[str, Any]], str | None]


def kubernetes_id(resource_type: str, inputs: Mapping[str, Any]) -> str | None:
    """`namespace/name` or `name`, as the Kubernetes provider forms ids; None for other types."""
    metadata = inputs.get("metadata")
    if not resource_type.startswith("kubernetes:") or not isinstance(metadata, Mapping):
        return None
    name, namespace = metadata.get("name"), metadata.get("namespace")
    if not isinstance(name, str) or not isinstance(namespace, str | None):
        return None
    return f"{namespace}/{name}" if namespace else name


def repair(
    engine: Engine, stack: str, report: Report, identify: Identify = kubernetes_id, project: str = PROJECT
) -> None:
    """Removes locks whose engine is dead, and resolves pending creates. One that is in order is left alone.

    The caller keeps other runs of the kit away from the stack. Raises EngineError where another engine is at
    work, or the provider can't be asked (the state is then as it was).
    """
    unlock(engine, stack, report, project)
    if not engine.has_stack(stack, project) or not _may_have_pending(engine, stack, project):
        return
    before = json.loads(engine.checked(["stack", "export", "--stack", stack]))
    adopted = adopt_pending(before, identify)
    for urn in adopted.unidentified:
        report(f"{urn} may or may not have been made when a run was killed: check, then run `pulumi refresh`")
    if not adopted.urns:
        return
    report(f"a run was killed while it made {len(adopted.urns)} resources: asking whether they exist")
    _import(engine, stack, adopted.state)
    targets = [argument for urn in adopted.urns for argument in ("--target", urn)]
    try:
        engine.checked(["refresh", "--yes", "--skip-preview", "--stack", stack, *targets])
    except EngineError:
        _import(engine, stack, before)
        raise


def unlock(engine: Engine, stack: str, report: Report, project: str = PROJECT) -> None:
    """Removes the stack's locks in a file backend whose engine is dead. Raises EngineError if one lives."""
    if engine.backend_folder is None:
        return
    folder = engine.backend_folder / ".pulumi" / "locks" / "organization" / project / stack
    for lock in sorted(folder.glob("*.json")):
        try:
            holder = json.loads(lock.read_bytes())
            pid, host = int(holder["pid"]), str(holder["hostname"])
        except FileNotFoundError:
            continue
        except (ValueError, KeyError, TypeError):
            pid, host = 0, socket.gethostname()  # written by an engine that was killed at that
        if host != socket.gethostname():
            raise EngineError(
                f"{stack} is locked by process {pid} on {host}: wait for it, or remove {lock} if it is dead."
            )
        if pid > 0 and _is_engine(pid):
            raise EngineError(f"{stack} is locked by the engine with process id {pid}: wait for it to end.")
        lock.unlink(missing_ok=True)
        report(f"removed the lock that a killed engine (process {pid}) left on {stack}")


@dataclass(frozen=True)
class Adopted:
    """A state with its pending creates taken in."""

    state: dict[str, Any]
    #: what was taken in
    urns: list[str]
    #: pending creates whose id only the provider knows; they stay pending
    unidentified: list[str]


def adopt_pending(exported: Mapping[str, Any], identify: Identify) -> Adopted:
    """Moves the pending creates of an exported state (version 3) among its resources, each with its id."""
    deployment = dict(exported["deployment"])
    resources = list(deployment.get("resources") or ())
    known = {resource["urn"] for resource in resources if not resource.get("delete")}
    kept, urns, unidentified = [], [], []
    for operation in deployment.get("pending_operations") or ():
        resource = operation["resource"]
        if operation["type"] != "creating":
            kept.append(operation)
        elif resource["urn"] in known:
            urns.append(resource["urn"])  # made by a later run: only the note is out of date
        elif identifier := identify(resource["type"], resource.get("inputs") or {}):
            urns.append(resource["urn"])
            resources.append({"outputs": resource.get("inputs") or {}, **resource, "id": identifier})
        else:
            kept.append(operation)
            unidentified.append(resource["urn"])
    deployment |= {"resources": resources, "pending_operations": kept}
    return Adopted({**exported, "deployment": deployment}, urns, unidentified)


def _may_have_pending(engine: Engine, stack: str, project: str) -> bool:
    """Whether it is worth asking the engine: a file backend's state tells without it."""
    if engine.backend_folder is None:
        return True
    state = engine.backend_folder / ".pulumi" / "stacks" / project / f"{stack}.json"
    return b'"pending_operations"' in state.read_bytes()


def _import(engine: Engine, stack: str, state: Mapping[str, Any]) -> None:
    engine.checked(["stack", "import", "--stack", stack], given=json.dumps(state))


def _is_engine(pid: int) -> bool:
    """Whether this process lives and is an engine; a pid that has gone to another program isn't."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return Path(os.readlink(f"/proc/{pid}/exe")).name.startswith("pulumi")
    except OSError:
        return True
