"""A whole plan: its resources, and what is known of the stack that asks for them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

from facts.sentinels import digest
from facts.zones import Declared
from policies import closed_world
from policies.model.resource import Resource

#: The properties by which resources are named by others.
_NAMES = ("bucket", "name", "identifier", "clusterIdentifier", "vaultName", "streamName", "alias")


@dataclass(frozen=True)
class Runner:
    """The machine that plans and applies: its host name, and what a CI service calls it.

    `hosted`: whether it is the service's own machine rather than one of the owner's. None: not told.
    """

    names: tuple[str, ...] = ()
    service: str | None = None
    hosted: bool | None = None


@dataclass(frozen=True)
class Origin:
    """Where a part of what runs is fetched from, or kept: a git remote. `pinned`: by a whole commit."""

    part: str
    url: str
    pinned: bool = True


@dataclass(frozen=True)
class UsedPart:
    """A part of the ground that somebody else keeps, by its key in the settings: no plan shows it, so its
    owner answers for what `routes` ask of it. `declared` is empty where the word names nobody or no dates."""

    key: str
    routes: tuple[str, ...]
    declared: tuple[Declared, ...] = ()


@dataclass(frozen=True)
class StackFacts:
    """What is known of a stack and of the run that plans it. None: not told here.

    `environments`: what the settings import from Pulumi ESC. `engine`: the variables that steer the engine
    and its providers. `lowered`: rules that the policy configuration lowers or switches off. `used`: parts of
    the ground that somebody else keeps.
    """

    name: str | None = None
    backend: str | None = None
    secrets_provider: str | None = None
    zone: str | None = None
    environments: tuple[str, ...] = ()
    runner: Runner | None = None
    origins: tuple[Origin, ...] = ()
    engine: Mapping[str, str] | None = None
    lowered: tuple[str, ...] = ()
    used: tuple[UsedPart, ...] = ()

    @property
    def declared(self) -> tuple[Declared, ...]:
        """What the owners of used parts answer for."""
        return tuple(word for part in self.used for word in part.declared)


@dataclass(frozen=True)
class Plan:
    """`whole` says that nothing is missing: only then may a rule conclude from what is absent.

    `source` names where the plan came from, for messages: the engine, a preview, a state export, manifests.
    `at`: the day on which it is judged, for what ends on a day. `unchanged`: URNs of what is as was released.
    """

    resources: tuple[Resource, ...]
    stack: StackFacts = StackFacts()
    whole: bool = True
    source: str = "engine"
    allowed_types: frozenset[str] = field(default_factory=closed_world.allowed)
    at: date = field(default_factory=date.today)
    unchanged: frozenset[str] = frozenset()

    @staticmethod
    def of(
        resources: Iterable[Resource],
        stack: StackFacts | None = None,
        *,
        whole: bool = True,
        source: str = "engine",
        allowed_types: frozenset[str] | None = None,
        at: date | None = None,
        unchanged: Iterable[str] = (),
    ) -> "Plan":
        """`allowed_types`: the closed world; the kit's own list where it isn't given."""
        types = closed_world.allowed() if allowed_types is None else allowed_types
        return Plan(
            tuple(resources),
            stack or StackFacts(),
            whole,
            source,
            types,
            at or date.today(),
            frozenset(unchanged),
        )

    @cached_property
    def by_urn(self) -> Mapping[str, Resource]:
        return {resource.urn: resource for resource in self.resources}

    @cached_property
    def objects(self) -> tuple[Resource, ...]:
        """Every resource to judge, with Kubernetes lists taken apart."""
        return tuple(item for resource in self.resources for item in resource.items())

    @cached_property
    def by_type(self) -> Mapping[str, tuple[Resource, ...]]:
        """Resources by type token."""
        types: dict[str, list[Resource]] = {}
        for item in self.objects:
            types.setdefault(item.type, []).append(item)
        return {token: tuple(items) for token, items in types.items()}

    @cached_property
    def by_mark(self) -> Mapping[str, Resource]:
        """Resources by what marks them in the sentinels of a symbolic preview (facts/sentinels.py)."""
        return {digest(resource.urn): resource for resource in self.resources}

    @cached_property
    def by_name(self) -> Mapping[str, tuple[Resource, ...]]:
        """Resources of clouds by the name that others refer to them by."""
        names: dict[str, list[Resource]] = {}
        for resource in self.resources:
            if resource.kind is not None or resource.is_provider:
                continue
            for key in _NAMES:
                value = resource.inputs.get(key)
                # what configures a bucket is told its name, and isn't it
                if isinstance(value, str) and (key != "bucket" or resource.type == "aws:s3/bucket:Bucket"):
                    names.setdefault(value, []).append(resource)
        return {name: tuple(found) for name, found in names.items()}

    @cached_property
    def by_kind(self) -> Mapping[str, tuple[Resource, ...]]:
        """Kubernetes objects by `group/Kind`, and as HOLDER those of other kinds that hold pods."""
        kinds: dict[str, list[Resource]] = {}
        for item in self.objects:
            for kind in item.kinds:
                kinds.setdefault(kind, []).append(item)
        return {kind: tuple(items) for kind, items in kinds.items()}

    @cached_property
    def by_object(self) -> Mapping[tuple[str, str, str], Resource]:
        """Kubernetes objects by `group/Kind`, namespace ("default" where none is given) and name."""
        found: dict[tuple[str, str, str], Resource] = {}
        for item in self.objects:
            metadata = item.inputs.get("metadata")
            if item.kind is None or not isinstance(metadata, Mapping):
                continue
            name, namespace = metadata.get("name"), metadata.get("namespace", "default")
            if isinstance(name, str) and isinstance(namespace, str):
                found[item.kind, namespace, name] = item
        return found

    @cached_property
    def by_parent(self) -> Mapping[str, tuple[Resource, ...]]:
        children: dict[str, list[Resource]] = {}
        for resource in self.resources:
            children.setdefault(resource.parent, []).append(resource)
        return {parent: tuple(items) for parent, items in children.items()}
