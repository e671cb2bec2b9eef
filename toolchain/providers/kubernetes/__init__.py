"""The kit's own Kubernetes provider, for the published `pulumi_kubernetes` SDK of the same version.

It applies server-side, previews by server-side dry runs, and keeps the same state as the official plugin, so
that a stack can change over in both directions. See docs/decisions/0004-kubernetes-provider.md.
"""

from toolchain.providers.kubernetes.install import install
from toolchain.providers.kubernetes.version import PACKAGE, VERSION

__all__ = ["PACKAGE", "VERSION", "install"]
