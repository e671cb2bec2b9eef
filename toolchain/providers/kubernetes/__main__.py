"""Entry point of the plugin `pulumi-resource-kubernetes`."""

import os
import sys

from toolchain.providers.core.serve import serve
from toolchain.providers.kubernetes.review import chosen

if __name__ == "__main__":
    serve(chosen(sys.argv, os.environ))
