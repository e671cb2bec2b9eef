"""Entry point of the plugin `pulumi-resource-kubernetes`."""

import os
import sys

from toolchain.providers.core.preview import VARIABLE
from toolchain.providers.core.serve import serve

if __name__ == "__main__":
    if text := os.environ.get(VARIABLE):
        from toolchain.providers.kubernetes.review import chosen  # with the whole SDK, which takes a while

        serve(chosen(sys.argv, text))
    else:
        from toolchain.providers.kubernetes.provider import KubernetesProvider

        serve(KubernetesProvider)
