"""vLLM server: the engines of one model behind one Service, and weights that are verified before they start.

Nothing but the gateway reaches it, with a client certificate, and it reaches nothing (isolation.py). The
weights are on a volume that it can't write; an init container reads every byte of them first, and without
the signature that the site gave there is no start.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pulumi import ComponentResource, ResourceOptions
from pulumi_kubernetes.apps.v1 import (
    Deployment,
    DeploymentSpecArgs,
    DeploymentStrategyArgs,
    RollingUpdateDeploymentArgs,
)
from pulumi_kubernetes.autoscaling.v2 import HorizontalPodAutoscaler
from pulumi_kubernetes.core.v1 import (
    ConfigMap,
    PersistentVolumeClaim,
    ResourceQuota,
    ResourceQuotaSpecArgs,
    ScopedResourceSelectorRequirementArgs,
    ScopeSelectorArgs,
    Service,
)
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget
from pulumi_kubernetes.scheduling.v1 import PriorityClass

from components.ground import Ground, Weights
from components.serving import engine, names
from components.serving.engine import EngineArguments
from components.serving.isolation import Place
from components.serving.keys import Keys
from components.serving.workload import (
    Preparation,
    Workload,
    claim,
    disruption_budget,
    metadata,
    service,
    service_account,
)
from facts import budgets, sizing
from facts.sizing import Demand, Fit

#: seconds that requests in flight get to finish
_DRAIN = 60
#: GiB of shared memory for each rank: NCCL and the queues between the processes of an engine
_SHARED_MEMORY = 2
#: requests in one batch at least; more of them share the same cache
_SEQUENCES = 64
#: GiB of main memory that an engine takes besides what it shares
_MEMORY = 32
_KEY = "weights-key"


@dataclass(frozen=True)
class Autoscale:
    """Up to `maximum` engines, one more while `waiting` requests or more wait at each of them."""

    maximum: int
    waiting: int


@dataclass(frozen=True, kw_only=True)
class Model:
    """What is served: its `name` in requests, its folder `path` on the volume of weights (mounted at
    /models), the `demand` it is sized for on `gpus` of one node, and how many engines there are.

    `spare`: engines for which there are GPUs besides, while a release rolls. `failure_domain`: the node label
    over whose values engines are spread. `arguments`: of the site's own. `image`: where it isn't the
    ground's. `writable_root`: why its root file system may be written, and the last day (ISO 8601).
    """

    name: str
    path: str
    demand: Demand
    gpus: int
    replicas: int = 1
    spare: int = 0
    autoscale: Autoscale | None = None
    priority: int = 1000
    failure_domain: str = "topology.kubernetes.io/zone"
    arguments: tuple[str, ...] = ()
    image: str | None = None
    writable_root: tuple[str, str] | None = None

    @property
    def identity(self) -> names.Identity:
        return names.engine(self.name)

    @property
    def most(self) -> int:
        """Engines that there may be."""
        return self.autoscale.maximum if self.autoscale else self.replicas

    @property
    def weights_bytes(self) -> int:
        return int(sizing.weights(self.demand.model, self.demand.quantization))


@dataclass(frozen=True)
class Budgets:
    """Seconds: to verify the weights, to become ready after that, to drain."""

    verify: int
    ready: int
    drain: int = _DRAIN

    @staticmethod
    def of(model: Model, read_rate: int) -> "Budgets":
        """`read_rate`: bytes a second of the volume of weights."""
        return Budgets(
            verify=budgets.read_seconds(model.weights_bytes, read_rate),
            ready=budgets.ready_seconds(model.weights_bytes, read_rate),
        )


class VllmServer(ComponentResource):
    """The engines of one model, the claim on its weights, its share of the GPUs."""

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
        """Raises ArgumentError for an argument that the kit sets itself."""
        super().__init__("sovereign:index:VllmServer", name, None, opts)
        who, weights = model.identity, ground.weights[model.name]
        fit = sizing.fit(model.demand, ground.gpus[model.name], model.gpus)
        within = Budgets.of(model, weights.read_rate)
        self.url = who.url(place.name)
        account = service_account(who, place, self)
        volume = f"weights-{names.slug(model.name)}"
        self.weights = claim(
            who,
            place,
            volume,
            access="ReadOnlyMany",
            size=weights.size,
            storage=ground.storage,
            volume=weights.volume,
            parent=self,
        )
        key = ConfigMap(
            f"{place.name}/{volume}-key",
            metadata=metadata(who, place, f"{volume}-key"),
            data={"key.pem": weights.public_key},
            opts=place.options(self),
        )
        priority = self._priority(model, place, ground)
        quota = self._quota(model, fit, place, priority)
        cached = weights.cache is not None
        workload = Workload(
            who=who,
            image=model.image or ground.images.vllm,
            command=["vllm", "serve"],
            args=EngineArguments(
                path=model.path,
                served_name=model.name,
                tensor_parallel=model.gpus,
                max_length=model.demand.context,
                max_sequences=max(_SEQUENCES, model.demand.concurrency),
                cache=fit.cache.name,
                port=names.HTTPS,
                drain=within.drain,
                own=model.arguments,
            ).render(),
            environment=engine.environment(within.ready),
            cpu="8",
            memory_limit=f"{_MEMORY + _SHARED_MEMORY * model.gpus}Gi",
            gpus=model.gpus,
            gpu_resource=fit.gpu.resource,
            gpu_product=ground.gpu_labels.get(model.name),
            spread=model.failure_domain,
            priority_class=priority_class(model, place.name),
            annotations=_said(model, fit, weights),
            writable_root=model.writable_root is not None,
            start_within=within.ready,
            drain_within=within.drain,
            metrics=False,
            secrets={"/tls": keys.engines[model.name].name},
            claims={"/models-source" if cached else "/models": volume},
            claims_read_only=True,
            caches={"/models": weights.cache} if weights.cache is not None else {},
            config_maps={"/weights-key": f"{volume}-key"},
            scratch={"/tmp": "1Gi", "/cache": "20Gi"},
            memory={"/dev/shm": f"{_SHARED_MEMORY * model.gpus}Gi"},
            prepare=_verification(model, weights, ground),
        )
        self.deployment = Deployment(
            f"{place.name}/{who.name}",
            metadata=metadata(who, place, annotations={"llm.kit/change": downtime(model, weights.read_rate)}),
            spec=DeploymentSpecArgs(
                # with an autoscaler the number is its own: a plan must not take it back
                replicas=None if model.autoscale else model.replicas,
                strategy=_strategy(model),
                progress_deadline_seconds=within.verify * 2 + within.ready + 600,
                revision_history_limit=3,
                selector=workload.selector,
                template=workload.template(),
            ),
            opts=place.options(
                self, after=[account, self.weights, key, *priority, quota, keys.engines[model.name].secret]
            ),
        )
        self.service = service(who, place, metrics=False, parent=self)
        self.budget = disruption_budget(who, place, self)
        if model.autoscale is not None:
            self._autoscaler(model, model.autoscale, place)
        self.register_outputs({})

    def _autoscaler(self, model: Model, wanted: Autoscale, place: Place) -> None:
        """By the engines' own queue, as an adapter for Prometheus hands it to the API server; up fast, down
        slowly, because a new engine takes as long as its weights do."""
        who = model.identity
        HorizontalPodAutoscaler(
            f"{place.name}/{who.name}",
            metadata=metadata(who, place),
            spec={
                "scale_target_ref": {"api_version": "apps/v1", "kind": "Deployment", "name": who.name},
                "min_replicas": model.replicas,
                "max_replicas": wanted.maximum,
                "metrics": [
                    {
                        "type": "Pods",
                        "pods": {
                            "metric": {"name": "vllm_num_requests_waiting"},
                            "target": {"type": "AverageValue", "average_value": str(wanted.waiting)},
                        },
                    }
                ],
                "behavior": {
                    "scale_up": {"policies": [{"type": "Pods", "value": 1, "period_seconds": 60}]},
                    "scale_down": {
                        "stabilization_window_seconds": 1800,
                        "policies": [{"type": "Pods", "value": 1, "period_seconds": 600}],
                    },
                },
            },
            opts=place.options(self, after=[self.deployment]),
        )

    def _priority(self, model: Model, place: Place, ground: Ground) -> Sequence[PriorityClass]:
        """A class of its own: the quota counts the pods that have it."""
        if ground.shared:
            return ()
        name = priority_class(model, place.name)
        return (PriorityClass(name, **priority(model, place.name), opts=place.options(self)),)

    def _quota(self, model: Model, fit: Fit, place: Place, after: Sequence[PriorityClass]) -> ResourceQuota:
        """As many engines as are meant, whoever asks for more. Half as many again may be there while a failed
        room's pods hang in their end: else the quota would keep their successors away."""
        engines = model.most + max(model.spare, math.ceil(model.most / 2))
        name = model.identity.name
        return ResourceQuota(
            f"{place.name}/{name}",
            metadata=metadata(model.identity, place),
            spec=ResourceQuotaSpecArgs(
                hard={f"requests.{fit.gpu.resource}": str(engines * model.gpus), "pods": str(engines)},
                scope_selector=ScopeSelectorArgs(
                    match_expressions=[
                        ScopedResourceSelectorRequirementArgs(
                            scope_name="PriorityClass",
                            operator="In",
                            values=[priority_class(model, place.name)],
                        )
                    ]
                ),
            ),
            opts=place.options(self, after=after),
        )


def priority_class(model: Model, namespace: str) -> str:
    """The name of the class of priority of a model's engines."""
    return f"{namespace}-{model.identity.name}"


def priority(model: Model, namespace: str) -> Mapping[str, Any]:
    """What the class of priority of a model's engines says."""
    return {
        "metadata": {"name": priority_class(model, namespace), "labels": model.identity.labels},
        "value": model.priority,
        "global_default": False,
        "preemption_policy": "Never",
        "description": f"Engines of {model.name}. They wait for GPUs and take none from others.",
    }


def downtime(model: Model, read_rate: int) -> str:
    """What a change of the model costs its users, in a sentence; `read_rate` in bytes a second."""
    within = Budgets.of(model, read_rate)
    minutes = -(-(within.verify + within.ready) // 60)
    if model.spare:
        return "A change rolls over spare GPUs: no engine is missed."
    if model.most > 1:
        return (
            f"A change takes one engine of {model.replicas} away at a time, for up to {minutes} minutes each"
            ": there are no spare GPUs."
        )
    return (
        f"A change stops the only engine for up to {minutes} minutes, and no request is answered meanwhile: "
        "there are no spare GPUs."
    )


def _said(model: Model, fit: Fit, weights: Weights) -> Mapping[str, str]:
    """What the pod says of itself: the rules hold its arguments, probes and GPUs against this."""
    return {
        "llm.kit/engine-version": engine.VERSION,
        "llm.kit/architecture": model.demand.model.name,
        "llm.kit/shape": json.dumps(model.demand.model.shape, sort_keys=True),
        "llm.kit/quantization": model.demand.quantization.name,
        "llm.kit/gpu": fit.gpu.name,
        "llm.kit/concurrency": str(model.demand.concurrency),
        "llm.kit/cache": fit.cache.name,
        "llm.kit/weights-bytes": str(model.weights_bytes),
        "llm.kit/weights-digest": weights.digest,
        "llm.kit/read-rate": str(weights.read_rate),
        **_exception(model),
    }


def _exception(model: Model) -> Mapping[str, str]:
    if model.writable_root is None:
        return {}
    reason, until = model.writable_root
    return {"llm.kit/writable-root-reason": reason, "llm.kit/writable-root-until": until}


def _verification(model: Model, weights: Weights, ground: Ground) -> Preparation:
    """The init container that reads every byte, and copies to the node's disk where a cache is asked for."""
    folder = model.path.removeprefix("/models/")
    source = f"/models-source/{folder}" if weights.cache is not None else model.path
    copy = [f"--copy-to={model.path}"] if weights.cache is not None else []
    return Preparation(
        name="verify-weights",
        image=ground.images.verifier,
        command=["python", "-m", "services.weights"],
        args=[
            "verify",
            source,
            "--key=/weights-key/key.pem",
            f"--digest={weights.digest.removeprefix('sha256:')}",
            f"--model={model.name}",
            *copy,
        ],
        cpu="4",
        memory="1Gi",
    )


def _strategy(model: Model) -> DeploymentStrategyArgs:
    """Without spare GPUs a new engine can't start beside an old one: it would wait for GPUs that the other
    holds."""
    if model.replicas == 1 and not model.spare:
        return DeploymentStrategyArgs(type="Recreate")
    return DeploymentStrategyArgs(
        type="RollingUpdate",
        rolling_update=RollingUpdateDeploymentArgs(
            max_unavailable=0 if model.spare else 1, max_surge=model.spare
        ),
    )
