"""Waivers: the only way in which a finding may stand. Each is a file `waivers/<name>.yaml` of the site:

    rule: images.pinned
    urn: "urn:pulumi:lyon::sovereign::kubernetes:apps/v1:Deployment::llm-serving/vllm-*"
    path: spec.template.*                 # left out: wherever in it
    owner: Ana Moreau                     # who asks and answers for it
    approver: Jean Petit
    reason: The vendor's fix is due on 15 January; the image was scanned by hand.
    asked: 2026-11-25
    expires: 2026-12-20
    signatures: {Ana Moreau: ..., Jean Petit: ...}     # `sovereign waiver sign`

Both sign all that stands above with keys of their own, which the zone names (`signers`); the approver's key
isn't the owner's. How long it may hold goes by the rule's severity, and some rules can't be waived. A waiver
that has ended stands for nothing, except that a resource which is as it was released may stay and is warned
of, so that going back to the last approved release is always possible.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from facts.zones import Zone
from policies.documents import of_yaml
from policies.model import Finding, Judgement, Plan, Waived
from policies.rule import Rule

if TYPE_CHECKING:  # else where it is used: most sites have no waiver, and every pack waits for its imports
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

#: how many days a waiver may hold, by its rule's severity
LONGEST = {"critical": 30, "high": 90, "medium": 180}

#: how many days ahead the end of a waiver is told
AHEAD = timedelta(days=30)

_PARTS = 4  # of a URN: urn:pulumi:STACK, PROJECT, TYPE, NAME


class WaiverError(ValueError):
    """A waiver that can't be used; the message says which file and what to do."""


class Waiver(BaseModel):
    """One waiver, as its file has it."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    rule: Annotated[str, Field(min_length=1)]
    urn: Annotated[str, Field(min_length=1)]
    path: Annotated[str, Field(min_length=1)] = "*"
    owner: Annotated[str, Field(min_length=1)]
    approver: Annotated[str, Field(min_length=1)]
    reason: Annotated[str, Field(min_length=10)]
    asked: date
    expires: date
    signatures: dict[str, str] = Field(default_factory=dict)

    def signed_bytes(self) -> bytes:
        """What both sign: everything but the signatures, as canonical JSON (RFC 8785 for these values)."""
        data = self.model_dump(mode="json", exclude={"signatures"})
        return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    def covers(self, finding: Finding) -> bool:
        """Whether the finding is one that this waiver is for, by rule, URN and path."""
        return (
            finding.rule == self.rule
            and not finding.faulty
            and _matches(self.urn, finding.urn)
            and fnmatchcase(finding.path, self.path)
        )


@dataclass(frozen=True)
class Approved:
    """A waiver that two people signed, where it came from, and whether its day has passed."""

    waiver: Waiver
    file: str
    ended: bool


def load(folder: Path, zone: Zone, rules: Iterable[Rule], at: date) -> tuple[Approved, ...]:
    """The waivers in a site's folder `waivers`. Raises WaiverError for the first that doesn't hold."""
    known = {rule.id: rule for rule in rules}
    return tuple(_approved(file, zone, known, at) for file in files(folder))


def files(folder: Path) -> list[Path]:
    """The waivers' files of a site."""
    return sorted((folder / "waivers").glob("*.yaml"))


def read(file: Path) -> Waiver:
    """A waiver's file, whether or not anybody has signed it. Raises WaiverError."""
    try:
        [data] = of_yaml(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WaiverError(f"The waiver {file} can't be read ({type(error).__name__}): correct it.") from None
    return parse(data, file)


def parse(data: object, file: Path) -> Waiver:
    """A waiver from what its file holds or is to hold. Raises WaiverError."""
    try:
        waiver = Waiver.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise WaiverError(
            f"{file}: {key}: {first['msg']}; the keys are {', '.join(Waiver.model_fields)}."
        ) from None
    if waiver.urn.count("::") != _PARTS - 1 or not waiver.urn.startswith("urn:pulumi:"):
        raise WaiverError(
            f"{file}: urn: name the resource as urn:pulumi:STACK::PROJECT::TYPE::NAME; * stands for any text "
            "within one of the four."
        )
    return waiver


def key_of(pem: str) -> "Ed25519PublicKey | None":
    """A public key in PEM, where it is one of ed25519."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem.encode())
    except ValueError:
        return None
    return key if isinstance(key, Ed25519PublicKey) else None


def problem(waiver: Waiver, zone: Zone, rules: Mapping[str, Rule], at: date) -> str | None:
    """Why a waiver can't stand, in a sentence; None where it can. That it has ended is no such reason."""
    rule = rules.get(waiver.rule)
    if rule is None:
        return f"rule: there is no rule {waiver.rule!r}: `sovereign policy list` has them all"
    if not rule.waivable:
        return f"rule: {rule.id} can't be waived: without it the others prove nothing. Mend the plan"
    longest = LONGEST[rule.severity]
    if not waiver.asked <= waiver.expires <= waiver.asked + timedelta(days=longest):
        return (
            f"expires: a waiver of {rule.id}, whose severity is {rule.severity}, holds for {longest} days "
            f"from `asked` at most, until {waiver.asked + timedelta(days=longest)}"
        )
    if waiver.asked > at:
        return f"asked: {waiver.asked} is yet to come"
    if waiver.owner == waiver.approver:
        return "approver: somebody else than the owner has to approve"
    keys = {name: key_of(zone.signers.get(name, "")) for name in (waiver.owner, waiver.approver)}
    for name, key in keys.items():
        if key is None:
            return f"{name}: zone {zone.name} has no ed25519 public key of theirs in `signers`"
        if not _signed(waiver, name, key):
            return f"signatures: {name} has not signed it as it is: `sovereign waiver sign`"
    owner, approver = keys.values()
    assert owner is not None
    assert approver is not None
    if owner.public_bytes_raw() == approver.public_bytes_raw():
        return "approver: owner and approver have one key, so one of them signed for both"
    return None


def apply(judgement: Judgement, approved: Iterable[Approved], plan: Plan) -> Judgement:
    """The judgement with what is waived apart. `plan.unchanged` tells what an ended waiver still spares."""
    waivers = tuple(approved)
    if not waivers:
        return judgement
    standing: list[Finding] = []
    waived: list[Waived] = list(judgement.waived)
    for finding in judgement.findings:
        found = sorted((one for one in waivers if one.waiver.covers(finding)), key=lambda one: one.ended)
        if not found or (found[0].ended and finding.urn not in plan.unchanged):
            standing.append(finding)
        else:
            waived.append(_told(finding, found[0], plan.at))
    return replace(judgement, findings=tuple(standing), waived=tuple(waived))


def _told(finding: Finding, by: Approved, at: date) -> Waived:
    waiver = by.waiver
    left = waiver.expires - at
    notice = None
    if by.ended:
        notice = f"ended on {waiver.expires}; the resource may stay as it is and may not change"
    elif left <= AHEAD:
        notice = f"ends in {left.days} days, on {waiver.expires}"
    return Waived(
        finding, by.file, waiver.owner, waiver.approver, waiver.reason, waiver.expires.isoformat(), notice
    )


def _approved(file: Path, zone: Zone, rules: Mapping[str, Rule], at: date) -> Approved:
    waiver = read(file)
    wrong = problem(waiver, zone, rules, at)
    if wrong is not None:
        raise WaiverError(f"{file}: {wrong}.")
    return Approved(waiver, file.name, waiver.expires < at)


def _signed(waiver: Waiver, name: str, key: "Ed25519PublicKey") -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(base64.b64decode(waiver.signatures.get(name, ""), validate=True), waiver.signed_bytes())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def _matches(pattern: str, urn: str) -> bool:
    """Part by part, so that `*` in one part never reaches into the next. The program, which knows no stack
    and no parent yet, gives `::::TYPE::NAME`."""
    wanted, found = pattern.split("::", _PARTS - 1), urn.split("::", _PARTS - 1)
    if len(found) != _PARTS:
        return False
    if not found[0] and not found[1]:
        wanted = ["", "", re.sub(r"^.*\$", "", wanted[2]), wanted[3]]
    return all(fnmatchcase(part, glob) for part, glob in zip(found, wanted, strict=True))
