"""How a rule is written: a pure function over one resource or one plan, with what it is for beside it.

    @rule("services.external-name", routes=["K11"], kinds=["core/Service"], pack="egress", ...)
    def external_name(subject: Subject, zone: Zone) -> Iterator[Hit]:
        if subject["spec"]["type"].text() == "ExternalName":
            yield subject.refuse(...)

Nothing here does I/O or knows the engine.
"""

import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, Literal, TypeVar, cast

from facts.zones import Zone
from policies.model import Node, Plan, Resource, Touch, Verdict

T = TypeVar("T")

#: "every": the rule is in each selection, because without it the others prove nothing.
Pack = Literal["every", "residency", "egress", "protection"]
Severity = Literal["critical", "high", "medium"]


@dataclass(frozen=True)
class Hit:
    """What a rule yields; the judge completes it to a finding. `route` None means the rule's first."""

    path: str
    seen: str
    why: str
    verdict: Verdict = Verdict.REFUSE
    route: str | None = None
    fix: str | None = None
    urn: str | None = None


@dataclass
class Subject:
    """What a rule looks at: one resource of a plan (None for a rule about the plan), and what it touched.
    `asked`: it read something of the plan besides the resource."""

    _plan: Plan
    resource: Resource | None = None
    touched: dict[str, Touch] = field(default_factory=dict)
    asked: bool = False
    _made: dict[Hashable, tuple[Any, dict[str, Touch], bool]] = field(default_factory=dict, repr=False)

    @property
    def plan(self) -> Plan:
        self.asked = True
        return self._plan

    @cached_property
    def inputs(self) -> Node:
        """The root of the resource's inputs."""
        assert self.resource is not None, "a rule about the whole plan has no inputs of its own"
        return Node(self.resource.inputs, "", self.touched)

    def __getitem__(self, key: str) -> Node:
        return self.inputs[key]

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` gives, made once for all rules that look at the resource. What it could not read, and
        whether it asked for the plan, is remembered for each of them."""
        found = self._made.get(key)
        if found is None:
            before = dict(self.touched), self.asked
            self.touched.clear()
            self.asked = False
            made = make()
            found = self._made[key] = made, dict(self.touched), self.asked
            self.touched.clear()
            self.touched.update(before[0])
            self.asked = before[1]
        known, touched, asked = found
        for path, touch in touched.items():
            self.touched.setdefault(path, touch)
        if asked:
            self.asked = True
        return cast(T, known)

    def refuse(
        self,
        where: Node | str,
        *,
        seen: str,
        why: str,
        route: str | None = None,
        fix: str | None = None,
        urn: str | None = None,
    ) -> Hit:
        """A known violation at `where`. `seen` must not hold a secret or free text."""
        return Hit(_path(where), seen, why, Verdict.REFUSE, route, fix, urn)

    def undecided(
        self, where: Node | str, *, seen: str, why: str, route: str | None = None, urn: str | None = None
    ) -> Hit:
        """Something that can't be judged at `where`, so is refused."""
        return Hit(_path(where), seen, why, Verdict.UNDECIDED, route, None, urn)


@dataclass(frozen=True)
class Cel:
    """What of a rule the API server itself can hold an object to: an expression in CEL that is true of what
    may be. `kinds` are those of the rule unless given. `{networks}`, `{registries}`, `{hosts}` and
    `{internal}` stand for lists of the zone; `variables.pod`, `.containers` and `.engines` for what
    admission.py defines.
    """

    expression: str
    kinds: tuple[str, ...] = ()


Judge = Callable[[Subject, Zone], Iterator[Hit]]


@dataclass(frozen=True, eq=False)
class Rule:
    """A rule and what there is to say of it; `doc` (the function's docstring) explains it to a reader.

    `trial`: it only warns, in the release that brings it. `scope` "resource": called for each resource that
    `kinds`/`types` select. "plan": called once. `needs_whole`: concludes from what is absent, so it applies to
    whole plans only. `unwaivable`: no waiver covers it.
    """

    id: str
    title: str
    routes: tuple[str, ...]
    controls: tuple[str, ...]
    fix: str
    pack: Pack
    severity: Severity
    scope: Literal["resource", "plan"]
    needs_whole: bool
    kinds: tuple[str, ...]
    types: tuple[str, ...]
    judge: Judge
    cel: tuple[Cel, ...] = ()
    unwaivable: bool = False
    trial: bool = False

    @property
    def waivable(self) -> bool:
        """Whether two people may let a finding of it stand for a while (policies/waivers.py)."""
        return not self.unwaivable and (self.pack, self.severity) != ("every", "critical")

    @property
    def doc(self) -> str:
        return " ".join((self.judge.__doc__ or "").split())

    @cached_property
    def _patterns(self) -> tuple[str, ...]:
        return tuple(pattern for pattern in (*self.kinds, *self.types) if any(c in pattern for c in "*?["))

    @cached_property
    def _exact(self) -> frozenset[str]:
        return frozenset((*self.kinds, *self.types)) - frozenset(self._patterns)

    def selects(self, *names: str) -> bool:
        """Whether the rule looks at a resource that has one of these as its type token or kind."""
        return not self._exact.isdisjoint(names) or any(
            fnmatchcase(name, pattern) for name in names for pattern in self._patterns
        )


REGISTRY: dict[str, Rule] = {}


def rule(
    id: str,
    *,
    title: str,
    routes: Sequence[str],
    controls: Sequence[str],
    fix: str,
    pack: Pack,
    severity: Severity = "high",
    scope: Literal["resource", "plan"] = "resource",
    needs_whole: bool = False,
    kinds: Sequence[str] = (),
    types: Sequence[str] = (),
    cel: Sequence[Cel] = (),
    unwaivable: bool = False,
    trial: bool = False,
) -> Callable[[Judge], Judge]:
    """Registers a function as a rule. Raises ValueError for an id that is taken or malformed."""

    def register(function: Judge) -> Judge:
        if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", id):
            raise ValueError(f"rule id {id!r} is not of the form family.name")
        if id in REGISTRY:
            raise ValueError(f"rule id {id!r} is taken by {REGISTRY[id].judge.__module__}")
        REGISTRY[id] = Rule(
            id,
            title,
            tuple(routes),
            tuple(controls),
            fix,
            pack,
            severity,
            scope,
            needs_whole,
            tuple(kinds),
            tuple(types),
            function,
            tuple(cel),
            unwaivable,
            trial,
        )
        return function

    return register


def _path(where: Node | str) -> str:
    return where if isinstance(where, str) else where.path
