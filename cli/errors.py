"""Exit codes, and how an error reaches the user: a sentence that says what, where and what to do.

The folders below raise errors of their own and know nothing of exit codes; the table here maps them. It holds
names, so that `sovereign policy eval` need not import the engine's side to know its errors.
"""

import errno
import os
import traceback
from typing import IO, Any

import click

PASS, REFUSED, BAD_INPUT, FAILED, INTERRUPTED = 0, 1, 2, 3, 130

EXIT_CODES = """\b
Exit codes: 0 done or passed, 1 refused, 2 bad usage or input that can't be read,
3 an operation failed (engine, cluster, build), 130 interrupted."""


class SovereignError(click.ClickException):
    """An error with a sentence for the user and an exit code for the pipeline."""

    exit_code = FAILED

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.format_message(), file=file, err=file is None)


class Refused(SovereignError):
    """The plan leaks, or can't be shown not to."""

    exit_code = REFUSED


class BadInput(SovereignError):
    """The user's arguments or files can't be used."""

    exit_code = BAD_INPUT


class OperationFailed(SovereignError):
    """The engine, the cluster or a build did not do what it was asked."""


class Interrupted(SovereignError):
    exit_code = INTERRUPTED


#: folder and name of an error class of the kit (or of a base of it) -> what it is to the user
KINDS: dict[tuple[str, str], type[SovereignError]] = {
    ("facts", "SiteError"): BadInput,
    ("facts", "ZoneError"): BadInput,
    ("facts", "CatalogueError"): BadInput,
    ("facts", "FlagsError"): BadInput,
    ("facts", "UnknownRegion"): BadInput,
    ("policies", "UnreadableInput"): BadInput,
    ("policies", "SiteRuleError"): BadInput,
    ("policies", "TableError"): BadInput,
    ("policies", "TypesError"): BadInput,
    ("policies", "WaiverError"): BadInput,
    ("policies", "NoVerdict"): Refused,
    ("stacks", "SettingsError"): BadInput,
    ("stacks", "CustodyError"): BadInput,
    ("components", "AccessError"): BadInput,
    ("components", "ClusterError"): OperationFailed,
    ("components", "GuardError"): BadInput,
    ("components", "NetworkError"): BadInput,
    ("components", "NodesError"): BadInput,
    ("components", "PlaceError"): BadInput,
    ("components", "UseError"): BadInput,
    ("toolchain", "BuildError"): OperationFailed,
    ("toolchain", "ClusterError"): OperationFailed,
    ("toolchain", "EngineError"): OperationFailed,
}


def for_user(error: BaseException) -> click.ClickException:
    """The error as one sentence with its exit code; SOVEREIGN_DEBUG=1 prints the traceback before it."""
    if debugging():
        traceback.print_exception(error)
    if isinstance(error, click.ClickException):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Interrupted("Interrupted. What was done so far is kept; run the same command again to go on.")
    for cls in type(error).__mro__:
        kind = KINDS.get((cls.__module__.partition(".")[0], cls.__name__))
        if kind is not None:
            return kind(str(error))
    if isinstance(error, OSError):
        return OperationFailed(_system(error))
    return OperationFailed(
        f"The kit itself failed ({type(error).__name__}). Run the command again with SOVEREIGN_DEBUG=1 in "
        "the environment, and report what it prints."
    )


def debugging() -> bool:
    return os.environ.get("SOVEREIGN_DEBUG", "") not in ("", "0")


def _system(error: OSError) -> str:
    place = f" at {error.filename}" if error.filename else ""
    advice = {
        errno.ENOSPC: "Make room on the disk, then run the same command again",
        errno.EDQUOT: "Make room within the quota, then run the same command again",
        errno.EACCES: "Check who owns the file and its folder",
        errno.EROFS: "Use a checkout on a file system that can be written",
    }.get(error.errno or 0, "Put that right, then run the same command again")
    return f"The system answered {error.strerror or type(error).__name__!r}{place}. {advice}."
