"""Entry point of the plugin `pulumi-resource-kubernetes`."""

from toolchain.providers.core.serve import serve
from toolchain.providers.kubernetes.provider import KubernetesProvider

if __name__ == "__main__":
    serve(KubernetesProvider)
