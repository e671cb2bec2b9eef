"""The gateway: the only way to the model, and where a request is identified, recorded and then let through.

Its program is told everything by these arguments; without the audit service it lets nothing through.
"""

from collections.abc import Mapping

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
from components.serving.workload import Workload, disruption_budget, metadata, service, service_account

#: two, so that a drain or a new release leaves one
_REPLICAS = 2


class Gateway(ComponentResource):
    """The gateway in front of the models and the audit service."""

    deployment: Deployment
    service: Service
    budget: PodDisruptionBudget
    url: str  #: in-cluster, https

    def __init__(
        self,
        name: str,
        models: Mapping[str, str],
        audit: AuditService,
        place: Place,
        keys: Keys,
        ground: Ground,
        opts: ResourceOptions | None = None,
    ) -> None:
        """`models`: what requests may ask for, and where its engines are called."""
        super().__init__("sovereign:index:Gateway", name, None, opts)
        who = names.part(names.GATEWAY)
        self.url = who.url(place.name)
        account = service_account(who, place, self)
        mounted = [keys.gateway, keys.gateway_client, keys.prompt]
        mounted += [keys.entrance] if keys.entrance else []
        workload = Workload(
            who=who,
            image=ground.images.gateway,
            args=[
                f"--port={names.HTTPS}",
                f"--metrics-port={names.METRICS}",
                *(f"--model={model}={url}" for model, url in sorted(models.items())),
                f"--audit={audit.url}",
                "--tls=/tls",
                "--client-tls=/client-tls",
                "--prompt-key=/prompt-key/key",
                *(["--entrance-tls=/entrance-tls"] if keys.entrance else []),
            ],
            cpu="1",
            memory_limit="1Gi",
            start_within=60,
            drain_within=60,
            spread="kubernetes.io/hostname",  # a node that fails takes one of them along
            secrets={
                "/tls": keys.gateway.name,
                "/client-tls": keys.gateway_client.name,
                "/prompt-key": keys.prompt.name,
                **({"/entrance-tls": keys.entrance.name} if keys.entrance else {}),
            },
        )
        self.deployment = Deployment(
            f"{place.name}/{who.name}",
            metadata=metadata(who, place),
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
                    *(sealed.secret for sealed in mounted),
                ],
            ),
        )
        self.service = service(who, place, metrics=True, parent=self)
        self.budget = disruption_budget(who, place, self)
        self.register_outputs({})
