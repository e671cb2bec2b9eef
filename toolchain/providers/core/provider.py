"""What a provider does, in plain Python values: the interface that each package of providers implements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from toolchain.providers.core.diff import Difference
from toolchain.providers.core.errors import Refused
from toolchain.providers.core.shape import Problem

Properties = dict[str, Any]


class Log(Protocol):
    """How a provider speaks to the user, beside the resource that it is about. No text may hold a secret."""

    def info(self, message: str, urn: str = "") -> None: ...
    def warning(self, message: str, urn: str = "") -> None: ...
    def status(self, message: str, urn: str = "") -> None:
        """Shows `message` until the next one; an empty one clears it."""


@dataclass(frozen=True)
class Urn:
    """A resource's name in its stack: `urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME`."""

    text: str

    @property
    def type(self) -> str:
        """The type token, `package:module:Name`, without those of the parents."""
        return self.text.split("::", 3)[2].rsplit("$", 1)[-1]

    @property
    def name(self) -> str:
        """The name that the program gave it."""
        return self.text.split("::", 3)[3]


class Autonaming(Enum):
    """What the stack's settings say of names that the provider would make up."""

    PROPOSE = 0
    ENFORCE = 1
    DISABLE = 2


@dataclass(frozen=True)
class Naming:
    """How to name a resource that has no name: the engine's random seed, and the name that the settings ask
    for.
    """

    seed: bytes = b""
    mode: Autonaming | None = None
    proposed: str = ""


@dataclass(frozen=True)
class Checked:
    """Inputs as they will be used, or what is wrong with them."""

    inputs: Properties
    problems: Sequence[Problem] = ()


@dataclass(frozen=True)
class Compared:
    """What differs between two states of a resource; without `delete_first` the new one is made before the
    old goes.
    """

    differences: Sequence[Difference] = ()
    delete_first: bool = False


@dataclass(frozen=True)
class Read:
    """A resource as it is found; an empty `id` says that it is gone."""

    id: str
    state: Properties = field(default_factory=dict)
    inputs: Properties = field(default_factory=dict)


class Provider:
    """A provider of one package. Calls come from many threads at once; each raises Refused or Incomplete when
    it ends badly. `timeout` is in seconds, 0 for the provider's own. State and inputs may hold the markers of
    values.
    """

    package: str
    version: str

    def schema(self) -> str:
        """The package's schema as JSON text."""
        raise Refused(f"This provider of {self.package} carries no schema: use the published SDK.")

    def check_config(self, urn: Urn, inputs: Properties) -> Checked:
        """Judges the settings of the provider itself; some may be unknown."""
        return Checked(inputs)

    def diff_config(self, urn: Urn, old: Properties, new: Properties) -> Compared:
        """What differs between two settings of the provider; a replacement makes its resources anew."""
        raise NotImplementedError

    def configure(self, settings: Properties) -> None:
        """Takes the settings, all known and without markers; once, before anything below."""
        raise NotImplementedError

    def check(self, urn: Urn, old: Properties, new: Properties, naming: Naming) -> Checked:
        """Completes and judges inputs; `old` is empty for a new resource."""
        raise NotImplementedError

    def diff(
        self,
        urn: Urn,
        id: str,
        state: Properties,
        old: Properties,
        new: Properties,
        ignored: Sequence[str],
    ) -> Compared:
        """What differs between the old and the new inputs of a resource."""
        raise NotImplementedError

    def create(self, urn: Urn, inputs: Properties, timeout: float, preview: bool) -> tuple[str, Properties]:
        """Makes a resource; gives its id (empty in a preview) and state."""
        raise NotImplementedError

    def read(self, urn: Urn, id: str, state: Properties, inputs: Properties) -> Read:
        """Finds a resource; without `state` and `inputs` it is an import or a look-up."""
        raise NotImplementedError

    def update(
        self,
        urn: Urn,
        id: str,
        state: Properties,
        inputs: Properties,
        timeout: float,
        ignored: Sequence[str],
        preview: bool,
    ) -> Properties:
        """Changes a resource in place; gives its new state."""
        raise NotImplementedError

    def delete(self, urn: Urn, id: str, state: Properties, inputs: Properties, timeout: float) -> None:
        """Removes a resource, and returns when it is gone."""
        raise NotImplementedError

    def invoke(self, token: str, arguments: Mapping[str, Any]) -> Properties:
        """Calls a function of the package."""
        raise Refused(f"{token} isn't there: this provider of {self.package} has no functions.")

    def construct(self, type: str) -> None:
        """Makes a component on the provider's side."""
        raise Refused(f"{type} isn't there: this provider of {self.package} has no components.")

    def cancel(self) -> None:
        """Ends every wait soon; what is under way reports how far it got."""
