"""What any provider plugin needs: the gRPC service, the codec of property values, shape checks and detailed
diffs.

A provider implements `Provider` over plain Python values and knows nothing of gRPC; `serve` puts it on a
port. Nothing here knows a platform.
"""

from toolchain.providers.core.errors import Incomplete, Refused
from toolchain.providers.core.provider import (
    Autonaming,
    Checked,
    Compared,
    Log,
    Naming,
    Properties,
    Provider,
    Read,
    Urn,
)
from toolchain.providers.core.values import UNKNOWN, Output, Secret, Unknown

__all__ = [
    "UNKNOWN",
    "Autonaming",
    "Checked",
    "Compared",
    "Incomplete",
    "Log",
    "Naming",
    "Output",
    "Properties",
    "Provider",
    "Read",
    "Refused",
    "Secret",
    "Unknown",
    "Urn",
]
