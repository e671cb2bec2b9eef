"""How long things take, agreed between all who wait: start of an engine, drain, and what waits for them.

read     weights / read rate
ready    (read x MARGIN) + COMPILE: the engine's own timeout; whoever probes it waits at least as long
leave    from the order to stop until no new request comes: the endpoint's removal everywhere
drain    requests in flight get to finish
grace    leave + drain + SPARE: then the process is killed
"""

import math

#: a volume is sometimes slower than measured: by how much, before a start is given up
MARGIN = 1.5
#: seconds for compiling kernels, capturing CUDA graphs and warming up a 70B (vLLM's default for all is 600)
COMPILE = 900
#: seconds until a stopping pod's endpoint has gone everywhere
LEAVE = 15
#: seconds between the end of a drain and the kill
SPARE = 15
#: the engine's first seconds of not being ready must show before it stops listening
READINESS_PERIOD, READINESS_FAILURES = 5, 2


def read_seconds(weights: float, rate: float) -> int:
    """Seconds to read `weights` bytes at `rate` bytes a second."""
    return math.ceil(weights / rate)


def ready_seconds(weights: float, rate: float) -> int:
    """Seconds that an engine gets to become ready, in whole minutes."""
    return math.ceil((read_seconds(weights, rate) * MARGIN + COMPILE) / 60) * 60


def grace_seconds(drain: int) -> int:
    """Seconds between the order to stop and the kill."""
    return LEAVE + drain + SPARE
