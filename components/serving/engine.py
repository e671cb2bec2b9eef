"""vLLM's command line and environment as typed values, rendered once. Names are those of vLLM 0.33.

The rules hold the rendered line against the table of flags of the version that the pod names
(facts/flags/, policies/rules/flags.py); here is only what this kit says to an engine, and why.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from facts import sizing

#: the version whose flags these are
VERSION = "0.33.0"


class ArgumentError(ValueError):
    """An argument that a site adds and the kit sets itself; the message says where to change it."""


@dataclass(frozen=True, kw_only=True)
class EngineArguments:
    """What `vllm serve` is told.

    `path` is an absolute folder of weights; `max_length` tokens of one request; `max_sequences` requests in
    one batch; `cache` the type of keys and values; `drain` seconds for requests in flight; `own` is what a
    site adds.
    """

    path: str
    served_name: str
    tensor_parallel: int
    max_length: int
    max_sequences: int
    cache: str
    port: int
    drain: int
    utilization: float = sizing.UTILIZATION
    batched_tokens: int = sizing.BATCHED_TOKENS
    own: Sequence[str] = ()

    def render(self) -> list[str]:
        """The arguments after `vllm serve`. Raises ArgumentError."""
        said = {
            "tokenizer": self.path,
            "served-model-name": self.served_name,
            "load-format": "safetensors",
            # sampling defaults that come with a model may change under a pinned answer
            "generation-config": "vllm",
            "tensor-parallel-size": self.tensor_parallel,
            "max-model-len": self.max_length,
            "max-num-seqs": self.max_sequences,
            "max-num-batched-tokens": self.batched_tokens,
            "gpu-memory-utilization": self.utilization,
            "kv-cache-dtype": "fp8" if self.cache == "fp8" else "auto",
            # a request may name an image by its URL, and vLLM would fetch it: allowed from a name nobody has
            "allowed-media-domains": "none.invalid",
            # the gateway salts the cache per tenant; the hash must not be one that collides on purpose
            "enable-prefix-caching": None,
            "prefix-caching-hash-algo": "sha256_cbor",
            "port": self.port,
            "ssl-certfile": "/tls/tls.crt",
            "ssl-keyfile": "/tls/tls.key",
            "ssl-ca-certs": "/tls/ca.crt",
            "ssl-cert-reqs": 2,
            "enable-ssl-refresh": None,
            "no-enable-log-requests": None,
            "no-enable-log-outputs": None,
            "disable-fastapi-docs": None,
            "fingerprint-mode": "none",
            "enable-request-id-headers": None,
            "shutdown-timeout": self.drain,
        }
        taken = {name.removeprefix("no-") for name in said}
        for argument in self.own:
            name = argument.lstrip("-").partition("=")[0].partition(".")[0].replace("_", "-")
            if not argument.startswith("--") or name.removeprefix("no-") in taken:
                raise ArgumentError(
                    f"models.arguments: {argument.partition('=')[0]!r} is not a flag of its own, or one that "
                    "the kit sets from the model's other settings: change those, or leave it out."
                )
        flags = [f"--{name}" if value is None else f"--{name}={value}" for name, value in said.items()]
        return [self.path, *flags, *self.own]


def environment(ready_within: int) -> dict[str, str]:
    """Variables of an engine that gets `ready_within` seconds to start."""
    return {
        # no hub, no telemetry, no agents: each of them only off where it is exactly "1"
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_DO_NOT_TRACK": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_MEDIA_URL_ALLOW_REDIRECTS": "0",
        # plugins are code that an image may bring along: none is loaded
        "VLLM_PLUGINS": "",
        # DEBUG would log prompts
        "VLLM_LOGGING_LEVEL": "INFO",
        "VLLM_ENGINE_READY_TIMEOUT_S": str(ready_within),
        # the root file system is read-only and the user has no home
        "HOME": "/cache",
        "USER": "vllm",
        "VLLM_CACHE_ROOT": "/cache/vllm",
        "TORCHINDUCTOR_CACHE_DIR": "/cache/inductor",
        "TRITON_CACHE_DIR": "/cache/triton",
        # left to itself, vLLM opens a socket towards a public address to learn its own
        "VLLM_HOST_IP": "127.0.0.1",
    }
