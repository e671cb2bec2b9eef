"""The state of a resource, in the official plugin's form: the live object, with three keys of the provider's
own.

Who manages which field is left out: it is read anew when it's needed, and would double what is stored.
`__inputs` is what was applied, `__initialApiVersion` the version that the object was first made with, and
`__fieldManager` under which name its fields are managed.
"""

import secrets
from collections.abc import Mapping
from typing import Any

from toolchain.providers.core.values import Secret, mark_secrets, plain
from toolchain.providers.kubernetes import objects
from toolchain.providers.kubernetes.objects import Object

INPUTS = "__inputs"
INITIAL_API_VERSION = "__initialApiVersion"
MANAGER = "__fieldManager"
MANAGER_PREFIX = "pulumi-kubernetes-"
_OWN = (INPUTS, INITIAL_API_VERSION, MANAGER)


def build(inputs: Object, live: Object, marked: Mapping[str, Any], manager: str, initial: str) -> Object:
    """The state for a `live` object made from `inputs`; secrets are marked as they are in `marked` inputs."""
    kept = {key: item for key, item in objects.metadata(live).items() if key != "managedFields"}
    state = with_secrets(objects.underscored(live | {"metadata": kept}), marked)
    state[INPUTS] = with_secrets(objects.underscored(inputs), marked)
    state[INITIAL_API_VERSION] = initial
    state[MANAGER] = manager
    return state


def inputs_of(state: Mapping[str, Any]) -> Object:
    """The inputs that a state was made from, plain; empty when it says none."""
    inputs = objects.dashed(plain(state.get(INPUTS)))
    return inputs if isinstance(inputs, dict) else {}


def live_of(state: Mapping[str, Any]) -> Object:
    """The live object in a state, plain."""
    live: Object = objects.dashed(plain({key: item for key, item in state.items() if key not in _OWN}))
    return live


def manager_of(state: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    """The field manager: what an annotation asks for, else what the state says, else a new name."""
    asked = objects.annotation(inputs, objects.FIELD_MANAGER)
    kept = plain(state.get(MANAGER))
    return asked or (kept if isinstance(kept, str) else "") or MANAGER_PREFIX + secrets.token_hex(4)


def initial_of(state: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    """The apiVersion that the object was first made with."""
    kept = plain(state.get(INITIAL_API_VERSION))
    return str((kept if isinstance(kept, str) else "") or inputs.get("apiVersion", ""))


def with_secrets(obj: Object, marked: Mapping[str, Any]) -> Object:
    """`obj` with the secrets of `marked` marked; what a Secret holds is always one."""
    result: Object = mark_secrets(obj, dict(marked))
    # "Secret" as well inside a list or template: what is called so is treated so
    if obj.get("kind") == "Secret":
        for key in ("data", "stringData"):
            if key in result and not isinstance(result[key], Secret):
                result[key] = Secret(plain(result[key]))
    return result
