"""The local cluster: a real Kubernetes API with simulated GPU nodes, as ordinary processes, without root.

etcd, kube-apiserver, kube-controller-manager and kube-scheduler are the real ones; KWOK plays the kubelets of
the nodes. So validation, admission, RBAC, encryption of Secrets at rest, audit log, scheduling, quotas and
roll-outs are real, and no container runs: a pod is Ready because KWOK says so, `kubectl logs` and `exec` have
nothing to reach, NetworkPolicies are accepted but not enforced, there is no cluster DNS (no kube-dns in
kube-system), and no provisioner makes volumes. See docs/decisions/0003-local-cluster.md.
"""

from toolchain.cluster.cluster import REQUIRED, Cluster, Status
from toolchain.cluster.control_plane import CONTEXT, POD_NETWORK, SERVICE_NETWORK
from toolchain.cluster.errors import ClusterError

__all__ = ["CONTEXT", "POD_NETWORK", "REQUIRED", "SERVICE_NETWORK", "Cluster", "ClusterError", "Status"]
