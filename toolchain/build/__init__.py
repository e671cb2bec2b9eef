"""Builds the programs that a bare machine lacks, from modules pinned by checksum, once for all checkouts.

The programs lie in a cache outside the checkout, under a digest of all that decides what they are: module
files, flags, platform. See docs/decisions/0002-toolchain-from-registries.md.
"""

from toolchain.build.building import ensure, kwok_stages
from toolchain.build.programs import ALL
from toolchain.build.store import cache
from toolchain.errors import BuildError

__all__ = ["ALL", "BuildError", "cache", "ensure", "kwok_stages"]
