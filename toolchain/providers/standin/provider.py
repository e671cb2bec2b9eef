"""The stand-in: what the engine asks of a provider, answered from an SDK, a data file and nothing else."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from toolchain.providers.core import (
    UNKNOWN,
    Checked,
    Compared,
    Naming,
    Properties,
    Provider,
    Read,
    Refused,
    Urn,
    paths,
)
from toolchain.providers.core.diff import Difference, differences, replacing, without
from toolchain.providers.core.preview import VARIABLE, Preview, asked
from toolchain.providers.core.serve import serve
from toolchain.providers.core.shape import Problem
from toolchain.providers.core.values import Secret, plain
from toolchain.providers.standin import data
from toolchain.providers.standin.data import FunctionData, PackageData, TypeData
from toolchain.providers.standin.inputs import add_name, as_text, bare, naming_of, not_among
from toolchain.providers.standin.kinds import Scalar, one_of, problems
from toolchain.providers.standin.sdk import ResourceType, Sdk
from toolchain.providers.standin.templates import Missing, Scope, mark, render

#: what the engine and the SDKs add to the settings of every provider
_OF_THE_ENGINE = frozenset({"version", "pluginDownloadURL", "pluginChecksums"})


#: computes the results of a function from its arguments, in a scope as templates have it
Compute = Callable[[Properties, Scope], Properties]


class StandIn(Provider):
    """One provider instance of a package."""

    def __init__(
        self,
        package: str,
        version: str,
        sdk: Sdk,
        known: PackageData,
        facts: Mapping[str, Any],
        preview: Preview = Preview.ORDINARY,
        compute: Mapping[str, Compute] | None = None,
    ) -> None:
        """`compute`: functions of the package whose results no template can say, by token."""
        self.package = package
        self.version = version
        self._sdk = sdk
        self._data = known
        self._facts = facts
        self._symbolic = preview is Preview.SYMBOLIC
        self._compute = compute or {}
        self._settings: Properties = {}

    # The provider's own settings

    def check_config(self, urn: Urn, inputs: Properties) -> Checked:
        settings = self._read(inputs)
        return Checked(inputs, [*problems(settings, self._sdk.settings), *self._unsaid(settings)])

    def diff_config(self, urn: Urn, old: Properties, new: Properties) -> Compared:
        return Compared(list(differences(bare(old, new), new)))

    def configure(self, settings: Properties) -> None:
        self._settings = self._read(settings)
        for problem in self._unsaid(self._settings):
            raise Refused(f"The provider {self.package} can't be used: {problem.path[0]} {problem.reason}.")

    def _read(self, given: Properties) -> Properties:
        """Settings as what they are: SDKs hand over all but texts as JSON."""
        fields = self._sdk.settings.fields
        settings = {
            name: plain(value)
            for name, value in given.items()
            if value is not None and name not in _OF_THE_ENGINE and not name.startswith("__")
        }
        for name, value in settings.items():
            if isinstance(value, str) and name in fields and fields[name].kind != Scalar("string"):
                try:
                    settings[name] = json.loads(value)
                except ValueError:
                    continue
        return settings

    def _unsaid(self, settings: Properties) -> Iterator[Problem]:
        for name, wanted in self._data.settings.items():
            value = settings.get(name)
            if value is UNKNOWN:
                yield Problem((name,), f"isn't known yet, and must be: {wanted.why}")
            elif value in (None, "", []):
                yield Problem((name,), f"must be said: {wanted.why}")
            elif wanted.items and isinstance(value, list) and len(value) != wanted.items:
                yield Problem((name,), f"must name {wanted.items}, not {len(value)}: {wanted.why}")
        yield from self._outside(settings)

    def _outside(self, properties: Properties) -> Iterator[Problem]:
        """What properties say that isn't among the facts."""
        for name, wanted in self._data.settings.items():
            value = plain(properties.get(name))
            if wanted.among and isinstance(value, str) and value not in self._facts[wanted.among]:
                yield Problem(
                    (name,), f"is none that is known here; {one_of(self._facts[wanted.among], value)}"
                )

    def _not_there(self, urn: Urn, given: Properties) -> Iterator[Problem]:
        """Whether the place has the service of a resource."""
        scope = self._scope(urn.type, given, "")
        try:
            place, service = scope["place"], scope["service"]
            lacks = service in render(self._data.absent, scope)
        except Missing:
            return
        if lacks:
            yield Problem((), f"{urn.type} can't be made: {place} has no {service}")

    # Resources

    def check(self, urn: Urn, old: Properties, new: Properties, naming: Naming) -> Checked:
        kind, known = self._type(urn)
        given = {name: value for name, value in new.items() if value is not None}
        given |= {name: as_text(given[name]) for name in known.documents if name in given}
        found = list(add_name(given, old, urn, naming_of(kind, known), naming))
        found += problems(given, kind.inputs)
        found += not_among(given, known.choices)
        found += self._outside(given)
        found += self._not_there(urn, given)
        return Checked(given, found)

    def diff(
        self,
        urn: Urn,
        id: str,
        state: Properties,
        old: Properties,
        new: Properties,
        ignored: Sequence[str],
    ) -> Compared:
        kind, known = self._type(urn)
        before = bare(old, new)
        found = [*differences(before, new), *self._moved(urn, state, new)]
        always = [(name,) for name, setting in self._data.settings.items() if setting.among]
        found = replacing(
            without(found, ignored),
            lambda path: any(paths.touches(pattern, path) for pattern in (*known.replace, *always)),
        )
        names = naming_of(kind, known)
        same_name = any(name in new and plain(new[name]) == plain(before.get(name)) for name in names)
        return Compared(found, delete_first=same_name and any(one.replace for one in found))

    def create(self, urn: Urn, inputs: Properties, timeout: float, preview: bool) -> tuple[str, Properties]:
        if not preview:
            self._refuse(urn, "made")
        state = self._state(urn, inputs, {})
        id = plain(state.get("id"))
        return id if isinstance(id, str) else "", state

    def read(self, urn: Urn, id: str, state: Properties, inputs: Properties) -> Read:
        self._refuse(urn, "read")

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
        _, known = self._type(urn)
        moved = {name: self._next(state[name]) for name in known.moving if name in state}
        return self._state(urn, inputs, {**state, "id": id}) | moved

    def _next(self, value: Any) -> Any:
        """What comes after an output that changes with its resource: a number has a next one."""
        found = plain(value)
        return found + 1 if self._symbolic and isinstance(found, int | float) else UNKNOWN

    def delete(self, urn: Urn, id: str, state: Properties, inputs: Properties, timeout: float) -> None:
        self._refuse(urn, "deleted")

    # Functions

    def invoke(self, token: str, arguments: Mapping[str, Any]) -> Properties:
        given = {name: value for name, value in arguments.items() if value is not None}
        function, known = self._sdk.function(token), self._data.functions.get(token)
        if function is None or (known is None and token not in self._compute):
            raise Refused(
                f"{token} can't be answered by the stand-in for {self.package}, which asks no cloud: say the "
                f"value in the stack's settings, or plan with the official plugin ({self._official})."
            )
        for problem in (*problems(given, function.arguments), *self._outside(given)):
            raise Refused(f"{token}: {paths.written(problem.path)} {problem.reason}.")
        scope = self._scope(token, given, mark(f"{token} {json.dumps(given, sort_keys=True)}"))
        if token in self._compute:
            return self._compute[token](given, scope)
        assert known is not None
        return self._answer(token, known, given, scope)

    def _answer(self, token: str, known: FunctionData, given: Properties, scope: Scope) -> Properties:
        takes = known.takes | {name for name, setting in self._data.settings.items() if setting.among}
        if surplus := given.keys() - takes:
            raise Refused(
                f"{token} can't be answered with {', '.join(sorted(surplus))} by a stand-in, which asks no "
                f"cloud: leave that out ({one_of(takes)})."
            )
        for name, expression in known.matching.items():
            if not re.fullmatch(expression, str(given.get(name, ""))):
                raise Refused(f"{token} can't be answered by a stand-in for this {name}: only {expression}.")
        results: Properties = render(known.answer, scope)
        return results | {name: Secret(results[name]) for name in known.secret if name in results}

    # What outputs are

    def _state(self, urn: Urn, given: Properties, old: Properties) -> Properties:
        """The state that a resource would have with these inputs; `old` is what it has."""
        kind, known = self._type(urn)
        named = {name: template for name, template in self._data.any.items() if name in kind.outputs}
        templates = {"id": known.id or self._data.any["id"], **named, **known.outputs}
        kept = {name: value for name, value in old.items() if name not in self._data.known}
        scope = self._scope(urn.type, given, mark(urn.text), urn.name, kept, templates)
        state = dict(given)
        # what isn't in a state is as unknown to the program as what is unknown in it
        always = () if self._symbolic else (name for name, one in kind.outputs.items() if one.always)
        for name in dict.fromkeys((*templates, *always)):
            shown = self._symbolic or name in self._data.known
            value = _completed(given.get(name), templates.get(name), kept.get(name), scope if shown else None)
            if value is not None:
                state[name] = value
        return state

    def _scope(
        self,
        token: str,
        own: Properties,
        digest: str,
        logical: str = "",
        old: Properties | None = None,
        templates: Mapping[str, Any] | None = None,
    ) -> Scope:
        _, module, name = token.split(":")
        constants = {
            "mark": digest,
            "logical": logical,
            "module": module.partition("/")[0],
            "kind": name[:1].lower() + name[1:],
            "settings": self._settings,
            "facts": self._facts,
        }
        layers = (own.get, (old or {}).get, constants.get)
        return Scope(layers).rendered({**(templates or {}), **self._data.variables})

    def _moved(self, urn: Urn, state: Properties, new: Properties) -> Iterator[Difference]:
        """What differs in outputs that the official plugin knows beforehand and the program doesn't say, such
        as the region: the provider's settings have changed."""
        now = self._state(urn, new, state)
        for name in sorted(self._data.known & now.keys() - new.keys()):
            if state.get(name) is not None:
                yield from differences(state[name], now[name], (name,))

    # Types and refusals

    def _type(self, urn: Urn) -> tuple[ResourceType, TypeData]:
        kind = self._sdk.resource(urn.type)
        if kind is None:
            raise Refused(f"{urn.type} isn't there: {self.package} {self.version} has no such resource type.")
        return kind, self._data.types.get(urn.type, TypeData())

    @property
    def _official(self) -> str:
        return f"pulumi plugin install resource {self.package} {self.version}"

    def _refuse(self, urn: Urn, done: str) -> NoReturn:
        raise Refused(
            f'{urn.type} "{urn.name}" can\'t be {done}: the plugin {self.package} here is a stand-in, '
            "which only previews and never reaches a cloud. Install the official one "
            f"(`{self._official}`, or from your mirror), and run this again with the PULUMI_HOME that has it."
        )


def main(package: str, version: str, folder: Path, compute: Mapping[str, Compute] | None = None) -> None:
    """The main function of a stand-in: `folder` holds its data, <package>.yaml; `--facts=FILE` comes from its
    launcher."""
    facts = next(text.removeprefix("--facts=") for text in sys.argv if text.startswith("--facts="))
    known = data.load(folder / f"{package}.yaml")
    sdk = Sdk(f"pulumi_{package.replace('-', '_')}", known.open)
    preview = asked(os.environ.get(VARIABLE) or "ordinary")
    serve(lambda log: StandIn(package, version, sdk, known, data.read(Path(facts)), preview, compute))


def _completed(given: Any, template: Any, old: Any, scope: Scope | None) -> Any:
    """What a property will be: as given, else as it was, else as its template says; unknown without `scope`.
    An object that is given is completed by what the template has besides."""
    if isinstance(given, dict) and isinstance(template, dict):
        before = old if isinstance(old, dict) else {}
        rest = {
            key: _completed(given.get(key), inner, before.get(key), scope) for key, inner in template.items()
        }
        return given | {key: value for key, value in rest.items() if value is not None}
    if given is not None:
        return given
    if old is not None:
        return old
    if scope is None or template is None:
        return UNKNOWN
    try:
        return render(template, scope)
    except Missing:
        return UNKNOWN
