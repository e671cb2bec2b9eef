"""Entry point of the plugin `pulumi-resource-aws`."""

from pathlib import Path

from toolchain.providers.aws.functions import FUNCTIONS
from toolchain.providers.aws.version import PACKAGE, VERSION
from toolchain.providers.standin import main

if __name__ == "__main__":
    main(PACKAGE, VERSION, Path(__file__).parent, FUNCTIONS)
