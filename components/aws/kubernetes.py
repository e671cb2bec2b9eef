"""The way into the cluster for what stands on it: one Kubernetes provider, with the rights of whoever runs
it.

The token is AWS's own, good for a quarter of an hour, and asked for anew at each run; a kubeconfig that names
a program to run (`exec`) would take its credentials from the environment.
"""

from collections.abc import Sequence

from pulumi import ComponentResource, Input, InvokeOutputOptions, Output, Resource, ResourceOptions
from pulumi_aws.eks import get_cluster_auth_output
from pulumi_kubernetes import Provider

from components.aws.place import Place


class ClusterProvider(ComponentResource):
    """Exactly one cluster, by its identity."""

    provider: Provider

    def __init__(
        self,
        name: str,
        place: Place,
        cluster: Input[str],
        endpoint: Input[str],
        authority: Input[str],
        uid: str,
        after: Sequence[Resource] = (),
        opts: ResourceOptions | None = None,
    ) -> None:
        """`cluster` is its name, `authority` its certificates (base64 of PEM), `uid` that of its namespace
        kube-system; in a review plan, where there is no cluster, whatever stands for it. `after`: who enters
        it, and what runs there."""
        super().__init__("sovereign:aws:ClusterProvider", name, None, opts)
        auth = get_cluster_auth_output(
            name=cluster, opts=InvokeOutputOptions(parent=self, provider=place.provider)
        )
        config = Output.json_dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": place.name,
                "clusters": [
                    {
                        "name": place.name,
                        "cluster": {"server": endpoint, "certificate-authority-data": authority},
                    }
                ],
                "users": [{"name": place.name, "user": {"token": auth.token}}],
                "contexts": [{"name": place.name, "context": {"cluster": place.name, "user": place.name}}],
            }
        )
        self.provider = Provider(
            name,
            kubeconfig=config.apply(Output.secret),
            context=place.name,
            # else a new token would look like another cluster, and replace everything on it
            cluster_identifier=uid,
            enable_server_side_apply=True,
            upsert_existing_objects=False,
            opts=ResourceOptions(parent=self, depends_on=list(after)),
        )
        self.register_outputs({})
