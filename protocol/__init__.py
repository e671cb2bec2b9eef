"""The engine's messages and services, as the `pulumi` wheel ships them: `from protocol import provider_pb2`.

The same modules as pulumi.runtime.proto, without the SDK around them. Packs, providers and the language host
need nothing else of it, and start anew with each run of the engine: the whole SDK costs each 0.3 s of processor
time, most of it for parts that only a program needs.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pulumi.runtime.proto import analyzer_pb2 as analyzer_pb2
    from pulumi.runtime.proto import analyzer_pb2_grpc as analyzer_pb2_grpc
    from pulumi.runtime.proto import engine_pb2 as engine_pb2
    from pulumi.runtime.proto import engine_pb2_grpc as engine_pb2_grpc
    from pulumi.runtime.proto import language_pb2 as language_pb2
    from pulumi.runtime.proto import language_pb2_grpc as language_pb2_grpc
    from pulumi.runtime.proto import plugin_pb2 as plugin_pb2
    from pulumi.runtime.proto import provider_pb2 as provider_pb2
    from pulumi.runtime.proto import provider_pb2_grpc as provider_pb2_grpc
    from pulumi.runtime.proto import resource_pb2 as resource_pb2
    from pulumi.runtime.proto import status_pb2 as status_pb2

_sdk = find_spec("pulumi")  # which finds it, and runs none of it
if _sdk is None or _sdk.origin is None:
    raise ModuleNotFoundError("The package pulumi is not installed: run `make set-up`.", name="pulumi")
__path__ = [str(Path(_sdk.origin).parent / "runtime" / "proto")]
