"""A finding as one message: what was found where, why it matters, what to do."""

import re

from policies.model import Finding, Verdict


def sentence(finding: Finding) -> str:
    """One line for a person; it holds nothing that the finding does not."""
    where = f"{name_of(finding.urn)} {finding.path}".strip()
    verb = "can't be judged" if finding.verdict is Verdict.UNDECIDED else "leaks"
    controls = f"; {', '.join(finding.controls)}" if finding.controls else ""
    rule = f"[{finding.rule}, route {finding.route}{controls}]"
    return f"{where} {verb}: {finding.seen}; {finding.why}. {rule} {finding.fix}"


_PARTS = re.compile(
    r"(?P<where>.*?) (?P<verb>leaks|can't be judged): (?P<seen>.*?); (?P<why>.*)\. "
    r"\[(?P<rule>[^,\]]+), route (?P<route>[^;\]]+)(; (?P<controls>[^\]]+))?\] (?P<fix>.*)",
    re.DOTALL,
)


def finding_of(text: str, urn: str) -> Finding | None:
    """The finding that a sentence says; None for other text."""
    found = _PARTS.fullmatch(text)
    if found is None:
        return None
    return Finding(
        urn=urn,
        path=found["where"].removeprefix(name_of(urn)).strip(),
        rule=found["rule"],
        route=found["route"],
        controls=tuple((found["controls"] or "").split(", ")) if found["controls"] else (),
        seen=found["seen"],
        why=found["why"],
        fix=found["fix"],
        verdict=Verdict.REFUSE if found["verb"] == "leaks" else Verdict.UNDECIDED,
    )


def name_of(urn: str) -> str:
    """`TYPE "NAME"` of a URN, for a reader."""
    parts = urn.split("::")
    if len(parts) < 4:
        return urn or "the stack"
    return f'{parts[2].rpartition("$")[2]} "{parts[3]}"'
