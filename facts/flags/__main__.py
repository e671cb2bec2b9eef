"""Writes the table of a vLLM version as YAML. A wheel on the index is read in pieces, not as a whole."""

import io
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urljoin

import click
import urllib3
import yaml
from urllib3.util import make_headers, parse_url

from facts.flags import FlagsError, Table, wheel

_DEFAULT_INDEX = "https://pypi.org/simple"
_JSON = "application/vnd.pypi.simple.v1+json"
_WHEEL = re.compile(r"vllm-(?P<version>[^-]+)-.+\.whl")
#: how much is asked for at a time: most members fit
_PIECE = 128 * 1024


class _Unknown(click.ClickException):
    """There is no such version, or no such file."""

    exit_code = 2


class _Unreachable(click.ClickException):
    """The index doesn't answer as an index should."""

    exit_code = 3


class _Web:
    """Requests to an index and to the place where it keeps its files.

    Messages say where the index's address was set, not the address: it may hold a password.
    """

    def __init__(self, index: str, origin: str) -> None:
        self.index = index.rstrip("/") + "/"
        self.origin = origin
        self._pool = urllib3.PoolManager(timeout=30, retries=urllib3.Retry(3))

    def get(self, url: str, headers: Mapping[str, str], expected: int, what: str) -> urllib3.BaseHTTPResponse:
        try:
            answer = self._pool.request("GET", url, headers={**headers, **self._login(url)})
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise _Unreachable(
                f"{what} can't be fetched from the index of {self.origin} ({type(error).__name__}): "
                "check the address and the network, set --index-url, or give a wheel file instead"
            ) from error
        if answer.status != expected:
            raise _Unreachable(
                f"{what} was answered with status {answer.status} instead of {expected} by the index set by "
                f"{self.origin}: set --index-url to one that has it, or give a wheel file instead"
            )
        return answer

    def _login(self, url: str) -> dict[str, str]:
        index = parse_url(self.index)
        login = index.auth if parse_url(url).host == index.host else None
        return {str(name): str(value) for name, value in make_headers(basic_auth=login).items()}


class _Remote(io.RawIOBase):
    """A file on a web server that can be read from any place on, by byte ranges."""

    def __init__(self, web: _Web, url: str) -> None:
        self._web, self._url, self._at = web, url, 0
        total = self._range(0, 0).headers.get("Content-Range", "").rpartition("/")[2]
        if not total.isdecimal():
            raise _Unreachable(
                f"the index set by {web.origin} doesn't say how long the wheel is: give a wheel file "
                "instead of a version"
            )
        self._size = int(total)

    def _range(self, first: int, last: int) -> urllib3.BaseHTTPResponse:
        asked = {"Range": f"bytes={first}-{last}", "Accept-Encoding": "identity"}
        return self._web.get(self._url, asked, 206, "a piece of the wheel")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        last = min(self._at + len(buffer), self._size) - 1
        if last < self._at:
            return 0
        piece = self._range(self._at, last).data
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


def _index(option: str | None) -> tuple[str, str]:
    """The index's address and where it was set."""
    for origin, address in (
        ("--index-url", option),
        ("PIP_INDEX_URL", os.environ.get("PIP_INDEX_URL")),
        ("UV_INDEX_URL", os.environ.get("UV_INDEX_URL")),
        ("pip's configuration", _pip_index()),
    ):
        if address:
            return address, origin
    return _DEFAULT_INDEX, "nothing, the public one"


def _pip_index() -> str:
    asked = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


def _wheel_url(web: _Web, version: str) -> str:
    page = urljoin(web.index, "vllm/")
    answer = web.get(page, {"Accept": _JSON}, 200, "the list of vLLM's files")
    try:
        files = cast(list[dict[str, Any]], answer.json()["files"])
    except (ValueError, LookupError, TypeError) as error:
        raise _Unreachable(
            f"the index set by {web.origin} doesn't answer with JSON ({_JSON}): set --index-url to one that "
            "does, or give a wheel file instead of a version"
        ) from error
    wheels = {
        found["version"]: urljoin(page, file["url"])
        for file in files
        if "manylinux" in file["filename"]
        and file["filename"].endswith("_x86_64.whl")
        and (found := _WHEEL.fullmatch(file["filename"]))
    }
    if version not in wheels:
        raise _Unknown(
            f"the index set by {web.origin} has no manylinux x86_64 wheel of vLLM {version}: ask for one "
            f"that it has, of which the newest are {', '.join(_newest(list(wheels))) or 'none'}"
        )
    return str(wheels[version])


def _newest(versions: list[str]) -> list[str]:
    def key(version: str) -> list[int]:
        return [int(part) for part in re.findall(r"\d+", version)]

    return sorted(versions, key=key, reverse=True)[:5]


def _read(open_file: Callable[[], BinaryIO], name: str, version: str) -> Table:
    try:
        with open_file() as file, zipfile.ZipFile(file) as archive:
            members = [member for member in archive.namelist() if wheel.wanted(member)]
            files = {member: archive.read(member).decode("utf-8") for member in members}
        return wheel.read(files, version)
    except (OSError, zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise _Unknown(
            f"{name} can't be read as a wheel ({type(error).__name__}): give a vLLM wheel file, or a version "
            "such as 0.33.0"
        ) from error
    except FlagsError as error:
        raise _Unknown(str(error)) from error


def _from_file(path: Path) -> Table:
    named = _WHEEL.fullmatch(path.name)
    if named is None:
        raise _Unknown(
            f"{path.name} is not called as a vLLM wheel is, so its version isn't known: give a file with its "
            "published name, vllm-VERSION-...whl"
        )
    return _read(lambda: path.open("rb"), str(path), named["version"])


def _from_index(version: str, index_url: str | None) -> Table:
    web = _Web(*_index(index_url))
    url = _wheel_url(web, version)
    return _read(
        lambda: cast(BinaryIO, io.BufferedReader(_Remote(web, url), _PIECE)),
        f"vLLM {version}'s wheel",
        version,
    )


def _text(table: Table, command: str) -> str:
    content = {
        "version": table.version,
        "switches": sorted(table.switches),
        "lists": sorted(table.lists),
        "flags": sorted(table.flags),
        "environment": sorted(table.environment),
    }
    return f"# Generated by: {command}\n" + yaml.safe_dump(content, sort_keys=False)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("source", metavar="VERSION_OR_WHEEL_FILE")
@click.option("--index-url", help="The package index to ask; it must answer in JSON (PEP 691).")
def main(source: str, index_url: str | None) -> None:
    """Write which flags and environment names a vLLM version knows, as YAML.

    With a version, the index's list of files is asked for the manylinux x86_64 wheel, and of the wheel
    only the few source files that declare flags are fetched, a few megabytes, by byte ranges. The index is
    the one of --index-url, PIP_INDEX_URL, UV_INDEX_URL or pip's configuration, whichever is set first.

    With a wheel file, nothing is asked of the network.

    \b
    Examples:
      python -m facts.flags 0.33.0 > facts/flags/vllm-0.33.0.yaml
      python -m facts.flags ~/wheels/vllm-0.33.0-cp38-abi3-manylinux_2_28_x86_64.whl

    Exit status: 0 the table is written, 2 no such version or file, 3 the index can't be reached.
    """
    is_file = source.endswith(".whl")
    table = _from_file(Path(source)) if is_file else _from_index(source, index_url)
    click.echo(_text(table, f"python -m facts.flags {Path(source).name}"), nl=False)


if __name__ == "__main__":
    main(prog_name="python -m facts.flags")
