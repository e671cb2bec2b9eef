"""Names at services without a region: what is written there is kept in the United States and seen by many."""

import re
from collections.abc import Iterator

from facts.zones import Zone
from policies.rule import Hit, Subject, rule
from policies.walkers import context

_MAIL = re.compile(r"(?<![\w.+-])(?!git@)[\w.+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}(?![\w-])")
#: The number of social security in the United States: never 000, 666 or 9xx, 00, 0000
#: (ssa.gov/employer/randomization.html)
_SSN = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")
#: The French number (NIR): sex, year, month, place of birth, order, key (INSEE; decree 82-103)
_NIR = re.compile(
    r"(?<![0-9A-Za-z])([12](?:[ .-]?\d{2}){2}[ .-]?(?:\d{2}|2[AB])(?:[ .-]?\d{3}){2})[ .-]?(\d{2})"
    r"(?![0-9A-Za-z])"
)
#: The number of a patient, of a stay or of a file, beside the word for it in English or French
_NUMBERED = re.compile(
    r"(?<![A-Za-z])(?:patients?|mrn|ipp|iep|nir|ssn|nhs|dossier)(?:[ _-]?(?:id|no|nr|number))?"
    r"[ :=/#._-]*(\d{4,})(?!\d)",
    re.IGNORECASE,
)
_YEAR = re.compile(r"(?:19|20)\d\d")
_BORN = frozenset({"birth", "birthdate", "birthday", "dob", "naissance"})


@rule(
    "aws-names.personal",
    title="No personal data in names, tags and descriptions of global services",
    routes=["A54"],
    controls=("HDS EXI 28", "HIPAA 164.312(a)(1)", "GDPR 5(1)(c)", "GDPR 44-46", "SNC 19.2"),
    fix="Name it by what it does; keep who or what it is about in the zone.",
    pack="residency",
    types=[
        *("aws:account/*", "aws:budgets/*", "aws:iam/*", "aws:networkmanager/*", "aws:organizations/*"),
        "aws:route53/*",
    ],
)
def personal(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """IAM, Organizations, Route 53 and their like are run from Virginia, whatever the region of the provider,
    and names and tags are in every bill and log. What looks like a mail address, the number of a person or of
    a patient may not be there. People whom the zone names are known."""
    resource = subject.resource
    assert resource is not None
    given = [("", "", resource.name), *((leaf.key, leaf.path, leaf.value) for leaf in resource.leaves or ())]
    for key, path, value in given:
        seen = _about(key, value, zone) if isinstance(value, str) else None
        if seen:
            yield subject.refuse(path, seen=seen, why="it is kept outside the zone, and seen by many")


def _about(key: str, value: str, zone: Zone) -> str | None:
    """What of a person a text looks like, with the key beside it; None for nothing."""
    if any(zone.person(found) is None for found in _MAIL.findall(value)):
        return "a mail address"
    if _SSN.search(value) or any(_is_nir(*found) for found in _NIR.findall(value)):
        return "the number of a person"
    if not _BORN.isdisjoint(context.words(key)) and re.search(r"\d", value):
        return "a date of birth"
    for number in _NUMBERED.findall(f"{key} {value}"):
        account = any(zone.allows_account(provider, number) for provider in zone.accounts)
        if not account and not _YEAR.fullmatch(number):
            return "the number of a patient"
    return None


def _is_nir(body: str, key: str) -> bool:
    """Whether the key of a number is the one that its digits ask for; 2A and 2B (Corsica) count as 19 and
    18."""
    digits = re.sub(r"[ .-]", "", body).replace("2A", "19").replace("2B", "18")
    return int(key) == 97 - int(digits) % 97
