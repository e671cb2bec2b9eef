"""A stack's objects without an engine and without a cluster."""

from datetime import UTC, datetime
from pathlib import Path

import pulumi

from components.onprem.kubeconfig import Kubeconfig
from facts import zones
from facts.site import Site
from stacks import ground, secret_config, service, settings
from tests.support.render import Asked, render

#: when the certificates of the tests are made
NOW = datetime.now(UTC)

UID = "6f2d1c7e-5b0a-4c5e-9f39-0d8f4a7b2c11"

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: CONTEXT
clusters: [{name: c, cluster: {server: "https://127.0.0.1:6443", certificate-authority-data: Y2E=}}]
users: [{name: u, user: {token: not-a-token}}]
contexts: [{name: CONTEXT, context: {cluster: c, user: u}}]
"""


class AnsweredKubeconfig(Kubeconfig):
    """A kubeconfig whose cluster is there."""

    @staticmethod
    def read(file: Path, context: str | None = None) -> Kubeconfig:
        name = context or "local"
        return AnsweredKubeconfig(file, name, "https://127.0.0.1:6443", KUBECONFIG.replace("CONTEXT", name))

    def uid(self) -> str:
        return UID


def objects(site: Site, stack: str, given: settings.Settings | None = None) -> list[Asked]:
    """All that the stack asks the engine for, with its own settings or with those given.

    The caller patches ground.Kubeconfig.
    """
    chosen = given or settings.load(site.stack_file(stack))

    def build() -> None:
        values = {
            key: pulumi.Output.secret(value) for key, value in secret_config.ensure({}, chosen, NOW).items()
        }
        zone = zones.load(site.zone_file(chosen.zone))
        base = ground.lay(chosen, site, zone, stack)
        assert base is not None, "the cluster is there"
        service.stand_up(
            chosen,
            site,
            zone,
            base,
            values[secret_config.AUDIT_KEY],
            values.get(secret_config.CERTIFICATES),
        )

    return render(build, stack=stack)
