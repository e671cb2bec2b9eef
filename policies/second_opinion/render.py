"""A plan in the forms that checkov reads: a YAML file for each Kubernetes object, one Terraform plan, one
template for each Azure resource. Which type takes which form stands in types.yaml; what takes none is told,
never dropped.
"""

import json
import re
from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from facts.reading import read
from policies.model import Plan, Resource, Sealed, is_marker

_TYPES = Path(__file__).with_name("types.yaml")

#: a property of the annotations by which an object asks checkov to look away
SKIPS = re.compile(r"(checkov|bridgecrew|cortex)\.io/skip")
#: stands for what isn't known
UNTOLD = "unknown"


@dataclass(frozen=True)
class Rendered:
    """`files`: checkov's framework -> name of a file -> its text. `resources`: framework, and the name of a
    file or (Terraform) of a resource in it -> the resource. `not_mapped` counts by type what has no form.

    `replaced` counts values that aren't known, not visible or secret; `skips` annotations that were left out.
    """

    files: dict[str, dict[str, str]] = field(default_factory=dict)
    resources: dict[tuple[str, str], Resource] = field(default_factory=dict)
    not_mapped: Counter[str] = field(default_factory=Counter)
    replaced: int = 0
    skips: int = 0


def render(plan: Plan) -> Rendered:
    """All of the plan that can be shown."""
    forms = _forms()
    made = _Making(plan)
    for number, resource in enumerate(plan.objects):
        token = _unversioned(resource.type)
        if resource.kind is not None and resource.recorded:
            made.kubernetes(f"{number}.yaml", resource)
        elif token in forms["terraform"] and resource.recorded:
            made.terraform(f"r{number}", forms["terraform"][token], resource)
        elif token in forms["templates"] and resource.recorded:
            made.template(f"{number}.json", forms["templates"][token], resource)
        elif resource.type != "pulumi:pulumi:Stack":
            made.not_mapped[resource.type] += 1
    return made.done()


@cache
def _forms() -> Mapping[str, Any]:
    found: Mapping[str, Any] = read(_TYPES)
    return found


def _unversioned(token: str) -> str:
    """`azure-native:storage/v20230101:StorageAccount`, or `azure-native_storage_v20230101:storage:...` of a
    package of one version, without the version."""
    return re.sub(r"^azure-native(_\w+)?:(\w+)(/v\w+)?:", r"azure-native:\2:", token)


class _Making:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.files: dict[str, dict[str, str]] = {}
        self.resources: dict[tuple[str, str], Resource] = {}
        self.not_mapped: Counter[str] = Counter()
        self._replaced = 0
        self._skips = 0
        self._planned: list[dict[str, Any]] = []
        self._addresses: dict[str, str] = {}

    def kubernetes(self, file: str, resource: Resource) -> None:
        token = resource.type.split(":")
        known = {"apiVersion": token[1].removeprefix("core/"), "kind": token[2].removesuffix("Patch")}
        text = yaml.dump(self._plain({**known, **resource.inputs}), Dumper=_Dumper, sort_keys=False)
        self._add("kubernetes", file, text, resource)

    def terraform(self, name: str, form: str, resource: Resource) -> None:
        address = f"{form}.{name}"
        values = self._renamed(self._plain(resource.inputs), form)
        self._planned.append(
            {"address": address, "mode": "managed", "type": form, "name": name, "values": values}
        )
        self._addresses[resource.urn] = address
        self.resources["terraform_plan", address] = resource

    def template(self, file: str, form: Mapping[str, Any], resource: Resource) -> None:
        renames = form.get("renames", {})
        inputs = {renames.get(key, key): value for key, value in self._plain(resource.inputs).items()}
        for key in form.get("lists", ()):
            items = inputs.get(key)
            if isinstance(items, list):
                inputs[key] = [_nested(item, ()) if isinstance(item, dict) else item for item in items]
        made = {"type": form["as"], "apiVersion": "2024-01-01", **_nested(inputs, form.get("inside", ()))}
        made.setdefault("name", resource.name)
        text = {
            "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
            "contentVersion": "1.0.0.0",
            "resources": [made],
        }
        self._add("arm", file, json.dumps(text, indent=1), resource)

    def done(self) -> Rendered:
        if self._planned:
            text = json.dumps(self._terraform_plan(), indent=1)
            self.files["terraform_plan"] = {"plan.json": text}
        return Rendered(self.files, self.resources, self.not_mapped, self._replaced, self._skips)

    def _add(self, framework: str, file: str, text: str, resource: Resource) -> None:
        self.files.setdefault(framework, {})[file] = text
        self.resources[framework, file] = resource

    def _terraform_plan(self) -> dict[str, Any]:
        """The resources, and what refers to what: some checks look at two resources together."""
        told = [
            {
                **{key: planned[key] for key in ("address", "mode", "type", "name")},
                "expressions": self._references(planned["address"], planned["type"]),
            }
            for planned in self._planned
        ]
        changes = [
            {**planned, "change": {"actions": ["create"], "before": None, "after": planned["values"]}}
            for planned in self._planned
        ]
        return {
            "format_version": "1.2",
            "terraform_version": "1.9.0",
            "planned_values": {"root_module": {"resources": self._planned}},
            "resource_changes": changes,
            "configuration": {"root_module": {"resources": told}},
        }

    def _references(self, address: str, form: str) -> dict[str, Any]:
        """By property, the resources that it refers to: by what it is computed from, or by their name."""
        found: dict[str, Any] = {}
        resource = self.resources["terraform_plan", address]
        for key, value in resource.inputs.items():
            named = self._plan.by_name.get(value, ()) if isinstance(value, str) else ()
            urns = {*resource.dependencies.get(key, ()), *(one.urn for one in named)} - {resource.urn}
            others = sorted(self._addresses[urn] for urn in urns if urn in self._addresses)
            if others:
                texts = [text for other in others for text in (f"{other}.id", other)]
                found[_terraform(key, value, form)] = {"references": texts}
        return found

    def _plain(self, value: Any) -> Any:
        """Plain data: no markers, no secrets, and nothing that asks checkov to look away."""
        if is_marker(value) or isinstance(value, Sealed):
            self._replaced += 1
            return UNTOLD
        if isinstance(value, Mapping):
            kept = {str(key): item for key, item in value.items() if not SKIPS.search(str(key))}
            self._skips += len(value) - len(kept)
            return {key: self._plain(item) for key, item in kept.items()}
        if isinstance(value, list | tuple):
            return [self._plain(item) for item in value]
        return value

    def _renamed(self, value: Any, form: str) -> Any:
        if isinstance(value, dict):
            return {
                _terraform(key, item, form): item if key in _forms()["words"] else self._renamed(item, form)
                for key, item in value.items()
            }
        return [self._renamed(item, form) for item in value] if isinstance(value, list) else value


def _terraform(key: str, value: Any, form: str) -> str:
    """A property's name in Terraform: `cidrBlocks` is `cidr_blocks`; a list of blocks, `rules`, is `rule`."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower()
    blocks = isinstance(value, list) and any(isinstance(item, Mapping) for item in value)
    return _singular(snake) if blocks and snake not in _forms()["plural"].get(form, ()) else snake


def _singular(word: str) -> str:
    for ending, instead in (("ies", "y"), ("indexes", "index"), ("ss", "ss"), ("s", "")):
        if word.endswith(ending):
            return word.removesuffix(ending) + instead
    return word


def _nested(inputs: Mapping[str, Any], inside: Container[str]) -> dict[str, Any]:
    """A resource of a template: the outermost keys, and all others under `properties`."""
    outer = {key: inputs[key] for key in _forms()["outermost"] if key in inputs and key not in inside}
    own = inputs.get("properties")
    rest = {key: value for key, value in inputs.items() if key not in outer and key != "properties"}
    return {**outer, "properties": {**rest, **(own if isinstance(own, Mapping) else {})}}


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """YAML without aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
