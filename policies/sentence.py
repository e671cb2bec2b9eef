"""A finding as one message: what was found where, why it matters, what to do."""

from policies.model import Finding, Verdict


def sentence(finding: Finding) -> str:
    """One line for a person; it holds nothing that the finding does not."""
    where = f"{name_of(finding.urn)} {finding.path}".strip()
    verb = "can't be judged" if finding.verdict is Verdict.UNDECIDED else "leaks"
    controls = f" {', '.join(finding.controls)}." if finding.controls else ""
    rule = f"[{finding.rule}, route {finding.route}]"
    return f"{where} {verb}: {finding.seen}; {finding.why}. {rule}{controls} {finding.fix}"


def name_of(urn: str) -> str:
    """`TYPE "NAME"` of a URN, for a reader."""
    parts = urn.split("::")
    if len(parts) < 4:
        return urn or "the stack"
    return f'{parts[2].rpartition("$")[2]} "{parts[3]}"'
