"""The provider of a review: it previews objects against the published API, and contacts no cluster at all.

A preview is *symbolic*, with a sentinel for what only a cluster would tell, or *ordinary*, where that is
unknown. Outside a preview everything is refused.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import yaml

from toolchain.providers.core import (
    Checked,
    Log,
    Naming,
    Properties,
    Provider,
    Read,
    Refused,
    Urn,
)
from toolchain.providers.core.diff import Difference
from toolchain.providers.core.preview import VARIABLE, Preview, asked
from toolchain.providers.core.shape import Problem
from toolchain.providers.core.values import has_unknown, plain
from toolchain.providers.kubernetes import objects, settings
from toolchain.providers.kubernetes.discovery import Served
from toolchain.providers.kubernetes.objects import Kind, Object
from toolchain.providers.kubernetes.provider import DEFAULT_NAMESPACE, KubernetesProvider
from toolchain.providers.kubernetes.published import Published
from toolchain.providers.standin.kinds import one_of
from toolchain.providers.standin.templates import mark

_API = "--api="


class Reviewer(KubernetesProvider):
    """One provider instance of a review: the settings name a cluster, which need not be there."""

    def __init__(self, log: Log, api: Published, preview: Preview) -> None:
        super().__init__(log)
        self._api = api
        self._symbolic = preview is Preview.SYMBOLIC
        self._unchecked: set[Kind] = set()

    def configure(self, settings_given: Properties) -> None:
        self._settings = settings.known(settings_given, os.environ.get("KUBECONFIG", ""))
        self._namespace = self._settings.namespace or DEFAULT_NAMESPACE

    def check(self, urn: Urn, old: Properties, new: Properties, naming_rules: Naming) -> Checked:
        checked = super().check(urn, old, new, naming_rules)
        kind = objects.kind_of(plain(checked.inputs))
        if self._api.find(kind):
            return Checked(checked.inputs, list(self._api.problems(kind, checked.inputs)))
        return Checked(checked.inputs, [*checked.problems, *self._unknown_kind(urn, kind)])

    def create(self, urn: Urn, inputs: Properties, timeout: float, preview: bool) -> tuple[str, Properties]:
        if not preview:
            self._refuse(urn, "made")
        obj: Object = objects.dashed(plain(inputs))
        if not self._symbolic or has_unknown(obj.get("metadata")):
            return "", inputs
        return objects.id_of(obj), self._previewed(urn, inputs, {})

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
        if not preview:
            self._refuse(urn, "changed")
        return self._previewed(urn, inputs, state) if self._symbolic else inputs

    def read(self, urn: Urn, id: str, state: Properties, inputs: Properties) -> Read:
        self._refuse(urn, "read")

    def delete(self, urn: Urn, id: str, state: Properties, inputs: Properties, timeout: float) -> None:
        self._refuse(urn, "deleted")

    def cancel(self) -> None:
        self._stopped.set()

    def _previewed(self, urn: Urn, inputs: Properties, state: Properties) -> Properties:
        """The state that an object would have; what its cluster has told of it before stays."""
        obj: Object = objects.dashed(plain(inputs))
        told = objects.metadata(plain(state))
        sentinel = mark(urn.text)
        server = {key: told.get(key) or sentinel for key in ("uid", "resourceVersion")}
        live = obj | {"metadata": objects.metadata(obj) | server}
        return self._state(self._request(urn, state, obj, inputs), live, inputs, state)

    def _find(self, kind: Kind, obj: Object) -> Served | None:
        namespaced = _others().get(f"{kind.api_version}/{kind.name}")
        return self._api.find(kind) or (None if namespaced is None else Served(kind, "", namespaced))

    def _ask(
        self,
        urn: Urn,
        state: Properties,
        after: Object,
        marked: Properties,
        found: list[Difference],
        ignored: Sequence[str],
    ) -> list[Difference]:
        return found

    def _unknown_kind(self, urn: Urn, kind: Kind) -> Iterator[Problem]:
        if f"{kind.api_version}/{kind.name}" in _others() or (kind.group, kind.name) in self._planned:
            with self._lock:
                told, self._unchecked = kind in self._unchecked, self._unchecked | {kind}
            if not told:
                self._log.warning(
                    f"Objects of {kind.api_version} {kind.name} are not checked in a review: their schema is "
                    "with the controller that brings them.",
                    urn.text,
                )
        elif versions := self._api.versions(kind):
            reason = f"has no {kind.name} in Kubernetes {self._api.release}; {one_of(versions)}"
            yield Problem(("apiVersion",), reason)
        else:
            yield Problem(
                ("kind",),
                f"is none that Kubernetes {self._api.release} has in {kind.api_version}, and none of a "
                "controller's that the kit knows",
            )

    def _refuse(self, urn: Urn, done: str) -> NoReturn:
        raise Refused(
            f'{urn.type} "{urn.name}" can\'t be {done} in a review, which contacts no cluster '
            f"({VARIABLE} is set): leave it to `sovereign up`, or unset the variable."
        )


def chosen(arguments: Sequence[str], text: str) -> Callable[[Log], Provider]:
    """The provider of a review that a plugin's arguments and the variable's text ask for; ends the process
    where they can't be used."""
    preview = asked(text)
    file = next((text.removeprefix(_API) for text in arguments if text.startswith(_API)), None)
    if file is None:
        sys.exit(
            f"{VARIABLE} is set, and this plugin is not one of a review: run `sovereign plan`, or unset it."
        )
    api = Published(Path(file))
    return lambda log: Reviewer(log, api, preview)


@cache
def _others() -> Mapping[str, Any]:
    found: Mapping[str, Any] = yaml.safe_load(Path(__file__).with_name("others.yaml").read_text())
    return found
