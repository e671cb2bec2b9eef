"""The provider's own settings: what the SDK's `Provider` takes, what of it this provider does, and what it
refuses.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from toolchain.providers.core import Properties, Refused
from toolchain.providers.core.shape import Problem
from toolchain.providers.core.values import UNKNOWN, Output, Secret, plain

_TEXTS = ("kubeconfig", "context", "cluster", "namespace", "clusterIdentifier")
_SWITCHES = (
    "enableServerSideApply",
    "upsertExistingObjects",
    "enablePatchForce",
    "enableConfigMapMutable",
    "enableSecretMutable",
)
#: taken, and without effect here: the first two silence warnings that this provider doesn't give, the others
#: tune a client that this provider doesn't have
_WITHOUT_EFFECT = (
    "suppressDeprecationWarnings",
    "suppressHelmHookWarnings",
    "kubeClientSettings",
    "rejectUnknownResources",
    "strictMode",
    "version",
    "pluginDownloadURL",
    "pluginChecksums",
)
_REFUSED = {
    "renderYamlToDirectory": "writes manifests instead of applying them, which this provider doesn't do",
    "alwaysRender": "writes manifests instead of applying them, which this provider doesn't do",
    "deleteUnreachable": "would drop resources from the state while their cluster is away",
    "skipUpdateUnreachable": "would pass off an unreachable cluster as an unchanged one",
    "helmReleaseSettings": "belongs to Helm releases, which this provider doesn't do",
}
NO_KUBECONFIG = (
    "it is missing, and none is taken from the surroundings (~/.kube/config, KUBECONFIG, a service account): "
    "give the provider its kubeconfig, as text or as an absolute path"
)


@dataclass(frozen=True)
class Settings:
    """The settings, all known."""

    kubeconfig: str
    context: str = ""
    cluster: str = ""
    namespace: str = ""
    cluster_identifier: str = ""
    upsert: bool = False
    patch_force: bool = False
    config_map_mutable: bool = False
    secret_mutable: bool = False


def problems(inputs: Mapping[str, Any], ambient: str) -> Iterator[Problem]:
    """What is wrong with the settings; some may not be known yet. `ambient` is what KUBECONFIG says around
    us.

    The SDK fills in KUBECONFIG on its own where a program gives no kubeconfig: so its very value is refused.
    """
    kubeconfig = _bare(inputs.get("kubeconfig"))
    if kubeconfig in (None, "", {}):
        yield Problem(("kubeconfig",), NO_KUBECONFIG)
    elif ambient and kubeconfig == ambient:
        yield Problem(
            ("kubeconfig",),
            "it is what the environment variable KUBECONFIG says, and none is taken from the surroundings: "
            "unset KUBECONFIG, and give the provider its kubeconfig",
        )
    for key, value in inputs.items():
        value = _bare(value)
        if value is None or value is UNKNOWN or key in _WITHOUT_EFFECT or key.startswith("__"):
            continue
        if reason := _REFUSED.get(key):
            if value not in (False, "false", "", {}):
                yield Problem((key,), f"{reason}: leave it out")
        elif key in _SWITCHES:
            if value not in (True, False, "true", "false", ""):
                yield Problem((key,), "is neither true nor false")
            elif key == "enableServerSideApply" and value in (False, "false"):
                yield Problem((key,), "this provider always applies server-side: leave it out")
        elif key in _TEXTS:
            if not isinstance(value, str) and not (key == "kubeconfig" and isinstance(value, dict)):
                yield Problem((key,), "is no text")
        else:
            known = ", ".join(sorted((*_TEXTS, *_SWITCHES)))
            yield Problem((key,), f"is no setting of this provider; there are {known}")


def known(inputs: Properties, ambient: str) -> Settings:
    """The settings, when all are known and right; raises Refused with a sentence otherwise."""
    for problem in problems(inputs, ambient):
        raise Refused(f"The Kubernetes provider can't be used: {problem.path[0]} {problem.reason}.")
    values = plain(inputs)
    return Settings(
        kubeconfig=kubeconfig_text(values["kubeconfig"]),
        context=values.get("context") or "",
        cluster=values.get("cluster") or "",
        namespace=values.get("namespace") or "",
        cluster_identifier=values.get("clusterIdentifier") or "",
        upsert=_true(values.get("upsertExistingObjects")),
        patch_force=_true(values.get("enablePatchForce")),
        config_map_mutable=_true(values.get("enableConfigMapMutable")),
        secret_mutable=_true(values.get("enableSecretMutable")),
    )


def kubeconfig_text(value: Any) -> str:
    """A kubeconfig as text or path; programs may give it as an object too."""
    return value if isinstance(value, str) else json.dumps(value)


def _true(value: Any) -> bool:
    return value in (True, "true")


def _bare(value: Any) -> Any:
    while isinstance(value, Secret | Output):
        value = value.value
    return value
