"""The gateway: the only way to the model, and where a request is identified, recorded and then let through.

Its program is told everything by these arguments; without the audit service it lets nothing through.
"""

from pulumi import ComponentResource, ResourceOptions
from pulumi_kubernetes.apps.v1 import (
    Deployment,
    DeploymentSpecArgs,
    DeploymentStrategyArgs,
    RollingUpdateDeploymentArgs,
)
from pulumi_kubernetes.core.v1 import Service
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget

from components.ground import Ground
from components.serving import names
from components.serving.audit import AuditService
from components.serving.isolation import Place
from components.serving.keys import Keys
from components.serving.vllm import Model, VllmServer
from components.serving.workload import Workload, disruption_budget, metadata, service, service_account

#: two, so that a drain or a new release leaves one
_REPLICAS = 2


class Gateway(ComponentResource):
    """The gateway in front of one model server and one audit service."""

    deployment: Deployment
    service: Service
    budget: PodDisruptionBudget
    url: str  #: in-cluster, https

    def __init__(
        self,
        name: str,
        model: Model,
        vllm: VllmServer,
        audit: AuditService,
        place: Place,
        keys: Keys,
        ground: Ground,
        opts: ResourceOptions | None = None,
    ) -> None:
        super().__init__("sovereign:index:Gateway", name, None, opts)
        app = names.GATEWAY
        self.url = names.url(app, place.name)
        account = service_account(app, place, self)
        workload = Workload(
            app=app,
            image=ground.images.gateway,
            args=[
                f"--port={names.HTTPS}",
                f"--metrics-port={names.METRICS}",
                f"--model={model.name}",
                f"--upstream={vllm.url}",
                f"--audit={audit.url}",
                "--tls=/tls",
                "--client-tls=/client-tls",
                "--prompt-key=/prompt-key/key",
            ],
            cpu="1",
            memory_limit="1Gi",
            start_within=60,
            drain_within=60,
            secrets={
                "/tls": keys.gateway.name,
                "/client-tls": keys.gateway_client.name,
                "/prompt-key": keys.prompt.name,
            },
        )
        self.deployment = Deployment(
            f"{place.name}/{app}",
            metadata=metadata(app, place),
            spec=DeploymentSpecArgs(
                replicas=_REPLICAS,
                strategy=DeploymentStrategyArgs(
                    type="RollingUpdate",
                    rolling_update=RollingUpdateDeploymentArgs(max_unavailable=0, max_surge=1),
                ),
                revision_history_limit=3,
                selector=workload.selector,
                template=workload.template(),
            ),
            opts=place.options(
                self,
                after=[
                    account,
                    *(sealed.secret for sealed in (keys.gateway, keys.gateway_client, keys.prompt)),
                ],
            ),
        )
        self.service = service(app, place, metrics=True, parent=self)
        self.budget = disruption_budget(app, place, self)
        self.register_outputs({})
