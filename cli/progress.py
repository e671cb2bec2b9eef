"""What goes to stderr: one line a step, with the time since the command began; nothing with --json."""

import sys
import time
from dataclasses import dataclass, field


@dataclass
class Progress:
    """Callable with one sentence; the `report` that every folder takes."""

    quiet: bool = False
    _start: float = field(default_factory=time.monotonic)

    def __call__(self, sentence: str) -> None:
        if not self.quiet:
            print(f"[{self.clock()}] {sentence}", file=sys.stderr, flush=True)

    def clock(self) -> str:
        """Elapsed time as minutes and seconds."""
        minutes, seconds = divmod(int(self.elapsed()), 60)
        return f"{minutes}:{seconds:02d}"

    def elapsed(self) -> float:
        """Seconds since the command began."""
        return time.monotonic() - self._start
