"""A whole plan: its resources, and what is known of the stack that asks for them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from policies import closed_world
from policies.model.resource import Resource


@dataclass(frozen=True)
class StackFacts:
    """Where a stack keeps its state and the key of its secrets, and its zone's name. None: not told here."""

    name: str | None = None
    backend: str | None = None
    secrets_provider: str | None = None
    zone: str | None = None


@dataclass(frozen=True)
class Plan:
    """`whole` says that nothing is missing: only then may a rule conclude from what is absent.

    `source` names where the plan came from, for messages: the engine, a preview, a state export, manifests.
    """

    resources: tuple[Resource, ...]
    stack: StackFacts = StackFacts()
    whole: bool = True
    source: str = "engine"
    allowed_types: frozenset[str] = field(default_factory=closed_world.allowed)

    @staticmethod
    def of(
        resources: Iterable[Resource],
        stack: StackFacts | None = None,
        *,
        whole: bool = True,
        source: str = "engine",
        allowed_types: frozenset[str] | None = None,
    ) -> "Plan":
        """`allowed_types`: the closed world; the kit's own list where it isn't given."""
        types = closed_world.allowed() if allowed_types is None else allowed_types
        return Plan(tuple(resources), stack or StackFacts(), whole, source, types)

    @cached_property
    def by_urn(self) -> Mapping[str, Resource]:
        return {resource.urn: resource for resource in self.resources}

    @cached_property
    def objects(self) -> tuple[Resource, ...]:
        """Every resource to judge, with Kubernetes lists taken apart."""
        return tuple(item for resource in self.resources for item in resource.items())

    @cached_property
    def by_kind(self) -> Mapping[str, tuple[Resource, ...]]:
        """Kubernetes objects by `group/Kind`."""
        kinds: dict[str, list[Resource]] = {}
        for item in self.objects:
            if item.kind is not None:
                kinds.setdefault(item.kind, []).append(item)
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
