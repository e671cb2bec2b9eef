"""`python -m toolchain.build [PROGRAM...]`: builds what is missing, and prints where each program lies.

`--remove` removes the cache instead, with what every checkout has built.
"""

import sys

from toolchain.build import ALL, BuildError, cache, ensure
from toolchain.build.programs import PROGRAMS
from toolchain.build.store import remove
from toolchain.commands import reporter


def main() -> int:
    """Exit code: 0 done, 2 no such program, 3 a build failed, 130 interrupted."""
    if sys.argv[1:] == ["--remove"]:
        remove(cache())
        print(
            f"removed {cache()}; what Go itself has downloaded or compiled is Go's: go clean -cache -modcache"
        )
        return 0
    names = sys.argv[1:] or ALL
    if unknown := [name for name in names if name not in PROGRAMS]:
        print(f"No such program: {', '.join(unknown)}. There are: {', '.join(PROGRAMS)}.", file=sys.stderr)
        return 2
    try:
        for name, path in ensure(names, reporter()).items():
            print(f"{name:24} {path}")
    except BuildError as error:
        print(error, file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("Interrupted. Run the same command again: it goes on where this one stopped.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
