"""What a rule found: a finding says which way out, where, what was seen, why it leaks and how to close it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """Of a finding: a known violation, or one that can't be judged. Both are refused at plan time."""

    REFUSE = "refuse"
    UNDECIDED = "undecided"


@dataclass(frozen=True, order=True)
class Finding:
    """`seen` is a parsed host, network, region, image, flag name or the like; never a secret or free text.

    `faulty`: the rule itself failed, so nothing may waive it.
    """

    urn: str
    path: str
    rule: str
    route: str
    controls: tuple[str, ...]
    seen: str
    why: str
    fix: str
    verdict: Verdict
    faulty: bool = False

    def to_json(self) -> dict[str, Any]:
        """The finding as the versioned contract has it."""
        return {
            "rule": self.rule,
            "route": self.route,
            "controls": list(self.controls),
            "urn": self.urn,
            "path": self.path,
            "seen": self.seen,
            "why": self.why,
            "fix": self.fix,
            "verdict": str(self.verdict),
        }


@dataclass(frozen=True, order=True)
class Waived:
    """A finding that stands for a while, because two people signed for it (policies/waivers.py).

    `notice`: what is to be said of the waiver's end, where that is near or past.
    """

    finding: Finding
    file: str
    owner: str
    approver: str
    reason: str
    expires: str
    notice: str | None

    def to_json(self) -> dict[str, Any]:
        return {
            **self.finding.to_json(),
            "waiver": {
                "file": self.file,
                "owner": self.owner,
                "approver": self.approver,
                "reason": self.reason,
                "expires": self.expires,
                "notice": self.notice,
            },
        }


@dataclass(frozen=True)
class Judgement:
    """All that the rules said of one plan. `not_visible` lists what was masked to this reader, `warnings`
    what rules on trial found."""

    findings: tuple[Finding, ...]
    not_visible: tuple[Finding, ...] = ()
    waived: tuple[Waived, ...] = ()
    warnings: tuple[Finding, ...] = ()

    @property
    def verdict(self) -> str:
        """ "pass" or "refuse"."""
        return "refuse" if self.findings else "pass"

    def to_json(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "findings": [finding.to_json() for finding in self.findings],
            "not_visible": [finding.to_json() for finding in self.not_visible],
            "waived": [waived.to_json() for waived in self.waived],
            "warnings": [finding.to_json() for finding in self.warnings],
        }
