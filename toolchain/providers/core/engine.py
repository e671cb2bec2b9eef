"""The engine's log, to which a provider speaks while it works."""

import threading
from typing import Any

import grpc

from protocol import engine_pb2, engine_pb2_grpc

#: messages may be as large as the engine's own; no proxy stands between two local processes
CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),
)
PATIENCE = 10.0  # seconds: a log line isn't worth more


class EngineLog:
    """Sends log lines to the engine at an address, once `attach` has told it; without one they go nowhere."""

    def __init__(self, address: str = "") -> None:
        self._lock = threading.Lock()
        self._address = ""
        self._engine: Any = None
        self._channel: Any = None
        if address:
            self.attach(address)

    def attach(self, address: str) -> None:
        """From now on speaks to the engine at `address` (host:port)."""
        with self._lock:
            if not address or address == self._address:
                return
            self._address = address
            self._channel = grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
            self._engine = engine_pb2_grpc.EngineStub(self._channel)

    def info(self, message: str, urn: str = "") -> None:
        """A line that stays."""
        self._send(engine_pb2.INFO, message, urn, False)

    def warning(self, message: str, urn: str = "") -> None:
        """A warning that stays."""
        self._send(engine_pb2.WARNING, message, urn, False)

    def status(self, message: str, urn: str = "") -> None:
        """A line that the next one replaces."""
        self._send(engine_pb2.INFO, message, urn, True)

    def _send(self, severity: Any, message: str, urn: str, ephemeral: bool) -> None:
        engine = self._engine
        if engine is None:
            return
        request = engine_pb2.LogRequest(severity=severity, message=message, urn=urn, ephemeral=ephemeral)
        try:
            engine.Log(request, timeout=PATIENCE)
        except grpc.RpcError:
            return  # the engine is ending: what the operation does counts, not its log
