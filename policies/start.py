"""Starts a pack: what `__main__.py` of its folder calls.

Nothing else may be printed to standard output: the engine reads the port from it.
"""

import gc


def serve(pack: str) -> None:
    """Serves one pack until the engine ends it."""
    gc.disable()  # what the rules are made of stays to the end: no collection need look at it
    from policies.pack import server

    running, port = server(pack)
    gc.freeze()
    gc.enable()
    running.start()
    print(port, flush=True)
    try:
        running.wait_for_termination()
    except KeyboardInterrupt:
        running.stop(None)
