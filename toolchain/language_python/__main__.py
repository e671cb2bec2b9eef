"""Starts the host as the engine expects: `pulumi-language-python [FLAGS] ENGINE_ADDRESS` prints its port."""

import argparse
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

import grpc

from protocol import language_pb2_grpc
from toolchain.language_python.host import Host

#: every running program and pack holds a thread; a thread is made when it is first needed
THREADS = 64
#: seconds between two looks at whether the engine still lives
WATCH = 1.0


def main() -> None:
    """Serves until the engine asks it to end, or is gone."""
    parent = os.getppid()
    parser = argparse.ArgumentParser(prog="pulumi-language-python")
    parser.add_argument("--executor", type=Path, required=True, help="the SDK's start script of programs")
    given, others = parser.parse_known_args()
    over = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        over.set()

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    host = Host(engine=others[-1] if others else "", executor=given.executor.resolve())
    server = grpc.server(
        ThreadPoolExecutor(THREADS), options=[("grpc.max_receive_message_length", 400 << 20)]
    )
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    while os.getppid() == parent and not over.wait(WATCH):
        pass
    host.close()
    server.stop(grace=None)
    # threads that still wait for a reader must not keep a host alive whose engine is gone
    os._exit(0)


if __name__ == "__main__":
    main()
