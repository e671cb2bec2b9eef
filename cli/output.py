"""What goes to stdout: results only, as aligned text for people or as JSON for pipelines."""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click


def emit_json(value: Any) -> None:
    """Prints one JSON document, keys in the order given."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns aligned by their widest cell; the last one runs free."""
    lines = [tuple(str(cell) for cell in row) for row in rows]
    widths = [max(len(line[column]) for line in (tuple(headers), *lines)) for column in range(len(headers))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (tuple(headers), *lines)
    )


def coloured() -> bool:
    """Colour only where a person looks on and has not said no (NO_COLOR)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str) -> str:
    return click.style(text, fg=colour, bold=True) if coloured() else text


def verdict_text(judged: Mapping[str, Any], what: str) -> str:
    """A verdict for a reader: findings first, the verdict last, where a terminal leaves the eye."""
    parts = [finding_text(finding) for finding in judged["findings"]]
    if hidden := len(judged.get("not_visible") or ()):
        parts.append(f"{counted(hidden, 'secret')} not visible here: the pack judges them.")
    parts += [waived_text(waived) for waived in judged.get("waived") or ()]
    parts += [f"{paint('warning', 'yellow')}: {finding_text(one)}" for one in judged.get("warnings") or ()]
    if judged["verdict"] == "pass":
        parts.append(f"{paint('pass', 'green')}: no way out found in {what}")
    else:
        parts.append(f"{paint('refuse', 'red')}: {counted(len(judged['findings']), 'finding')} in {what}")
    return "\n".join(parts)


def counted(count: int, noun: str) -> str:
    """`1 finding`, `2 findings`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def finding_text(finding: Mapping[str, Any]) -> str:
    """One finding for a reader: what was found where, why it matters, what to do, how to learn more."""
    known = finding["verdict"] == "refuse"
    where = " ".join(part for part in (resource_name(finding["urn"]), finding["path"]) if part) or "the plan"
    head = paint(finding["route"], "red" if known else "yellow")
    seen = f": found {finding['seen']}" if finding["seen"] else ""
    lines = [f"{head} {where}{seen}{'' if known else ' (undecided)'}".lstrip()]
    for text in (finding["why"], ", ".join(finding["controls"]), finding["fix"]):
        lines += [f"    {_sentence(line)}" for line in text.splitlines() if line.strip()]
    lines.append(f"    more: sovereign policy explain {finding['rule']}")
    return "\n".join(lines)


def waived_text(waived: Mapping[str, Any]) -> str:
    """A finding that stands for a while: what it is, who signed for it, and when that ends."""
    by = waived["waiver"]
    where = " ".join(part for part in (resource_name(waived["urn"]), waived["path"]) if part)
    notice = f"; {by['notice']}" if by["notice"] else ""
    return (
        f"{paint('waived', 'yellow')} {waived['route']} {waived['rule']} {where}: until {by['expires']}, by "
        f"{by['owner']} and {by['approver']} ({by['file']}){notice}"
    )


def resource_name(urn: str) -> str:
    """`ConfigMap "llm-serving/settings"` of a URN, or of the file and object that a manifest reader names."""
    if not urn.startswith("urn:pulumi:"):
        return urn
    parts = urn.split("::")
    token, name = parts[2].rpartition("$")[2], "::".join(parts[3:])
    return f'{token.rpartition(":")[2]} "{name}"' if name else token


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
