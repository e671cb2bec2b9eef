"""A cluster that a kubeconfig reaches: the one provider through which everything on it is made."""

from pulumi import ComponentResource, Output, ResourceOptions
from pulumi_kubernetes import Provider

from components.onprem.kubeconfig import ClusterError, Kubeconfig


class OnPremCluster(ComponentResource):
    """Exactly one cluster, by its UID: a kubeconfig that now leads to another one makes nothing."""

    provider: Provider
    uid: str

    def __init__(self, name: str, access: Kubeconfig, uid: str, opts: ResourceOptions | None = None) -> None:
        """`uid`: of the namespace kube-system, as `identify` found it."""
        super().__init__("sovereign:index:OnPremCluster", name, None, opts)
        self.uid = uid
        self.provider = Provider(
            name,
            kubeconfig=Output.secret(access.text),
            context=access.context,
            # else a rotated credential would look like another cluster, and replace everything on it
            cluster_identifier=uid,
            enable_server_side_apply=True,
            upsert_existing_objects=False,
            opts=ResourceOptions(parent=self),
        )
        self.register_outputs({})


def identify(access: Kubeconfig, expected: str | None) -> str:
    """Asks the cluster who it is, before anything is planned on it. Raises ClusterError where it isn't
    `expected`.

    A cluster of one's own has to be named: with none expected, the answer says what to write.
    """
    actual = access.uid()
    if expected is None:
        raise ClusterError(
            f"cluster.uid is missing: the cluster at {access.server} (context {access.context} of "
            f"{access.file}) has the UID {actual}. If that is the one you mean, write it there."
        )
    if actual != expected:
        raise ClusterError(
            f"The cluster at {access.server} (context {access.context} of {access.file}) has the UID "
            f"{actual}, and the stack is for {expected}: correct cluster.kubeconfig and cluster.context, or "
            "cluster.uid."
        )
    return actual
