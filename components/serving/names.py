"""What the parts are called and where they listen, said once, so that policies and workloads agree."""

GATEWAY = "llm-gateway"
VLLM = "vllm-server"
AUDIT = "llm-audit"

#: every server's one port: TLS, with a client certificate asked for behind the gateway
HTTPS = 8443
#: metrics of the gateway and the audit service; vLLM has its own on HTTPS
METRICS = 9090

#: the cluster's DNS service, as kubeadm and every distribution that follows it label it
DNS_NAMESPACE = "kube-system"
DNS_LABELS = {"k8s-app": "kube-dns"}
#: Prometheus, as its operator labels it
PROMETHEUS_LABELS = {"app.kubernetes.io/name": "prometheus"}


def labels(app: str) -> dict[str, str]:
    """The labels of a part's objects and pods."""
    return {"app": app, "app.kubernetes.io/name": app, "app.kubernetes.io/part-of": "sovereign"}


def host(app: str, namespace: str) -> str:
    """The DNS name of a part's Service in the cluster."""
    return f"{app}.{namespace}.svc.cluster.local"


def url(app: str, namespace: str) -> str:
    """Where a part's Service is called."""
    return f"https://{host(app, namespace)}:{HTTPS}"
