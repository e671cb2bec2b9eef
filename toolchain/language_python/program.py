"""Becomes a program: imports the SDK at once, then waits to be told what to run.

    program.py START_SCRIPT

What is told is one JSON document on standard input: `arguments` of the SDK's start script and what `environment`
has besides. It must import nothing else of the kit, for the program's own environment need not have it.
"""

import gc
import json
import os
import runpy
import sys
from contextlib import suppress


def main() -> None:
    script = sys.argv[1]
    sys.path[0] = os.path.dirname(script)  # as if it had been started itself
    gc.disable()  # what the SDK is made of stays to the end: no collection need look at it
    with suppress(ImportError):  # the start script says it better
        import pulumi.runtime  # noqa: F401
    gc.freeze()
    gc.enable()
    told = sys.stdin.buffer.read()
    if not told:
        return  # the host has ended
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
    given = json.loads(told)
    os.environ.update(given["environment"])
    sys.argv = [script, *given["arguments"]]
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
