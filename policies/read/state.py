"""`pulumi stack export`: what a stack consists of now. Secrets are ciphertexts here, so they are masked."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from policies.model import Plan, Resource, StackFacts
from policies.read.errors import UnreadableInput
from policies.read.states import resource, stack_name


def is_state(data: Any) -> bool:
    """Whether parsed JSON has the form of a state export."""
    return isinstance(data, Mapping) and "apiVersion" not in data and "deployment" in data


def read(data: Mapping[str, Any], name: str, allowed_types: frozenset[str] | None = None) -> Plan:
    """The plan of a state export: what is pending deletion is left out, what was being made is in."""
    deployment, version = data.get("deployment"), data.get("version")
    if not isinstance(deployment, Mapping) or version not in (3, 4):
        raise UnreadableInput(
            f"{name} is a state export of version {version!r}; versions 3 and 4 can be read: "
            "export it with `pulumi stack export`."
        )
    resources: dict[str, Resource] = {}
    for index, state in enumerate(deployment.get("resources") or ()):
        one = resource(state, f"{name}: resource {index}")
        if not state.get("delete"):
            resources[one.urn] = one
    for index, operation in enumerate(deployment.get("pending_operations") or ()):
        if isinstance(operation, Mapping) and operation.get("type") != "deleting":
            one = resource(operation.get("resource"), f"{name}: pending operation {index}")
            resources.setdefault(one.urn, one)
    stack = next((found for urn in resources if (found := stack_name(urn))), None)
    facts = replace(StackFacts(name=stack), secrets_provider=_secrets_provider(deployment))
    return Plan.of(
        resources.values(), facts, source="state", allowed_types=allowed_types, unchanged=resources
    )


def _secrets_provider(deployment: Mapping[str, Any]) -> str | None:
    """As settings would write it: `passphrase`, `service`, or the URL of a cloud's key."""
    provider = deployment.get("secrets_providers")
    if not isinstance(provider, Mapping):
        return None
    kind, state = provider.get("type"), provider.get("state")
    if kind == "cloud":
        url = state.get("url") if isinstance(state, Mapping) else None
        return url if isinstance(url, str) else ""
    return kind if isinstance(kind, str) and kind else None
