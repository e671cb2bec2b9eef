"""Keys: who may use them, or copy their material."""

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from facts.zones import Zone
from policies import grants, iam
from policies.rule import Hit, Subject, rule

_CONTROLS = ("HDS EXI 05", "HDS EXI 30", "HIPAA 164.312(a)(2)(iv)", "GDPR 32", "SNC 19.6")

_REPLICATE = "kms:replicatekey"
#: Everything that the account may do with its own key. Of a key of one region no copy can be made.
_EVERYTHING = ("*", "kms:*")


@rule(
    "aws-keys.policy",
    title="A key's policy may let in the zone's accounts only, and nobody to copy it",
    routes=["A27"],
    controls=_CONTROLS,
    fix="Name principals of the zone's accounts, or hold the statement to them (kms:CallerAccount, "
    "aws:SourceAccount); leave out kms:ReplicateKey.",
    pack="protection",
    severity="critical",
    types=["aws:kms/key:Key", "aws:kms/externalKey:ExternalKey", "aws:kms/keyPolicy:KeyPolicy"],
)
def policy(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Whoever may use a key reads what it closes, wherever that is. kms:ReplicateKey copies its material to
    another region. The account's own right to everything (`kms:*`) is how AWS hands a key to it; a role with that
    right gives the key to whom it likes."""
    yield from grants.outsiders(subject, subject["policy"], zone)
    for statement in iam.statements(subject["policy"]):
        whole = all(_is_account(value) for _, value in statement.principals)
        for action in statement.actions if statement.allows else ():
            if action in _EVERYTHING and not whole and not statement.conditions:
                yield subject.refuse(
                    statement.node["Action"],
                    seen="every action",
                    why="whoever it is may give the key away and end it",
                )
            elif action not in _EVERYTHING and fnmatchcase(_REPLICATE, action):
                yield subject.refuse(
                    statement.node["Action"],
                    seen="kms:ReplicateKey",
                    why="it copies the key's material to another region",
                )


def _is_account(principal: str) -> bool:
    """Whether a principal is an account as a whole, which gives rights to its own people by itself."""
    return re.fullmatch(r"(?:arn:[a-z-]+:iam::)?\d{12}(?::root)?", principal) is not None


@rule(
    "aws-keys.grants",
    title="A grant may let in the zone's accounts only",
    routes=["A27"],
    controls=_CONTROLS,
    fix="Grant the key to a role of the zone's accounts.",
    pack="protection",
    severity="critical",
    types=["aws:kms/grant:Grant"],
)
def grant(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A grant gives somebody a key beside its policy. Whoever may retire it decides when those who rely on it
    can no longer read."""
    for key in ("granteePrincipal", "retiringPrincipal"):
        yield from grants.principal(subject, subject[key], zone)
