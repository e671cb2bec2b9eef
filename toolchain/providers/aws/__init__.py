"""The stand-in for the plugin of the published `pulumi_aws` SDK: it plans, and never reaches AWS.

All it knows of AWS is data: aws.yaml beside this file, and facts/aws.yaml of the kit, handed over as a file.
"""

from toolchain.providers.aws.install import install
from toolchain.providers.aws.version import PACKAGE, VERSION

__all__ = ["PACKAGE", "VERSION", "install"]
