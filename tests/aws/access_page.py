"""The table of access as a person reads it: docs/aws-access.md."""

from collections.abc import Mapping, Sequence

from facts.site import ROOT
from tests.aws import access

PAGE = ROOT / "docs" / "aws-access.md"

_INTRODUCTION = """\
# Who may do what on AWS

Made by `make access` from `tests/aws/access.yaml` and the policies that `aws-paris-hds` would make where it
makes everything itself. Each line was held against an evaluator of IAM policies, and a test holds the page
current: {deeds} deeds, {outcomes} outcomes. What IAM doesn't decide isn't here: who may do what in the
cluster, what the network lets through, what AWS itself can do.

## Who is who

People stand here with every right that IAM gives, so that what holds them is never that nobody gave them any.
"""
_HOLDS: Mapping[str, str] = {
    access.ENDPOINT: "what the network's endpoints lead to",
    "bucket": "the bucket's own policy, whatever rights somebody has",
    "key": "the key's own policy, whatever rights somebody has",
    "trust": "whom the role trusts",
    "image": "the repository's own policy",
    access.RIGHTS: "they were given none",
    access.GUARD: "the organisation's policy alone, which its owner attaches",
    access.LOCK: "no policy, but a lock in mode COMPLIANCE, which AWS opens for nobody",
}


def page() -> str:
    """The table as a person reads it, with the digest of what was evaluated."""
    outcomes = sum(len(access.expected(line)) for line in access.DEEDS)
    lines = [
        _INTRODUCTION.format(deeds=len(access.DEEDS), outcomes=outcomes),
        "| name | is |",
        "|---|---|",
        *(
            f"| {name} | {given['is']} |"
            for name, given in {**access.TABLE["people"], **access.TABLE["services"]}.items()
        ),
        "",
        "## What holds somebody",
        "",
        "The first that does; often there is a second behind it.",
        "",
        "| word | is |",
        "|---|---|",
        *(f"| {word} | {what} |" for word, what in _HOLDS.items()),
    ]
    for topic, deeds in access.TABLE["deeds"].items():
        lines += ["", f"## {topic}", "", "| to | may | may not, held by |", "|---|---|---|"]
        lines += [_row(line) for line in deeds]
    return "\n".join(
        [*lines, "", f"Evaluated with iam-simulate {access.VERSION}: sha256 {access.digest()}", ""]
    )


def _row(line: access.Line) -> str:
    may = "**nobody**" if not line["may"] else ", ".join(line["may"])
    everybody = len(line["not"]) == 1 and not line["may"]
    held = "; ".join(
        f"{word}: {'everybody' if everybody else _people(who)}" for word, who in line["not"].items()
    )
    note = f" ({line['note']})" if "note" in line else ""
    return f"| {line['deed']}{note} | {may} | {held} |"


def _people(who: str | Sequence[str]) -> str:
    return ", ".join("all others" if one == access.OTHERS else one for one in access.listed(who))
