"""`python -m services.weights verify DIR --key PUBLIC.pem`: what runs before an engine starts.

Exit code 0: every byte is as it was signed. 1: it isn't, and the engine must not start. 2: bad usage.
3: something can't be read. 130, 143: stopped.
"""

import argparse
import dataclasses
import json
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from services.weights import signing
from services.weights.errors import WeightsError

#: seconds between two lines of progress
_EVERY = 2.0


class Meter:
    """Tells on stderr how far the reading is, every few seconds; `total` in bytes."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self.start = self.last = time.monotonic()

    def __call__(self, count: int) -> None:
        self.done += count
        now = time.monotonic()
        if now - self.last >= _EVERY:
            self.last = now
            rate = self.done / (now - self.start)
            left = max(0.0, self.total - self.done) / rate if rate else 0.0
            print(
                f"{self.done / 1e9:.1f} of {self.total / 1e9:.1f} GB, {rate / 1e9:.2f} GB/s, "
                f"{left:.0f} s left",
                file=sys.stderr,
                flush=True,
            )


def main(arguments: list[str] | None = None) -> int:
    signal.signal(signal.SIGTERM, _stop)
    given = _parser().parse_args(arguments)
    try:
        public = given.key.read_bytes()
        meter = Meter(signing.expected(given.folder, public))
        found = signing.verify(
            given.folder,
            public,
            given.parallel,
            meter,
            digest=f"sha256:{given.digest.removeprefix('sha256:')}" if given.digest else None,
            model=given.model,
            copy_to=given.copy_to,
        )
    except WeightsError as error:
        print(f"refused: {given.folder}\n{error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename or given.folder} can't be read: {error.strerror}.", file=sys.stderr)
        return 3
    print(json.dumps({"verified": True, **dataclasses.asdict(found)}))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.weights", description=__doc__)
    verify = parser.add_subparsers(required=True).add_parser("verify", help="check every byte of a folder")
    verify.add_argument("folder", type=Path, metavar="DIR")
    verify.add_argument("--key", type=Path, required=True, help="the public key, in PEM")
    verify.add_argument("--digest", help="of the manifest that was released")
    verify.add_argument("--model", help="the model that is to be served")
    verify.add_argument("--copy-to", type=Path, help="a cache on this node's disk, to be brought to the same")
    verify.add_argument("--parallel", type=int, default=min(16, os.cpu_count() or 1), help="files at a time")
    return parser


def _stop(number: int, frame: FrameType | None) -> None:
    # threads are in the middle of reads that nothing can end but this
    os._exit(128 + number)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        os._exit(130)
