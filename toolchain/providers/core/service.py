"""The gRPC side of a provider: takes the engine's requests apart, and puts answers and errors together."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import grpc
from google.protobuf import any_pb2, empty_pb2

from protocol import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2
from toolchain.providers.core import paths
from toolchain.providers.core.codec import decode, encode
from toolchain.providers.core.diff import Difference, Kind
from toolchain.providers.core.engine import EngineLog
from toolchain.providers.core.errors import Incomplete, Refused
from toolchain.providers.core.provider import Autonaming, Checked, Compared, Naming, Provider, Urn
from toolchain.providers.core.values import plain

Answer = TypeVar("Answer")

_KINDS = {
    (Kind.ADD, False): provider_pb2.PropertyDiff.ADD,
    (Kind.ADD, True): provider_pb2.PropertyDiff.ADD_REPLACE,
    (Kind.UPDATE, False): provider_pb2.PropertyDiff.UPDATE,
    (Kind.UPDATE, True): provider_pb2.PropertyDiff.UPDATE_REPLACE,
    (Kind.DELETE, False): provider_pb2.PropertyDiff.DELETE,
    (Kind.DELETE, True): provider_pb2.PropertyDiff.DELETE_REPLACE,
}


class Service(provider_pb2_grpc.ResourceProviderServicer):
    """Serves one provider. Requests come in parallel; each is answered by one call of the provider."""

    def __init__(self, provider: Provider, log: EngineLog) -> None:
        self._provider = provider
        self._log = log

    # What the plugin is

    def Handshake(self, request: Any, context: Any) -> Any:
        self._log.attach(request.engine_address)
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=True,
            accept_resources=False,
            accept_outputs=False,
            supports_autonaming_configuration=True,
        )

    def Attach(self, request: Any, context: Any) -> Any:
        self._log.attach(request.address)
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=self._provider.version)

    def GetSchema(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetSchemaResponse(schema=self._call(context, self._provider.schema))

    def GetMapping(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetMappingResponse()

    def GetMappings(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetMappingsResponse()

    def Cancel(self, request: Any, context: Any) -> Any:
        self._provider.cancel()
        return empty_pb2.Empty()

    # The provider's own settings

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return self._call(
            context,
            lambda: _checked(self._provider.check_config(Urn(request.urn), decode(request.news))),
        )

    def DiffConfig(self, request: Any, context: Any) -> Any:
        def compare() -> Any:
            old = decode(request.old_inputs if request.HasField("old_inputs") else request.olds)
            return _compared(self._provider.diff_config(Urn(request.urn), old, decode(request.news)))

        return self._call(context, compare)

    def Configure(self, request: Any, context: Any) -> Any:
        prefix = f"{self._provider.package}:config:"
        settings = {key.removeprefix(prefix): value for key, value in request.variables.items()} or plain(
            decode(request.args)
        )
        self._call(context, lambda: self._provider.configure(settings))
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True,
            supportsPreview=True,
            acceptResources=False,
            acceptOutputs=False,
            supports_autonaming_configuration=True,
        )

    # Resources

    def Check(self, request: Any, context: Any) -> Any:
        naming = Naming(seed=request.randomSeed)
        if request.HasField("autonaming"):
            naming = Naming(
                request.randomSeed, Autonaming(request.autonaming.mode), request.autonaming.proposed_name
            )
        return self._call(
            context,
            lambda: _checked(
                self._provider.check(Urn(request.urn), decode(request.olds), decode(request.news), naming)
            ),
        )

    def Diff(self, request: Any, context: Any) -> Any:
        return self._call(
            context,
            lambda: _compared(
                self._provider.diff(
                    Urn(request.urn),
                    request.id,
                    decode(request.olds),
                    decode(request.old_inputs),
                    decode(request.news),
                    list(request.ignoreChanges),
                )
            ),
        )

    def Create(self, request: Any, context: Any) -> Any:
        id, state = self._call(
            context,
            lambda: self._provider.create(
                Urn(request.urn), decode(request.properties), request.timeout, request.preview
            ),
        )
        return provider_pb2.CreateResponse(id=id, properties=encode(state))

    def Read(self, request: Any, context: Any) -> Any:
        found = self._call(
            context,
            lambda: self._provider.read(
                Urn(request.urn), request.id, decode(request.properties), decode(request.inputs)
            ),
        )
        if not found.id:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(
            id=found.id, properties=encode(found.state), inputs=encode(found.inputs)
        )

    def Update(self, request: Any, context: Any) -> Any:
        state = self._call(
            context,
            lambda: self._provider.update(
                Urn(request.urn),
                request.id,
                decode(request.olds),
                decode(request.news),
                request.timeout,
                list(request.ignoreChanges),
                request.preview,
            ),
        )
        return provider_pb2.UpdateResponse(properties=encode(state))

    def Delete(self, request: Any, context: Any) -> Any:
        self._call(
            context,
            lambda: self._provider.delete(
                Urn(request.urn),
                request.id,
                decode(request.properties),
                decode(request.old_inputs),
                request.timeout,
            ),
        )
        return empty_pb2.Empty()

    # What a provider may have besides

    def Invoke(self, request: Any, context: Any) -> Any:
        result = self._call(context, lambda: self._provider.invoke(request.tok, plain(decode(request.args))))
        return provider_pb2.InvokeResponse(**{"return": encode(result)})

    def Call(self, request: Any, context: Any) -> Any:
        _abort(context, f"{request.tok} isn't there: this provider's resources have no methods.")

    def Construct(self, request: Any, context: Any) -> Any:
        self._call(context, lambda: self._provider.construct(request.type))
        return provider_pb2.ConstructResponse()

    def Parameterize(self, request: Any, context: Any) -> Any:
        _abort(context, f"This provider of {self._provider.package} takes no parameters.")

    def List(self, request: Any, context: Any) -> Any:
        _abort(context, f"This provider of {self._provider.package} doesn't list resources.")

    def _call(self, context: Any, work: Callable[[], Answer]) -> Answer:
        try:
            return work()
        except Refused as refusal:
            _abort(context, str(refusal))
        except Incomplete as incomplete:
            _abort(context, str(incomplete), _init_failed(incomplete))
        except Exception as error:
            # its text may hold a value of the user's, so only its kind and place are told
            _abort(context, _internal(self._provider.package, error))


def _abort(context: Any, message: str, detail: Any = None) -> NoReturn:
    if detail is not None:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=message, details=[packed])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, message)
    raise AssertionError("abort returned")


def _init_failed(incomplete: Incomplete) -> Any:
    detail = provider_pb2.ErrorResourceInitFailed(
        id=incomplete.id, properties=encode(incomplete.state), reasons=incomplete.reasons
    )
    if incomplete.inputs is not None:
        detail.inputs.CopyFrom(encode(incomplete.inputs))
    return detail


def _internal(package: str, error: BaseException) -> str:
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = f"{Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}" if frame else "nowhere"
    sentence = f"The {package} provider has a defect: {type(error).__name__} at {place}. Please report it."
    print(sentence, file=sys.stderr, flush=True)
    return sentence


def _checked(checked: Checked) -> Any:
    return provider_pb2.CheckResponse(
        inputs=encode(checked.inputs),
        failures=[
            provider_pb2.CheckFailure(
                property=paths.written(problem.path),
                reason=f"{paths.written(problem.path)} {problem.reason}" if problem.path else problem.reason,
            )
            for problem in checked.problems
        ],
    )


def _compared(compared: Compared) -> Any:
    detailed = detailed_diff(compared.differences)
    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME if detailed else provider_pb2.DiffResponse.DIFF_NONE,
        diffs=sorted({str(difference.path[0]) for difference in compared.differences if difference.path}),
        replaces=[paths.written(found.path) for found in compared.differences if found.replace],
        deleteBeforeReplace=compared.delete_first,
        detailedDiff=detailed,
        hasDetailedDiff=True,
    )


def detailed_diff(found: Any) -> Mapping[str, Any]:
    """The engine's detailed diff of `found` differences, by property path; all of them are between inputs."""

    def entry(difference: Difference) -> Any:
        return provider_pb2.PropertyDiff(kind=_KINDS[difference.kind, difference.replace], inputDiff=True)

    return {paths.written(difference.path): entry(difference) for difference in found}
