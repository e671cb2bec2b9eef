"""`sovereign policy eval --second-opinion`: has checkov look at the same plans, on this machine alone."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cli import output
from cli.errors import OperationFailed

if TYPE_CHECKING:
    from policies.model import Plan
    from policies.second_opinion import Opinion, Rendered

#: how many types are named one by one before the rest is only counted
NAMED = 6


def ask(plans: Sequence["Plan"]) -> "Opinion":
    """checkov's opinion of the plans. Raises OperationFailed where it can't be had."""
    from policies import second_opinion
    from toolchain import checkov
    from toolchain.commands import reporter
    from toolchain.errors import ToolchainError

    rendered = [second_opinion.render(plan) for plan in plans]
    left_out = tuple(second_opinion.checks()["left_out"])
    with tempfile.TemporaryDirectory(prefix="sovereign-second-opinion-") as name:

        def scan(shown: Sequence[Shown]) -> list[dict[str, Any]]:
            tasks = []
            for one in shown:
                folder = Path(tempfile.mkdtemp(dir=name))
                for file, text in one.files.items():
                    (folder / file).write_text(text, encoding="utf-8")
                tasks.append(checkov.Task(folder, one.framework, left_out))
            return checkov.scan(checkov.ensure(reporter()), tasks) if tasks else []

        try:
            answers = _answers(rendered, scan)
        except ToolchainError as error:
            raise OperationFailed(
                f"{error}\nWithout --second-opinion, the kit's own rules judge alone."
            ) from None
    return second_opinion.merge(zip(rendered, answers, strict=True))


class Shown(NamedTuple):
    """Files that checkov is shown together, of the plan with this number."""

    plan: int
    framework: str
    files: Mapping[str, str]


def _answers(
    rendered: Sequence["Rendered"], scan: Callable[[Sequence[Shown]], list[dict[str, Any]]]
) -> list[list[tuple[str, dict[str, Any]]]]:
    """By plan, checkov's reports. What it fails on is shown to it again file by file: one odd object is no
    reason to hear nothing of the others."""
    together = [
        Shown(number, framework, files)
        for number, one in enumerate(rendered)
        for framework, files in one.files.items()
    ]
    alone = []
    answers: list[list[tuple[str, dict[str, Any]]]] = [[] for _ in rendered]
    for shown, report in zip(together, scan(together), strict=True):
        if "error" in report:
            alone += [shown._replace(files={file: text}) for file, text in shown.files.items()]
        else:
            answers[shown.plan].append((shown.framework, report))
    for shown, report in zip(alone, scan(alone), strict=True):
        answers[shown.plan].append((shown.framework, report))
    return answers


def to_json(opinion: "Opinion") -> dict[str, Any]:
    """The keys that it adds to the JSON of a verdict."""
    return {
        "second_opinion": [remark.to_json() for remark in opinion.remarks],
        "second_opinion_coverage": opinion.coverage.to_json(),
    }


def text(opinion: "Opinion") -> str:
    """The opinion for a reader: by check, then what it did not speak on."""
    from policies.second_opinion import checks
    from toolchain.checkov import VERSION

    coverage = opinion.coverage
    failed = output.counted(len(opinion.remarks), "failed check")
    all_ = output.counted(coverage.resources, "resource")
    head = f"second opinion, checkov {VERSION}, advisory"
    lines = [f"{head}: {failed}; it had checks for {coverage.judged} of {all_}"]
    titles = {remark.id: remark for remark in opinion.remarks}
    for id, remark in sorted(titles.items()):
        where = [output.resource_name(one.urn) for one in opinion.remarks if one.id == id]
        mark = output.paint(id, "red") + " (refuses)" if remark.refuses else id
        lines.append(f"  {mark} {remark.title}: {_few(where)}")
        if remark.refuses:
            lines.append(f"    The kit takes this check as its own: {checks()['own'][id]}.")
    for counts, said in (
        (coverage.no_check, "no check of it spoke on"),
        (coverage.not_mapped, "not shown to it"),
    ):
        if counts:
            lines.append(f"  {said}: {_few([f'{type} ({count})' for type, count in sorted(counts.items())])}")
    if coverage.replaced:
        lines.append(
            f"  {output.counted(coverage.replaced, 'value')} not known or not visible, shown as `unknown`"
        )
    if coverage.skips:
        lines.append(f"  {output.counted(coverage.skips, 'annotation')} that asked it to look away, ignored")
    lines.append(
        f"  left out, because they ask for the opposite of residency: {', '.join(checks()['left_out'])}"
    )
    return "\n".join(lines)


def _few(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
