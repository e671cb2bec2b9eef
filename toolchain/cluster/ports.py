"""Ports on the loopback address: free ones are found, and kept as long as nobody else takes them."""

import random
import socket
import time
from collections.abc import Collection
from pathlib import Path

HOST = "127.0.0.1"
LOWEST = 16384


def free(port: int) -> bool:
    """Whether a server could listen on `port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
        return True


def freed(port: int, seconds: float) -> bool:
    """Whether `port` is free or gets so in time: a server that was killed holds it until all of it ended."""
    deadline = time.monotonic() + seconds
    while not free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def find(taken: Collection[int]) -> int:
    """A free port that isn't in `taken`, below those that the system gives to outgoing connections.

    Raises OSError if there is none.
    """
    candidates = [port for port in range(LOWEST, _first_ephemeral()) if port not in taken]
    for port in random.sample(candidates, len(candidates)):
        if free(port):
            return port
    raise OSError(f"no free port on {HOST} between {LOWEST} and {_first_ephemeral()}")


def answers(port: int) -> bool:
    """Whether someone accepts connections on `port`."""
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False


def _first_ephemeral() -> int:
    try:
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return 32768
    return first if first > LOWEST + 1000 else 65536
