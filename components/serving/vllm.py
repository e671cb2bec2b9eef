"""vLLM server: tensor-parallel engines behind one Service.

Nothing but the gateway reaches it, with a client certificate, and it reaches nothing (isolation.py). The
weights are on a volume that it can't write. Names of flags and variables are those of vLLM 0.33.
"""

from dataclasses import dataclass

from pulumi import ComponentResource, ResourceOptions
from pulumi_kubernetes.apps.v1 import Deployment, DeploymentSpecArgs, DeploymentStrategyArgs
from pulumi_kubernetes.core.v1 import PersistentVolumeClaim, Service
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget

from components.ground import Ground
from components.serving import names
from components.serving.isolation import Place
from components.serving.keys import Keys
from components.serving.workload import Workload, claim, disruption_budget, metadata, service, service_account

#: seconds that loading 70 billion parameters from a slow volume and compiling may take
_READY_WITHIN = 1800
#: seconds that requests in flight get to finish
_DRAIN = 60

_WEIGHTS = "model-weights"

_ENVIRONMENT = {
    # no hub, no telemetry, no agents: each of them only off where it is exactly "1"
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_MEDIA_URL_ALLOW_REDIRECTS": "0",
    # DEBUG would log prompts
    "VLLM_LOGGING_LEVEL": "INFO",
    "VLLM_ENGINE_READY_TIMEOUT_S": str(_READY_WITHIN),
    # the root file system is read-only and the user has no home
    "HOME": "/cache",
    "USER": "vllm",
    "VLLM_CACHE_ROOT": "/cache/vllm",
    "TORCHINDUCTOR_CACHE_DIR": "/cache/inductor",
    "TRITON_CACHE_DIR": "/cache/triton",
    # left to itself, vLLM opens a socket towards a public address to learn its own
    "VLLM_HOST_IP": "127.0.0.1",
}


@dataclass(frozen=True)
class Model:
    """What is served: its name in requests, its folder on the volume of weights (mounted at /models), how
    many GPUs of one node an engine takes, tokens of one request at most, and how many engines there are.
    """

    name: str
    path: str
    gpus: int
    max_length: int
    replicas: int = 1


class VllmServer(ComponentResource):
    """The model server and the claim on its weights."""

    weights: PersistentVolumeClaim
    deployment: Deployment
    service: Service
    budget: PodDisruptionBudget
    url: str  #: in-cluster, https, asks for a client certificate

    def __init__(
        self,
        name: str,
        model: Model,
        place: Place,
        keys: Keys,
        ground: Ground,
        opts: ResourceOptions | None = None,
    ) -> None:
        super().__init__("sovereign:index:VllmServer", name, None, opts)
        app = names.VLLM
        self.url = names.url(app, place.name)
        account = service_account(app, place, self)
        self.weights = claim(
            app,
            place,
            _WEIGHTS,
            access="ReadOnlyMany",
            size=ground.weights.size,
            storage=ground.storage,
            volume=ground.weights.volume,
            parent=self,
        )
        workload = Workload(
            app=app,
            image=ground.images.vllm,
            command=["vllm", "serve"],
            args=_arguments(model),
            environment=_ENVIRONMENT,
            cpu="8",
            memory_limit="96Gi",
            gpus=model.gpus,
            gpu_product=ground.gpus.product,
            start_within=_READY_WITHIN,
            drain_within=_DRAIN,
            metrics=False,
            secrets={"/tls": keys.vllm.name},
            claims={"/models": _WEIGHTS},
            claims_read_only=True,
            scratch={"/tmp": "1Gi", "/cache": "20Gi"},
            memory={"/dev/shm": f"{2 * model.gpus}Gi"},
        )
        self.deployment = Deployment(
            f"{place.name}/{app}",
            metadata=metadata(app, place),
            spec=DeploymentSpecArgs(
                replicas=model.replicas,
                # a second engine beside the first would wait for GPUs that the first one holds
                strategy=DeploymentStrategyArgs(type="Recreate"),
                progress_deadline_seconds=_READY_WITHIN + 600,
                revision_history_limit=3,
                selector=workload.selector,
                template=workload.template(),
            ),
            opts=place.options(self, after=[account, self.weights, keys.vllm.secret]),
        )
        self.service = service(app, place, metrics=False, parent=self)
        self.budget = disruption_budget(app, place, self)
        self.register_outputs({})


def _arguments(model: Model) -> list[str]:
    return [
        model.path,
        f"--tokenizer={model.path}",
        f"--served-model-name={model.name}",
        f"--tensor-parallel-size={model.gpus}",
        f"--max-model-len={model.max_length}",
        "--load-format=safetensors",
        # a request may name an image by its URL, and vLLM would fetch it: allowed from a name that nobody has
        "--allowed-media-domains=none.invalid",
        "--enable-prefix-caching",
        "--prefix-caching-hash-algo=sha256_cbor",
        f"--port={names.HTTPS}",
        "--ssl-certfile=/tls/tls.crt",
        "--ssl-keyfile=/tls/tls.key",
        "--ssl-ca-certs=/tls/ca.crt",
        "--ssl-cert-reqs=2",
        "--enable-ssl-refresh",
        "--no-enable-log-requests",
        "--disable-fastapi-docs",
        "--fingerprint-mode=none",
        "--enable-request-id-headers",
        f"--shutdown-timeout={_DRAIN}",
    ]
