"""A provider on its real gRPC port, driven as the engine drives it: Check, Diff, then Create or Update."""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import (
    engine_pb2_grpc,
    provider_pb2,
    provider_pb2_grpc,
    status_pb2,
)

from toolchain.providers.core import Log, Provider
from toolchain.providers.core.codec import decode, encode
from toolchain.providers.core.serve import start
from toolchain.providers.core.values import plain
from toolchain.providers.kubernetes.provider import KubernetesProvider

Properties = dict[str, Any]


class EngineSide(engine_pb2_grpc.EngineServicer):
    """The part of the engine that a provider speaks to; keeps what it says."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, bool]] = []
        self._lock = threading.Lock()

    def Log(self, request: Any, context: Any) -> Any:
        with self._lock:
            self.lines.append((request.urn, request.message, request.ephemeral))
        return empty_pb2.Empty()

    @property
    def text(self) -> str:
        """All lines, also those that were replaced later."""
        return "\n".join(message for _, message, _ in self.lines)


class Failed(Exception):
    """What the provider answered instead; `state` is there when something was made all the same."""

    def __init__(self, error: grpc.RpcError) -> None:
        super().__init__(error.details())
        self.id, self.reasons = "", []
        self.state: Properties = {}
        self.inputs: Properties = {}
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                status = status_pb2.Status.FromString(value)
                detail = provider_pb2.ErrorResourceInitFailed()
                assert status.details[0].Unpack(detail)
                self.id, self.reasons = detail.id, list(detail.reasons)
                self.state, self.inputs = decode(detail.properties), decode(detail.inputs)


@dataclass
class Resource:
    """One resource as the engine keeps it."""

    urn: str
    id: str
    inputs: Properties
    state: Properties


@dataclass
class Difference:
    """What Diff answered."""

    kinds: dict[str, str]
    delete_first: bool
    changed: bool = field(default=False)

    @property
    def replaces(self) -> bool:
        return any(kind.endswith("_REPLACE") for kind in self.kinds.values())


class Driver:
    """Calls one provider instance."""

    def __init__(self, port: int, engine: EngineSide) -> None:
        self.engine = engine
        self.stub = provider_pb2_grpc.ResourceProviderStub(grpc.insecure_channel(f"127.0.0.1:{port}"))

    def urn(self, token: str, name: str) -> str:
        return f"urn:pulumi:test::provider::kubernetes:{token}::{name}"

    def configure(self, **settings: str) -> None:
        variables = {f"kubernetes:config:{key}": value for key, value in settings.items()}
        self._call("Configure", provider_pb2.ConfigureRequest(variables=variables))

    def check(
        self,
        token: str,
        name: str,
        inputs: Mapping[str, Any],
        old: Mapping[str, Any] | None = None,
        seed: bytes = b"seed",
    ) -> tuple[Properties, list[str]]:
        """Checked inputs, and what is wrong with them."""
        answer = self._call(
            "Check",
            provider_pb2.CheckRequest(
                urn=self.urn(token, name), news=encode(inputs), olds=encode(old or {}), randomSeed=seed
            ),
        )
        return decode(answer.inputs), [failure.reason for failure in answer.failures]

    def checked(self, token: str, name: str, inputs: Mapping[str, Any], **more: Any) -> Properties:
        found, problems = self.check(token, name, inputs, **more)
        assert problems == []
        return found

    def preview(self, token: str, name: str, inputs: Mapping[str, Any]) -> Properties:
        """What a preview shows of a new resource."""
        return self.previewed(token, name, inputs).state

    def previewed(self, token: str, name: str, inputs: Mapping[str, Any]) -> Resource:
        """A new resource as a preview has it."""
        return self._create(token, name, self.checked(token, name, inputs), preview=True)

    def create(self, token: str, name: str, inputs: Mapping[str, Any], timeout: float = 0) -> Resource:
        return self._create(token, name, self.checked(token, name, inputs), timeout=timeout)

    def _create(
        self, token: str, name: str, inputs: Properties, preview: bool = False, timeout: float = 0
    ) -> Resource:
        urn = self.urn(token, name)
        answer = self._call(
            "Create",
            provider_pb2.CreateRequest(urn=urn, properties=encode(inputs), preview=preview, timeout=timeout),
        )
        return Resource(urn, answer.id, inputs, decode(answer.properties))

    def diff(
        self, resource: Resource, inputs: Mapping[str, Any], ignored: tuple[str, ...] = ()
    ) -> Difference:
        """What differs from the resource to new `inputs`, which go through Check first."""
        token, name = resource.urn.split("::")[2].removeprefix("kubernetes:"), resource.urn.split("::")[3]
        new = self.checked(token, name, inputs, old=resource.inputs)
        return self.diff_checked(resource, new, ignored)

    def diff_checked(
        self, resource: Resource, inputs: Mapping[str, Any], ignored: tuple[str, ...] = ()
    ) -> Difference:
        answer = self._call(
            "Diff",
            provider_pb2.DiffRequest(
                id=resource.id,
                urn=resource.urn,
                olds=encode(resource.state),
                old_inputs=encode(resource.inputs),
                news=encode(inputs),
                ignoreChanges=ignored,
            ),
        )
        kinds = {
            path: provider_pb2.PropertyDiff.Kind.Name(entry.kind)
            for path, entry in answer.detailedDiff.items()
        }
        return Difference(
            kinds, answer.deleteBeforeReplace, answer.changes == provider_pb2.DiffResponse.DIFF_SOME
        )

    def update(
        self,
        resource: Resource,
        inputs: Mapping[str, Any],
        preview: bool = False,
        ignored: tuple[str, ...] = (),
        timeout: float = 0,
    ) -> Resource:
        """The resource changed to `inputs`, which go through Check first."""
        token, name = resource.urn.split("::")[2].removeprefix("kubernetes:"), resource.urn.split("::")[3]
        new = self.checked(token, name, inputs, old=resource.inputs)
        answer = self._call(
            "Update",
            provider_pb2.UpdateRequest(
                id=resource.id,
                urn=resource.urn,
                olds=encode(resource.state),
                old_inputs=encode(resource.inputs),
                news=encode(new),
                preview=preview,
                ignoreChanges=ignored,
                timeout=timeout,
            ),
        )
        return Resource(resource.urn, resource.id, new, decode(answer.properties))

    def read(self, resource: Resource) -> Resource | None:
        """The resource after a refresh; None when it is gone."""
        return self._read(resource.urn, resource.id, resource.state, resource.inputs)

    def import_(self, token: str, name: str, id: str) -> Resource | None:
        """The resource as an import finds it."""
        return self._read(self.urn(token, name), id, {}, {})

    def _read(self, urn: str, id: str, state: Properties, inputs: Properties) -> Resource | None:
        request = provider_pb2.ReadRequest(urn=urn, id=id)
        if state:
            request.properties.CopyFrom(encode(state))
            request.inputs.CopyFrom(encode(inputs))
        answer = self._call("Read", request)
        if not answer.id:
            return None
        return Resource(urn, answer.id, decode(answer.inputs), decode(answer.properties))

    def delete(self, resource: Resource, timeout: float = 0) -> None:
        self._call(
            "Delete",
            provider_pb2.DeleteRequest(
                id=resource.id,
                urn=resource.urn,
                properties=encode(resource.state),
                old_inputs=encode(resource.inputs),
                timeout=timeout,
            ),
        )

    def cancel(self) -> None:
        self._call("Cancel", empty_pb2.Empty())

    def _call(self, method: str, request: Any) -> Any:
        try:
            return getattr(self.stub, method)(request, timeout=120)
        except grpc.RpcError as error:
            raise Failed(error) from None


@contextmanager
def driven(
    kubeconfig: Path | str | None = None,
    make: Callable[[Log], Provider] = KubernetesProvider,
    **settings: str,
) -> Iterator[Driver]:
    """A provider instance of its own, configured when a kubeconfig is given."""
    engine = EngineSide()
    engine_server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    engine_pb2_grpc.add_EngineServicer_to_server(engine, engine_server)
    engine_port = engine_server.add_insecure_port("127.0.0.1:0")
    engine_server.start()
    server, port = start(make, f"127.0.0.1:{engine_port}")
    try:
        driver = Driver(port, engine)
        if kubeconfig is not None:
            driver.configure(kubeconfig=str(kubeconfig), **settings)
        yield driver
    finally:
        server.stop(0)
        engine_server.stop(0)


def shown(properties: Mapping[str, Any]) -> Any:
    """Properties without markers, to compare."""
    return plain(dict(properties))
