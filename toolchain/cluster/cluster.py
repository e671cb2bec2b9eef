"""Up, down and status of one local cluster, which lives in one folder."""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from toolchain.cluster import control_plane, nodes, ports
from toolchain.cluster.api import Api, ApiError
from toolchain.cluster.control_plane import API_SERVER, ETCD, KWOK, NAMES, Component
from toolchain.cluster.errors import ClusterError
from toolchain.cluster.files import private_folder, write
from toolchain.cluster.processes import Process, stop, strays

Report = Callable[[str], None]

#: the programs that `up` needs, as keys of its `binaries`
REQUIRED = NAMES
READY_SECONDS = 180.0  # a cold start takes a tenth of it on two idle cores
STOP_SECONDS = 15.0
#: the API server waits for its clients and for etcd longer than is of use: what it answered for is in etcd
API_SERVER_STOP_SECONDS = 3.0
ENDING_SECONDS = 2.0  # for a killed server's threads to let go of its port
LOCK_SECONDS = 300.0
PATIENCE = 10.0  # seconds for one answer of the API server while the machine is busy starting it
PROGRESS_SECONDS = 5.0
SETTLE_SECONDS = 1.0
#: together, and before the next: clients before the API server, the API server before etcd
STOP_ORDER = (tuple(name for name in NAMES if name not in (API_SERVER, ETCD)), (API_SERVER,), (ETCD,))
#: all that a cluster's folder holds
CONTENTS = ("kubeconfig", "cluster.json", "config", "data", "logs", "pids", "pki")


@dataclass(frozen=True)
class Status:
    """How the cluster is: `running` means that every component lives and the API server says it is ready."""

    running: bool
    kubeconfig: Path | None = None
    server: str | None = None
    nodes: int = 0  #: simulated nodes that there are
    nodes_ready: int = 0  #: of these, the ones that pods can be placed on
    uid: str | None = None  #: of the namespace kube-system: who this cluster is
    components: Mapping[str, str] = field(default_factory=dict)  #: component -> "running" or "stopped"


class Cluster:
    """The local cluster in `directory`. Two in different directories don't know of each other."""

    def __init__(self, directory: Path) -> None:
        # components are recognised by their working folder, which the kernel tells without links
        self.directory = directory.expanduser().resolve()

    def up(
        self,
        *,
        nodes: int,
        gpu: str,
        gpus_per_node: int,
        binaries: Mapping[str, Path],
        stages: Sequence[Path],
        rooms: int = nodes.ROOMS,
        report: Report = lambda sentence: None,
    ) -> Status:
        """Starts what doesn't run, and brings the nodes to what is asked. Run again, it changes nothing.

        `nodes` simulated nodes get `gpus_per_node` GPUs of the product `gpu` (see gpus.yaml) and
        are spread over `rooms`, labelled zone-1 and on; `binaries` are
        the paths of REQUIRED; `stages` are KWOK's stage files; `report` takes one-line sentences about the
        progress. Raises ClusterError. What this call started is stopped if it fails or is interrupted.
        """
        shape = _shape(nodes, gpu, gpus_per_node, rooms)
        programs = _programs(binaries)
        with self._sentences(), self._lock(report):
            started: list[Process] = []
            try:
                return self._bring_up(nodes, shape, programs, stages, started, report)
            except BaseException:
                if started:
                    report("stopping what was started")
                    self._stop(started)
                    self._stop_strays(report)  # interrupted before its pid was known
                raise

    def down(self, report: Report = lambda sentence: None, delete: bool = False) -> None:
        """Stops every component, also after a crash; with `delete`, removes the data, keys and logs too.

        Raises ClusterError.
        """
        with self._sentences():
            if not self.directory.exists():
                self._stop_strays(report)
                return
            with self._lock(report):
                running = [process for process in self.processes() if process.runs()]
                if running:
                    report(f"stopping {', '.join(process.name for process in running)}")
                self._stop(self.processes())
                self._stop_strays(report)
                if delete:
                    self._delete()

    def status(self, timeout: float = 2.0) -> Status:
        """How the cluster is now; one that is down or damaged raises nothing.

        `timeout` is in seconds for each step: a server that hangs is given up after the first.
        """
        states = {process.name: "running" if process.runs() else "stopped" for process in self.processes()}
        kubeconfig = self.directory / "kubeconfig"
        known = self._known_ports()
        if not known or not kubeconfig.is_file():
            return Status(False, components=states)
        stopped = Status(False, kubeconfig, control_plane.server(known), components=states)
        if states[API_SERVER] == "stopped":
            return stopped
        try:
            with contextlib.closing(self._api(known, timeout)) as api:
                if not api.ready():
                    return stopped
                present = nodes.list_nodes(api)
                return Status(
                    all(state == "running" for state in states.values()),
                    kubeconfig,
                    control_plane.server(known),
                    len(present),
                    sum(map(nodes.is_ready, present)),
                    api.get("/api/v1/namespaces/kube-system")["metadata"]["uid"],
                    states,
                )
        except (OSError, ApiError, KeyError, TypeError):
            return stopped

    def _bring_up(
        self,
        count: int,
        shape: nodes.Shape,
        programs: Mapping[str, Path],
        stages: Sequence[Path],
        started: list[Process],
        report: Report,
    ) -> Status:
        known = self._prepare(stages, report)
        due = self._due(control_plane.components(programs, known), report)
        waiting = _Waiting(self, started, report)
        with contextlib.closing(self._api(known, PATIENCE)) as api:
            try:
                for component in due:
                    if component.name == API_SERVER:
                        waiting.until("etcd", lambda: ports.answers(known["etcd"]))
                    elif component.name != ETCD:
                        waiting.until("the API server", api.ready)
                    if component.name == KWOK:
                        nodes.allow_kwok(api)
                        nodes.release(api)
                    self._start(component, waiting)
                waiting.until("the API server", api.ready)
                if changed := nodes.reconcile(api, count, shape):
                    report(
                        f"{changed} of the simulated nodes made, changed or removed; there are {count} now"
                    )
                waiting.until("the nodes", lambda: nodes.all_served(api, count))
                waiting.settle()
            except (OSError, ApiError):
                waiting.check()  # a component that ended says more than a request that failed
                raise
        status = self.status(PATIENCE)
        if not status.running:
            stopped = [name for name, state in status.components.items() if state == "stopped"]
            raise ClusterError(
                f"The local cluster came up, but {', '.join(stopped) or 'its API server'} stopped answering. "
                f"Look into {self.directory / 'logs'}, then run the same command again."
            )
        return status

    def _prepare(self, stages: Sequence[Path], report: Report) -> dict[str, int]:
        """Folders, ports, keys and settings; gives the ports."""
        for name in ("data", "logs", "pids"):
            private_folder(self.directory / name)
        if not all(process.runs() for process in self.processes()):
            self._stop_strays(report)
        known = self._choose_ports(report)
        if issued := control_plane.write_configuration(self.directory, known, stages):
            report(f"issued {len(issued)} keys and certificates")
        return known

    def _due(self, components: Sequence[Component], report: Report) -> list[Component]:
        """The components to start, in order; those of them that still run are stopped here.

        Due are those that don't run or run with other settings, and all that depend on one of these: after an
        outage the clients of the API server would wait for up to a minute before they ask it again.
        """
        due: list[Component] = []
        for item in components:
            needs = {other.name for other in due} & {ETCD, API_SERVER}
            if needs or not self._process(item.name).runs(item.digest(self.directory)):
                due.append(item)
        processes = [self._process(item.name) for item in due]
        if running := [process for process in processes if process.runs()]:
            report(f"stopping {', '.join(process.name for process in running)}, to start anew")
        self._stop(processes)
        return due

    def _start(self, component: Component, waiting: "_Waiting") -> None:
        process = self._process(component.name)
        waiting.report(f"starting {component.name}")
        waiting.watch(process)
        try:
            process.start(component.command, component.digest(self.directory))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise ClusterError(
                f"{component.name} can't be started: {component.binary}: {error.strerror or error}. "
                "Build the toolchain again."
            ) from error

    def _choose_ports(self, report: Report) -> dict[str, int]:
        """The kept ports, and others in place of those that someone else has taken meanwhile."""
        known = self._known_ports()
        chosen: dict[str, int] = {}
        for name, owner in control_plane.PORTS.items():
            port = known.get(name)
            if port is None or not (self._process(owner).runs() or ports.freed(port, ENDING_SECONDS)):
                chosen[name] = ports.find({*known.values(), *chosen.values()})
                if port is not None:
                    report(
                        f"port {port} of {owner} is taken by another process: it moves to {chosen[name]}, "
                        f"and {self.directory / 'kubeconfig'} is written anew"
                    )
            else:
                chosen[name] = port
        record = {"version": 1, "server": control_plane.server(chosen), "ports": chosen}
        write(self.directory / "cluster.json", (json.dumps(record, indent=2) + "\n").encode())
        return chosen

    def _known_ports(self) -> dict[str, int]:
        try:
            kept = json.loads((self.directory / "cluster.json").read_bytes())["ports"]
            return {name: int(kept[name]) for name in control_plane.PORTS}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def _api(self, known: Mapping[str, int], timeout: float) -> Api:
        return Api(known["kube-apiserver"], self.directory / "pki", timeout)

    def _process(self, name: str) -> Process:
        return Process(self.directory, name)

    def processes(self) -> list[Process]:
        """Every component, in the order of their start, whether it runs or not."""
        return [self._process(name) for name in NAMES]

    def _stop(self, processes: Sequence[Process]) -> None:
        for names in STOP_ORDER:
            together = [process for process in processes if process.name in names]
            stop([identity for process in together if (identity := process.identity())], _grace(names))
            for process in together:
                process.forget()

    def _stop_strays(self, report: Report) -> None:
        known = [identity for process in self.processes() if (identity := process.identity())]
        found = strays(self.directory, known)
        if found:
            report(f"stopping {', '.join(sorted(found))}, left over from a command that was killed")
        for names in (*STOP_ORDER, tuple(found.keys() - set(NAMES))):
            stop([identity for name in names for identity in found.get(name, [])], _grace(names))

    def _delete(self) -> None:
        # only what a cluster makes: the folder may have been given by mistake
        for name in CONTENTS:
            path = self.directory / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        (self.directory / "lock").unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.directory.rmdir()

    @contextlib.contextmanager
    def _lock(self, report: Report) -> Iterator[None]:
        """One `up` or `down` at a time in this directory; the system frees the lock when its holder dies."""
        deadline = time.monotonic() + LOCK_SECONDS
        told = False
        while (descriptor := self._try_lock()) is None:
            if not told:
                report(f"waiting for another command that works on {self.directory}")
                told = True
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"Another command has been working on {self.directory} for {LOCK_SECONDS:.0f} s. "
                    "Let it end, or end it, then run the same command again."
                )
            time.sleep(0.1)
        try:
            yield
        finally:
            os.close(descriptor)

    def _try_lock(self) -> int | None:
        private_folder(self.directory)
        path = self.directory / "lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                return descriptor
        except (BlockingIOError, FileNotFoundError):  # held by another, or removed by a `down` meanwhile
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None

    @contextlib.contextmanager
    def _sentences(self) -> Iterator[None]:
        """Turns what the system and the API server refuse into a sentence."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            where = error.filename or self.directory
            raise ClusterError(
                f"The local cluster in {self.directory} can't be managed: {where}: {reason}. {_advice(error)}"
            ) from error
        except ApiError as error:
            raise ClusterError(
                f"The API server of the local cluster in {self.directory} refused: {error}. "
                f"Look into {self.directory / 'logs'}."
            ) from error


@dataclass
class _Waiting:
    """Waits for a condition, and watches the processes started so far: the first that dies ends it."""

    cluster: Cluster
    started: list[Process]
    report: Report
    _logs: dict[str, int] = field(default_factory=dict)
    _last_start: float = 0.0

    def watch(self, process: Process) -> None:
        self.started.append(process)
        self._logs[process.name] = process.log_size()
        self._last_start = time.monotonic()

    def until(self, what: str, condition: Callable[[], bool]) -> None:
        """Returns when `condition` holds. Raises ClusterError when a process ends, or after READY_SECONDS."""
        start = told = time.monotonic()
        while not _quietly(condition):
            self.check()
            now = time.monotonic()
            if now - start > READY_SECONDS:
                raise ClusterError(
                    f"{what} of the local cluster in {self.cluster.directory} did not get ready in "
                    f"{READY_SECONDS:.0f} s. Look into {self.cluster.directory / 'logs'}; "
                    "`sovereign cluster down`, then `up`, starts afresh."
                )
            if now - told >= PROGRESS_SECONDS:
                told = now
                self.report(f"waiting for {what}: {now - start:.0f} s")
            time.sleep(0.05)

    def settle(self) -> None:
        """Lets the processes started last live for a moment: what can't work mostly ends at once."""
        while time.monotonic() < self._last_start + SETTLE_SECONDS:
            self.check()
            time.sleep(0.05)
        self.check()

    def check(self) -> None:
        """Raises ClusterError if a component that was started, now or before, doesn't run any more."""
        for process in self.cluster.processes():
            if process.pid_file.exists() and not process.runs():
                when = " right after its start" if process in self.started else ""
                reason = process.last_error(self._logs.get(process.name, 0))
                raise ClusterError(f"{process.name} ended{when}: {reason}. Its log: {process.log}")


def _quietly(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except OSError:  # the API server may still be coming up
        return False
    except ApiError as error:
        if error.status == 429 or error.status >= 500:  # too busy just now
            return False
        raise


def _grace(names: Sequence[str]) -> float:
    return API_SERVER_STOP_SECONDS if API_SERVER in names else STOP_SECONDS


def _shape(count: int, gpu: str, gpus_per_node: int, rooms: int) -> nodes.Shape:
    if count < 0 or gpus_per_node < 0:
        raise ClusterError(
            f"The local cluster can't have {count} nodes of {gpus_per_node} GPUs. Use no negative number."
        )
    return nodes.shape(gpu, gpus_per_node, rooms)


def _programs(binaries: Mapping[str, Path]) -> dict[str, Path]:
    programs = {}
    for name in REQUIRED:
        path = binaries.get(name)
        if path is None or not os.access(path, os.X_OK) or not path.is_file():
            raise ClusterError(
                f"The program {name} of the local cluster is missing{f' at {path}' if path else ''}. "
                "Build the toolchain again."
            )
        programs[name] = path.absolute()
    return programs


def _advice(error: OSError) -> str:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return "Make room on the disk, then run the same command again: nothing is lost."
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return "Choose a folder that you may write to, or change its owner."
        case errno.ENOTDIR | errno.EEXIST:
            return "A file is where a folder should be: move it away."
        case errno.ENAMETOOLONG:
            return "Move the checkout to a shorter path."
        case _:
            return "Put that right, then run the same command again."
