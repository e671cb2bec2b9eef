"""Pulumi's runtime in this process, anew for each program: what it keeps of the one before is forgotten."""

import asyncio
from typing import Any

import pulumi
from pulumi.runtime import Mocks
from pulumi.runtime.settings import ROOT


def begin(mocks: Mocks, stack: str, monitor: Any = None) -> None:
    """Makes the mocks those of the program that comes: another loop, and no stack that is its root yet."""
    asyncio.set_event_loop(asyncio.new_event_loop())
    ROOT.set(None)
    pulumi.runtime.set_mocks(mocks, project="sovereign", stack=stack, monitor=monitor)
