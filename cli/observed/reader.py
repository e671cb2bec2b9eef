"""One part of a landing zone as AWS itself tells of it: what was asked, what was seen, what differs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cli.account import Account
from policies.model import Resource

#: how AWS says that somebody may not look
_DENIED: Final = (
    "AccessDenied",
    "AccessDeniedException",
    "AWSOrganizationsNotInUseException",
    "UnauthorizedOperation",
)
#: how it says that there is nothing to look at
_ABSENT: Final = ("NoSuch", "NotFound", "ResourceNotFoundException")


@dataclass
class Part:
    """What was seen of a part. `unread`: calls that AWS refused: of these the owner's word stays alone."""

    key: str
    id: str
    calls: list[str] = field(default_factory=list)
    resources: list[Resource] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


class Reader:
    """Asks AWS for one part, in the part's own region, and keeps the answers as resources of a plan."""

    def __init__(self, account: Account, stack: str, key: str, id: str) -> None:
        self.account, self.part = account, Part(key, id)
        self._stack = stack

    def ask(self, service: str, call: str, **parameters: Any) -> Any:
        """An answer; None where there is nothing of that name, or AWS doesn't let us look (which is kept)."""
        client = self.account.client(service)
        return self._said(service, call, lambda: getattr(client, call)(**parameters))

    def each(self, service: str, call: str, member: str, **parameters: Any) -> list[Any]:
        """All items of an answer, page by page; none where AWS doesn't let us look."""
        client = self.account.client(service)

        def whole() -> Any:
            if client.can_paginate(call):
                return client.get_paginator(call).paginate(**parameters).build_full_result()
            return getattr(client, call)(**parameters)

        found: list[Any] = (self._said(service, call, whole) or {}).get(member) or []
        return found

    def see(
        self, type: str, name: str, inputs: Mapping[str, Any], refers: Mapping[str, str] | None = None
    ) -> str:
        """Keeps what was seen as a resource, and gives its URN. `refers`: properties that mean another one, by
        its URN."""
        urn = f"urn:pulumi:{self._stack}::observed::{type}::{name}"
        told = {key: value for key, value in inputs.items() if value is not None}
        dependencies = {key: (other,) for key, other in (refers or {}).items()}
        self.part.resources.append(
            Resource(urn, type, name, told, provider=provider(self._stack), dependencies=dependencies)
        )
        return urn

    def compare(self, what: str, seen: Any, wanted: Any) -> None:
        """Keeps a difference between what is seen and what is declared, or what the kit asks of such a
        part."""
        if seen != wanted:
            self.differ(f"{what} is {_shown(seen)}, and is to be {_shown(wanted)}")

    def differ(self, sentence: str) -> None:
        self.part.differs.append(sentence)

    def missing(self, sentence: str) -> None:
        """Keeps that something isn't there, where AWS let us look: else nobody knows."""
        if not self.part.unread:
            self.differ(sentence)

    def _said(self, service: str, call: str, ask: Any) -> Any:
        from botocore.exceptions import ClientError

        name = f"{service}:{call}"
        if name not in self.part.calls:
            self.part.calls.append(name)
        try:
            return ask()
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in _DENIED:
                self.part.unread.append(f"{name} ({code})")
                return None
            if any(word in code for word in _ABSENT):
                return None
            raise


def provider(stack: str) -> str:
    """The reference by which what is seen names its provider."""
    return f"urn:pulumi:{stack}::observed::pulumi:providers:aws::account::{stack}"


def names(items: Sequence[Mapping[str, Any]], key: str) -> list[Any]:
    """A member of each item that has it."""
    return [item[key] for item in items if key in item]


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(sorted(map(str, value))) or "none"
    return "absent" if value is None else str(value)
