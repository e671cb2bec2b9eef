"""The Pulumi engine: which one runs here, in which environment, and how a run of it begins and ends.

Flags as environment variables (PULUMI_OPTION_...) and where plugins are looked for, in order: pulumi 3.259,
cmd/pulumi/pulumi.go and sdk/go/common/workspace/plugins.go.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolchain.errors import EngineError
from toolchain.interrupts import as_keyboard_interrupt

Report = Callable[[str], None]

#: the minor version that the SDK, the language host and the kit's provider are made for
VERSION = "3.259"
PROJECT = "sovereign"

#: a proxy for downloads is none for what a provider sends
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
#: what no proxy may stand before: the parts of a run talk to each other over this address, and the Python
#: SDK's gRPC asks a proxy for it unless told (github.com/grpc/grpc/blob/master/doc/environment_variables.md)
_LOOPBACK = "127.0.0.1"

#: variables that must not reach engine and providers: kubeconfigs, credentials, settings of other projects;
#: a name that ends in "_" stands for all that begin with it
WITHHELD = (
    *("KUBECONFIG", "KUBE_", "KUBERNETES_", "HELM_"),
    *("AWS_", "AZURE_", "ARM_", "GOOGLE_", "GCLOUD_", "CLOUDSDK_"),
    *("OS_", "OVH_", "SCW_", "HCLOUD_", "DIGITALOCEAN_"),
    *("PULUMI_", "VAULT_", "GITHUB_TOKEN", "GITLAB_TOKEN"),
    *PROXIES,
    # with it program, pack and provider would compile the SDK and the rules anew in each run
    "PYTHONDONTWRITEBYTECODE",
)

#: nobody is asked, and nothing is coloured
QUIET = ("--non-interactive", "--color", "never")

#: seconds that an interrupted engine gets to end what it has begun and to save its state
PATIENCE = 120.0


def official(path: str | None = None) -> Path | None:
    """The official CLI on PATH, if its version fits and its Python language host is with it; else None."""
    found = shutil.which("pulumi", path=path)
    if found is None:
        return None
    executable = Path(found).resolve()
    if not os.access(executable.with_name("pulumi-language-python"), os.X_OK) or _is_ours(executable):
        return None
    try:
        said = subprocess.run(
            [found, "version"], capture_output=True, text=True, timeout=30, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    return Path(found) if re.match(rf"v?{re.escape(VERSION)}\.\d+\s*$", said) else None


def find(report: Report) -> Path:
    """The engine to use: the official CLI where it fits, else the kit's own, built where it is missing.

    Raises BuildError.
    """
    if there := official():
        return there
    from toolchain import build

    return build.ensure(("pulumi",), report=report)["pulumi"]


@dataclass(frozen=True)
class Engine:
    """One engine, for the stacks of one backend."""

    #: the executable; the language host lies beside it
    executable: Path
    #: the folder of Pulumi.yaml
    root: Path
    #: private PULUMI_HOME, which holds plugins and no login of the user's
    home: Path
    #: where the state is: file:///folder, s3://, azblob://, https://
    backend: str
    #: the settings file of the stack
    config_file: Path | None = None
    passphrase_file: Path | None = None
    #: further variables for program, packs and providers
    variables: Mapping[str, str] = field(default_factory=dict)
    #: withheld variables that the backend or secrets provider needs after all, in the form of WITHHELD
    keep: Sequence[str] = ()

    def command(self, arguments: Sequence[str]) -> list[str]:
        """The command line of a run."""
        return [str(self.executable), *arguments]

    def environment(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """The whole environment of a run: `base` (the present one) less what is withheld, plus its needs."""
        inherited = os.environ if base is None else base
        environment = {
            name: value
            for name, value in inherited.items()
            if not _named(name, WITHHELD) or _named(name, self.keep)
        }
        if any(name in environment for name in PROXIES):
            spared = environment.get("no_proxy") or environment.get("NO_PROXY")
            spared = f"{spared},{_LOOPBACK}" if spared else _LOOPBACK
            environment |= {"NO_PROXY": spared, "no_proxy": spared}
        environment |= {
            "PATH": _first_on_path(self.executable.parent, inherited.get("PATH", os.defpath)),
            "PULUMI_HOME": str(self.home),
            "PULUMI_BACKEND_URL": self.backend,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            # a plugin on PATH would shadow the one in PULUMI_HOME
            "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
            # a settings file that has lost its salt is given it back from the state
            "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
            "SOVEREIGN_PYTHON": sys.executable,
            **self.variables,
        }
        if self.config_file:
            environment["PULUMI_OPTION_CONFIG_FILE"] = str(self.config_file)
        if self.passphrase_file:
            environment["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(self.passphrase_file)
        return environment

    @contextmanager
    def running(self, arguments: Sequence[str], **popen: Any) -> Iterator[subprocess.Popen[str]]:
        """A run in a session of its own, whose end it waits for, with nothing of it left behind.

        Ctrl-C (and SIGTERM, SIGHUP) interrupts the engine once, and waits until its state is saved; the next
        one kills it. KeyboardInterrupt passes on. `popen` goes to subprocess.Popen. Raises EngineError.
        """
        try:
            process = subprocess.Popen(
                self.command(arguments),
                **{
                    "cwd": self.root,
                    "env": self.environment(),
                    "stdin": subprocess.DEVNULL,
                    "encoding": "utf-8",
                    "errors": "replace",
                    # away from the terminal: the engine takes a second SIGINT for an order to drop all
                    "start_new_session": True,
                    **popen,
                },
            )
        except OSError as error:
            raise EngineError(f"The engine {self.executable} can't be started: {error.strerror}.") from error
        with as_keyboard_interrupt():
            try:
                yield process
                process.wait()
            except KeyboardInterrupt:
                _interrupt(process)
                raise
            finally:
                _end_session(process)

    def run(
        self, arguments: Sequence[str], given: str | None = None, **popen: Any
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end, `given` on its stdin; its output as text, whatever its exit code.

        Raises EngineError.
        """
        popen |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        if given is not None:
            popen["stdin"] = subprocess.PIPE
        with self.running([*arguments, *QUIET], **popen) as process:
            output, errors = process.communicate(given)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def stream(self, arguments: Sequence[str], line: Report, **popen: Any) -> int:
        """Runs a command to its end and hands over each line of its output as it comes; its exit code."""
        popen |= {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with self.running([*arguments, *QUIET], **popen) as process:
            assert process.stdout is not None
            for text in process.stdout:
                line(text.rstrip("\n"))
        return process.returncode

    def checked(self, arguments: Sequence[str], given: str | None = None, **popen: Any) -> str:
        """The output of a command that must succeed. Raises EngineError with what the engine said."""
        done = self.run(arguments, given, **popen)
        if done.returncode:
            said = " ".join((done.stderr or done.stdout).split())
            raise EngineError(
                f"`pulumi {' '.join(arguments[:2])}` failed: {said or f'exit code {done.returncode}'}"
            )
        return done.stdout

    def has_stack(self, stack: str, project: str = PROJECT) -> bool:
        """Whether the backend has the stack. Raises EngineError where the backend can't be asked."""
        if folder := self.backend_folder:
            return (folder / ".pulumi" / "stacks" / project / f"{stack}.json").exists()
        listed = json.loads(self.checked(["stack", "ls", "--json", "--project", project]))
        return any(entry["name"].rpartition("/")[2] == stack for entry in listed)

    def create_stack(self, stack: str, secrets_provider: str, project: str = PROJECT) -> bool:
        """Makes the stack in the backend if it is missing, and writes salt or encrypted key to `config_file`.

        Returns whether it was made. `secrets_provider` is `passphrase` or a URL. Raises EngineError.
        """
        if self.backend_folder:
            self.backend_folder.mkdir(parents=True, exist_ok=True)
        if self.has_stack(stack, project):
            return False
        # `stack init` knows no --config-file: it writes to the project's folder, which is not ours to change
        with tempfile.TemporaryDirectory(prefix="sovereign-") as name:
            folder = Path(name)
            (folder / "Pulumi.yaml").write_text(f"name: {project}\nruntime: python\n", encoding="utf-8")
            settings = folder / f"Pulumi.{stack}.yaml"
            if self.config_file and self.config_file.exists():
                shutil.copyfile(self.config_file, settings)
            self.checked(
                ["stack", "init", stack, "--no-select", "--secrets-provider", secrets_provider], cwd=folder
            )
            if self.config_file and settings.exists():
                _replace(self.config_file, settings.read_bytes())
        return True

    @property
    def backend_folder(self) -> Path | None:
        """The folder of a file backend; None for any other."""
        return Path(self.backend.removeprefix("file://")) if self.backend.startswith("file://") else None


def _is_ours(executable: Path) -> bool:
    from toolchain import build

    return build.cache() in executable.parents


def _named(name: str, patterns: Sequence[str]) -> bool:
    return any(
        name == pattern or (pattern.endswith("_") and name.startswith(pattern)) for pattern in patterns
    )


def _first_on_path(folder: Path, path: str) -> str:
    rest = [part for part in path.split(os.pathsep) if part and part != str(folder)]
    return os.pathsep.join([str(folder), *rest])


def _interrupt(process: subprocess.Popen[str]) -> None:
    """Interrupts the engine and waits for it; a second Ctrl-C, or no end of it, leaves it to be killed."""
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    with suppress(KeyboardInterrupt, subprocess.TimeoutExpired):
        # an engine that nobody reads would block on a full pipe
        process.communicate(timeout=PATIENCE)


def _end_session(process: subprocess.Popen[str]) -> None:
    """Kills what is left of the run: the engine, and what it started and did not end."""
    if process.poll() is None:
        process.kill()
    process.wait()
    for pid in _session(process.pid):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    for pipe in (process.stdout, process.stderr):
        if pipe:
            pipe.close()


def _session(leader: int) -> Iterator[int]:
    """The processes of a session."""
    for entry in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if entry.isdigit():
            with suppress(OSError):
                if os.getsid(int(entry)) == leader:
                    yield int(entry)


def _replace(path: Path, data: bytes) -> None:
    """Puts `data` at `path` in one step, with the mode it had (0600 where it is new)."""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
