"""One resource of a plan: its URN, its type token and its inputs as plain data.

Kubernetes objects have three spellings that mean one thing (`Deployment`, `DeploymentPatch`,
`DeploymentList`) and may come in several API versions: `kind_of` folds them, so that a rule names a kind
once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from policies.model.pods import HOLDER, Holding, holdings, may_hold

if TYPE_CHECKING:
    from policies.walkers.strings import Leaf

#: A resource that reads the outputs of another stack of the same backend.
STACK_REFERENCE = "pulumi:pulumi:StackReference"


@dataclass(frozen=True)
class Resource:
    """What the engine is asked to make. `inputs` holds dict, list, str, bool, int, float, None and markers
    only.

    `dependencies` maps a top-level property to the URNs that it is computed from. `prefix` is set on an
    item of a list object: its paths continue the list's (`items[0].spec`). `read` marks a resource that is
    read, not made. `recorded` False: the engine told of the resource, but its inputs were never seen, so
    nothing can be judged.
    """

    urn: str
    type: str
    name: str
    inputs: Mapping[str, Any]
    provider: str = ""
    parent: str = ""
    custom: bool = True
    read: bool = False
    dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    prefix: str = ""
    recorded: bool = True

    @cached_property
    def kind(self) -> str | None:
        """`group/Kind` of a Kubernetes object without version or twin suffix (`core/Pod`), else None."""
        return kind_of(self.type)

    @cached_property
    def leaves(self) -> "tuple[Leaf, ...] | None":
        """Every string in the inputs with the keys around it, read once; None: too many to judge."""
        from policies.walkers.strings import TooMuch, leaves  # it reads this package's markers

        try:
            return leaves(self.inputs, secret_data=self.kind == "core/Secret")
        except TooMuch:
            return None

    @cached_property
    def holdings(self) -> tuple[Holding, ...]:
        """The pods in it, where its kind is none of the Kubernetes API that holds pods."""
        return holdings(self.inputs) if may_hold(self.kind) and self.leaves is not None else ()

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The kinds as which rules look at it: its own, and that of whatever else holds pods."""
        own = () if self.kind is None else (self.kind,)
        return (*own, HOLDER) if self.holdings else own

    @property
    def package(self) -> str:
        """The package of the type token: `aws` of `aws:s3/bucket:Bucket`; of a provider, the package it
        serves."""
        parts = self.type.split(":")
        return parts[2] if parts[:2] == ["pulumi", "providers"] and len(parts) > 2 else parts[0]

    @property
    def is_provider(self) -> bool:
        return self.type.startswith("pulumi:providers:")

    def items(self) -> Iterator["Resource"]:
        """The objects to judge: the resource itself, or, for a Kubernetes list, each object in it."""
        items = self.inputs.get("items")
        if self.kind is None or not self.type.endswith("List") or not isinstance(items, list):
            yield self
            return
        for index, item in enumerate(items):
            if not isinstance(item, Mapping):
                yield replace(self, inputs={"items": item}, prefix=f"{self.prefix}items[{index}].")
                continue
            version, kind = item.get("apiVersion"), item.get("kind")
            known = isinstance(version, str) and isinstance(kind, str)
            token = kubernetes_type(version, kind) if known else self.type.removesuffix("List")
            inner = replace(self, type=token, inputs=item, prefix=f"{self.prefix}items[{index}].")
            yield from inner.items()


def kubernetes_type(api_version: Any, kind: Any) -> str:
    """The Pulumi token of a Kubernetes object: ("v1", "Pod") -> `kubernetes:core/v1:Pod`."""
    version = str(api_version)
    return f"kubernetes:{version if '/' in version else 'core/' + version}:{kind}"


def kind_of(token: str) -> str | None:
    """`group/Kind` of a token, or None; `kubernetes:apps/v1:DeploymentPatch` is `apps/Deployment`."""
    parts = token.split(":")
    if len(parts) != 3 or parts[0] != "kubernetes":
        return None
    group = parts[1].rpartition("/")[0] or "core"
    kind = parts[2]
    for twin in ("Patch", "List"):
        if kind.endswith(twin) and kind != twin:
            kind = kind.removesuffix(twin)
            break
    return f"{group}/{kind}"
