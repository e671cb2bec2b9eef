"""Property paths as the engine writes them: `spec.ports[0].name`,
`metadata.labels["app.kubernetes.io/name"]`.
"""

import re

from toolchain.providers.core.values import Path

#: stands for any key or index in a pattern
ANY = "*"

_STEP = re.compile(
    r"""\.?(?:
        \[\s*"(?P<quoted>(?:[^"\\]|\\.)*)"\s*\]
      | \[\s*(?P<index>\d+)\s*\]
      | \[\s*(?P<any>\*)\s*\]
      | (?P<key>[^.\[\]"]+)
    )""",
    re.VERBOSE,
)


def written(path: Path) -> str:
    """`path` in the engine's notation."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.search(r'[."\[\]]', step) or not step:
            escaped = step.replace('"', '\\"')
            text += f'["{escaped}"]'
        else:
            text += f".{step}" if text else step
    return text


def parsed(text: str) -> Path:
    """The path that `text` writes; a `*` stands for any step. Raises ValueError when it is none."""
    steps: list[str | int] = []
    position = 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None:
            raise ValueError(f"{text!r} is no property path")
        if match["quoted"] is not None:
            steps.append(match["quoted"].replace('\\"', '"'))
        elif match["index"] is not None:
            steps.append(int(match["index"]))
        else:
            steps.append(match["any"] or match["key"])
        position = match.end()
    return tuple(steps)


def covers(pattern: Path, path: Path) -> bool:
    """Whether `path` is what `pattern` names, or lies inside it."""
    return len(pattern) <= len(path) and all(
        want in (ANY, have) for want, have in zip(pattern, path, strict=False)
    )


def touches(pattern: Path, path: Path) -> bool:
    """Whether `path` is what `pattern` names, lies inside it, or has it inside."""
    return all(want in (ANY, have) for want, have in zip(pattern, path, strict=False))
