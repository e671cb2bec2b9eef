"""Image references, read as a container runtime reads them: short names mean Docker Hub.

The grammar is the one of the distribution project (github.com/distribution/reference), on whose reading
containerd and CRI-O agree.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from facts.zones import Zone

#: Where a name without a registry comes from.
DOCKER_HUB = "docker.io"

_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:]+\])(?::[0-9]+)?")
_SEGMENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[\w][\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")


@dataclass(frozen=True)
class Image:
    """An image reference taken apart: `host` with its port, `digest` with its algorithm."""

    host: str
    path: str
    tag: str | None = None
    digest: str | None = None

    def __str__(self) -> str:
        return (
            f"{self.host}/{self.path}"
            + (f":{self.tag}" if self.tag else "")
            + (f"@{self.digest}" if self.digest else "")
        )


@lru_cache(maxsize=4096)
def parse(reference: str) -> Image | None:
    """The parts of an image reference; None where a container runtime would not take it for one."""
    rest, at, digest = reference.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        return None
    name, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:
        name, tag = rest, ""
    elif not _TAG.fullmatch(tag):
        return None
    host, slash, path = name.partition("/")
    if not slash or not (host == "localhost" or host != host.lower() or "." in host or ":" in host):
        host, path = DOCKER_HUB, name
    host = host.lower()
    if host == "index.docker.io":
        host = DOCKER_HUB
    if host == DOCKER_HUB and "/" not in path:
        path = f"library/{path}"
    if not _HOST.fullmatch(host) or not all(_SEGMENT.fullmatch(part) for part in path.split("/")):
        return None
    return Image(host, path, tag or None, digest or None)


def allowed(image: Image, zone: Zone) -> bool:
    """Whether the zone names the image's registry: exact host and port, path prefix by whole segments."""
    for entry in zone.registries:
        host, _, prefix = entry.partition("/")
        if image.host == host and (not prefix or f"{image.path}/".startswith(f"{prefix}/")):
            return True
    return False
