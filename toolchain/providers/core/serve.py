"""Puts a provider on a port of 127.0.0.1, prints the port for the engine, and ends when the engine does."""

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent import futures
from typing import Any

import grpc

from protocol import provider_pb2_grpc
from toolchain.providers.core.engine import CHANNEL_OPTIONS, EngineLog
from toolchain.providers.core.provider import Log, Provider
from toolchain.providers.core.service import Service

#: requests at once; threads are made as they are needed, and one that waits for a resource holds one
WORKERS = 512
GRACE = 2.0  # seconds for answers under way when the engine is gone
WATCH_SECONDS = 0.5


def start(make: Callable[[Log], Provider], engine_address: str = "") -> tuple[Any, int]:
    """Serves the provider that `make` gives; returns the server, which the caller must keep, and its port."""
    log = EngineLog(engine_address)
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="request"),
        options=(*CHANNEL_OPTIONS, ("grpc.so_reuseport", 0)),
    )
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Service(make(log), log), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


def serve(make: Callable[[Log], Provider]) -> None:
    """The main function of a plugin: the engine gives its address as first argument and reads the port."""
    engine = next((argument for argument in sys.argv[1:] if not argument.startswith("-")), "")
    parent = os.getppid()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        # the engine's order to end, once all requests are answered; Ctrl-C doesn't reach plugins
        signal.signal(number, lambda *_: ended.set())
    gc.disable()  # what a provider is made of, a whole SDK for some, stays to the end: nothing to collect
    server, port = start(make, engine)
    gc.freeze()
    gc.enable()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    while os.getppid() == parent and not ended.is_set():
        ended.wait(WATCH_SECONDS)
    server.stop(GRACE).wait(GRACE)
    os._exit(0)  # requests that wait for a resource must not keep a plugin without an engine alive
