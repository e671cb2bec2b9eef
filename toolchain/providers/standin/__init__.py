"""Stand-ins for the official plugins of cloud packages: they plan, and never touch a cloud.

One is a published Python SDK, whose own types judge the inputs, and a data file that says what the cloud
would answer (see data.py). A preview is *ordinary*, with values unknown where the official plugin knows none,
or *symbolic*, with a typed sentinel for each output. Outside a preview everything is refused.
"""

from toolchain.providers.standin.provider import StandIn, main

__all__ = ["StandIn", "main"]
