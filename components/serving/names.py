"""What the parts are called and where they listen, said once, so that policies and workloads agree."""

import re
from dataclasses import dataclass

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

#: which model an engine's objects and pods belong to
MODEL_LABEL = "llm.kit/model"


@dataclass(frozen=True)
class Identity:
    """A workload: the `app` that policies know, the name of its objects, the model where it serves one."""

    app: str
    name: str
    model: str | None = None

    @property
    def selector(self) -> dict[str, str]:
        """The labels by which its pods are found."""
        return {"app": self.app, **({MODEL_LABEL: self.model} if self.model else {})}

    @property
    def labels(self) -> dict[str, str]:
        """The labels of its objects and pods."""
        return {
            **self.selector,
            "app.kubernetes.io/name": self.app,
            "app.kubernetes.io/part-of": "sovereign",
        }

    def host(self, namespace: str) -> str:
        """The DNS name of its Service in the cluster."""
        return f"{self.name}.{namespace}.svc.cluster.local"

    def url(self, namespace: str) -> str:
        """Where its Service is called."""
        return f"https://{self.host(namespace)}:{HTTPS}"


def part(app: str) -> Identity:
    """The gateway or the audit service: there is one."""
    return Identity(app, app)


def engine(model: str) -> Identity:
    """The engines of a model. Objects take lower case and '-' only, so two models may collide: see
    settings.py."""
    return Identity(VLLM, f"vllm-{slug(model)}", model)


def slug(model: str) -> str:
    """A model's name as a part of an object's name."""
    return re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")
