"""The language host's service: what the engine asks of a language, for Python.

Protocol: LanguageRuntime of pulumi 3.259 (proto/pulumi/language.proto), stubs from the `pulumi` wheel.
"""

import json
import os
import queue
import subprocess
import threading
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, distributions, version
from pathlib import Path
from typing import IO, Any

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import MessageToDict

from protocol import language_pb2, language_pb2_grpc, plugin_pb2
from toolchain.language_python.children import Child
from toolchain.language_python.interpreter import Interpreter, NoInterpreter

#: what a program's process starts with
PROGRAM = Path(__file__).with_name("program.py")
#: exit code of a program that has already told the user what is wrong
BAIL = 32


class Host(language_pb2_grpc.LanguageRuntimeServicer):
    """Runs Python programs, and plugins written in Python, for one engine."""

    def __init__(self, engine: str, executor: Path) -> None:
        """`engine` is the engine's gRPC address, `executor` the SDK's start script of programs."""
        self._engine = engine
        self._executor = executor
        self._children: set[Child] = set()
        self._lock = threading.Lock()
        self._ahead: tuple[tuple[Interpreter, Path], Child] | None = None

    def close(self) -> None:
        """Kills every process that it started."""
        for child in tuple(self._children):
            child.kill()

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._engine = request.engine_address or self._engine
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        return plugin_pb2.PluginInfo(version=version("pulumi"))

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Empty:
        for child in tuple(self._children):
            child.stop()
        return Empty()

    def Run(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Runs a program to its end. Its output goes to this process's own, where the engine reads it."""
        interpreter = _interpreter(request.info, os.environ, context)
        child = self._program(interpreter, Path(request.info.program_directory), context)
        self._end_with(context, child)
        environment = {
            "PULUMI_CONFIG": json.dumps(dict(request.config)),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
        }
        child.tell(json.dumps({"arguments": list(self._arguments(request)), "environment": environment}))
        code = child.exit_code.result()
        if code == 0:
            return language_pb2.RunResponse()
        if code == BAIL:
            return language_pb2.RunResponse(bail=True)
        how = f"exit code {code}" if code > 0 else f"signal {-code}"
        return language_pb2.RunResponse(error=f"the program ended with {how}")

    def _program(self, interpreter: Interpreter, directory: Path, context: grpc.ServicerContext) -> Child:
        """The process of a program that waits to be told what to run; the one that was made ahead, if any."""
        with self._lock:
            ahead, self._ahead = self._ahead, None
        if ahead is not None:
            made_for, child = ahead
            if made_for == (interpreter, directory):
                return child
            child.kill()
        return self._start(
            [str(interpreter.python), "-u", str(PROGRAM), str(self._executor)],
            directory,
            interpreter.environment(os.environ),
            context,
            told=True,
        )

    def _arguments(self, request: Any) -> Iterator[str]:
        """The start script's arguments."""
        yield from ("--monitor", request.monitor_address)
        yield from ("--engine", self._engine)
        yield from ("--project", request.project)
        yield from ("--stack", request.stack)
        yield from ("--pwd", request.pwd or request.info.program_directory)
        yield from ("--dry_run", "true" if request.dryRun else "false")
        yield from ("--parallel", str(request.parallel))
        yield from ("--root_directory", request.info.root_directory)
        if request.organization:
            yield from ("--organization", request.organization)
        yield request.info.entry_point or "."
        yield from request.args

    def RunPlugin(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        """Runs a policy pack or provider: its output line by line, then its exit code."""
        base = dict(entry.split("=", 1) for entry in request.env if "=" in entry) or dict(os.environ)
        interpreter = _interpreter(request.info, base, context)
        program = os.path.normpath(Path(request.info.program_directory, request.info.entry_point))
        child = self._start(
            [str(interpreter.python), "-u", program, *request.args],
            Path(request.pwd or request.info.program_directory),
            interpreter.environment(base),
            context,
            piped=True,
        )
        self._end_with(context, child)
        for stream, line in _lines(stdout=child.stdout, stderr=child.stderr):
            if stream == "stdout":
                yield language_pb2.RunPluginResponse(stdout=line)
            else:
                yield language_pb2.RunPluginResponse(stderr=line)
        yield language_pb2.RunPluginResponse(exitcode=child.exit_code.result())

    def GetRequiredPackages(self, request: Any, context: grpc.ServicerContext) -> Any:
        """The provider plugins that the installed packages speak for, by their `pulumi-plugin.json`.

        The engine asks it of a program that it is about to run, and starts the packs before it does: the program
        gets ready meanwhile.
        """
        interpreter = _interpreter(request.info, os.environ, context)
        directory = Path(request.info.program_directory)
        made = self._program(interpreter, directory, context)
        with self._lock:
            self._ahead = (interpreter, directory), made
        packages = [
            plugin_pb2.PackageDependency(
                name=plugin["name"],
                kind="resource",
                version=plugin["version"],
                server=plugin.get("server", ""),
            )
            for plugin in _plugins(interpreter)
        ]
        return language_pb2.GetRequiredPackagesResponse(packages=packages)

    def GetRequiredPlugins(self, request: Any, context: grpc.ServicerContext) -> Any:
        """The same, as older engines ask for it."""
        plugins = [
            plugin_pb2.PluginDependency(
                name=plugin["name"],
                kind="resource",
                version=plugin["version"],
                server=plugin.get("server", ""),
            )
            for plugin in _plugins(_interpreter(request.info, os.environ, context))
        ]
        return language_pb2.GetRequiredPluginsResponse(plugins=plugins)

    def About(self, request: Any, context: grpc.ServicerContext) -> Any:
        interpreter = _interpreter(request.info, os.environ, context)
        said = subprocess.run(
            [str(interpreter.python), "-c", "import platform; print(platform.python_version())"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return language_pb2.AboutResponse(executable=str(interpreter.python), version=said.stdout.strip())

    def GetProgramDependencies(self, request: Any, context: grpc.ServicerContext) -> Any:
        """What is installed in the program's virtual environment."""
        interpreter = _interpreter(request.info, os.environ, context)
        found = {package.name: package.version for package in _installed(interpreter)}
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[
                language_pb2.DependencyInfo(name=name, version=found[name])
                for name in sorted(found, key=str.lower)
            ]
        )

    def InstallDependencies(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        """Refuses: what runs here is installed by hash, by the set-up and not by the engine."""
        context.abort(
            grpc.StatusCode.FAILED_PRECONDITION,
            "This language host installs nothing, because packages are pinned by hash: install those of "
            f"{request.info.program_directory or request.directory} with pip "
            "(in a checkout of the kit: `make up`).",
        )
        yield language_pb2.InstallDependenciesResponse()

    def _start(
        self,
        command: list[str],
        directory: Path,
        environment: Mapping[str, str],
        context: grpc.ServicerContext,
        *,
        piped: bool = False,
        told: bool = False,
    ) -> Child:
        """Starts a process that lives no longer than this one does."""
        try:
            child = Child(command, directory, environment, piped=piped, told=told)
        except OSError as error:
            context.abort(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"{command[0]} can't be started in {directory}: {error.strerror}",
            )
        self._children.add(child)
        child.exit_code.add_done_callback(lambda _: self._children.discard(child))
        return child

    @staticmethod
    def _end_with(context: grpc.ServicerContext, child: Child) -> None:
        """Ends a process with the request that it serves."""
        if not context.add_callback(child.stop):
            child.stop()


def _interpreter(info: Any, environment: Mapping[str, str], context: grpc.ServicerContext) -> Interpreter:
    root = Path(info.root_directory or info.program_directory or ".")
    try:
        return Interpreter.of(root, MessageToDict(info.options), environment)
    except NoInterpreter as error:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        raise


def _installed(interpreter: Interpreter) -> Iterator[Distribution]:
    return iter(distributions(path=interpreter.site_packages()))


def _plugins(interpreter: Interpreter) -> Iterator[dict[str, str]]:
    """`pulumi-plugin.json` of every installed SDK that names a resource plugin; each lies in the folder of its
    package, which is quicker to look for than in the lists of all packages."""
    for folder in interpreter.site_packages():
        for file in sorted(Path(folder).glob("pulumi_*/pulumi-plugin.json")):
            described = json.loads(file.read_text(encoding="utf-8"))
            if described.get("resource") and described.get("name"):
                yield {"version": "", **described}


def _lines(**streams: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    """The lines of all streams as they come, each with its stream's name, until all have ended."""
    lines: queue.Queue[tuple[str, bytes] | None] = queue.Queue(maxsize=1000)

    def read(name: str, stream: IO[bytes]) -> None:
        for line in stream:
            lines.put((name, line))
        lines.put(None)

    for name, stream in streams.items():
        threading.Thread(target=read, args=(name, stream), daemon=True).start()
    open_streams = len(streams)
    while open_streams:
        entry = lines.get()
        if entry is None:
            open_streams -= 1
        else:
            yield entry
