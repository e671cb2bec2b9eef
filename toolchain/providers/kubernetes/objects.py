"""Kubernetes objects as plain dicts: what they are and are called, and what their annotations ask for."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolchain.providers.core import Refused
from toolchain.providers.core.values import UNKNOWN, has_unknown
from toolchain.providers.kubernetes.version import PACKAGE

Object = dict[str, Any]

AUTONAMED = "pulumi.com/autonamed"
SKIP_AWAIT = "pulumi.com/skipAwait"
WAIT_FOR = "pulumi.com/waitFor"
TIMEOUT_SECONDS = "pulumi.com/timeoutSeconds"
PATCH_FORCE = "pulumi.com/patchForce"
FIELD_MANAGER = "pulumi.com/patchFieldManager"
DELETION_PROPAGATION = "pulumi.com/deletionPropagationPolicy"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

#: what the API server alone writes into an object's metadata
SERVER_METADATA = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)

#: The SDKs write these keys of JSON Schema with underscores.
_UNDERSCORED = {
    key.replace("-", "_"): key
    for key in (
        "x-kubernetes-embedded-resource",
        "x-kubernetes-int-or-string",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-map-type",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-validations",
    )
}
_DASHED = {dashed: underscored for underscored, dashed in _UNDERSCORED.items()}


@dataclass(frozen=True, slots=True)
class Kind:
    """Group, version and kind of an object; the core group is ""."""

    group: str
    version: str
    name: str

    @property
    def api_version(self) -> str:
        """As an object's apiVersion has it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def builtin(self) -> bool:
        """Whether Kubernetes itself defines it: its groups have no dot or end in .k8s.io."""
        return "." not in self.group or self.group.endswith(".k8s.io")


def kind_of(obj: Mapping[str, Any]) -> Kind:
    """What `obj` says that it is; raises Refused when it doesn't."""
    api_version, name = obj.get("apiVersion"), obj.get("kind")
    if not isinstance(api_version, str) or not isinstance(name, str) or not api_version or not name:
        raise Refused("An object says no apiVersion and kind that are known: give both as plain text.")
    group, _, version = api_version.rpartition("/")
    return Kind("" if group == "core" else group, version, name)


def kind_of_token(token: str) -> Kind:
    """What a type token `kubernetes:<group>/<version>:<Kind>` names; raises Refused when it's no object."""
    package, _, rest = token.partition(":")
    module, _, name = rest.rpartition(":")
    group, _, version = module.partition("/")
    if package != PACKAGE or not group or not version or not name:
        raise Refused(
            f"{token} is no kind of Kubernetes object: a type is kubernetes:<group>/<version>:<Kind>."
        )
    return Kind("" if group == "core" else group, version, name)


def metadata(obj: Mapping[str, Any]) -> dict[str, Any]:
    """The object's metadata; empty when there is none or it isn't known yet."""
    found = obj.get("metadata")
    return found if isinstance(found, dict) else {}


def name_of(obj: Mapping[str, Any]) -> str:
    """The object's name, "" when it has none or it isn't known yet."""
    return _text(metadata(obj).get("name"))


def namespace_of(obj: Mapping[str, Any]) -> str:
    """The object's namespace, "" when it has none or it isn't known yet."""
    return _text(metadata(obj).get("namespace"))


def annotation(obj: Mapping[str, Any], key: str) -> str:
    """An annotation's text, "" when there is none or it isn't known yet."""
    annotations = metadata(obj).get("annotations")
    return _text(annotations.get(key)) if isinstance(annotations, dict) else ""


def asks(obj: Mapping[str, Any], key: str) -> bool:
    """Whether an annotation says "true"."""
    return annotation(obj, key).lower() == "true"


def annotate(obj: Object, key: str, text: str) -> None:
    """Sets an annotation in place; nothing happens where metadata or annotations aren't known yet."""
    if not isinstance(obj.get("metadata"), dict):
        return
    annotations = obj["metadata"].setdefault("annotations", {})
    if isinstance(annotations, dict):
        annotations[key] = text


def id_of(obj: Mapping[str, Any]) -> str:
    """The resource id: `namespace/name`, or `name` for what has no namespace."""
    namespace, name = namespace_of(obj), name_of(obj)
    return f"{namespace}/{name}" if namespace else name


def split_id(id: str) -> tuple[str, str]:
    """Namespace ("" for none) and name of a resource id."""
    namespace, _, name = id.rpartition("/")
    return namespace, name


def described(obj: Mapping[str, Any]) -> str:
    """How sentences call the object: `Deployment llm-serving/vllm`."""
    return f"{obj.get('kind') or 'object'} {id_of(obj) or '(unnamed)'}"


def dashed(value: Any) -> Any:
    """`value` as the API server writes it: the x-kubernetes-* keys with dashes."""
    return _renamed(value, _UNDERSCORED)


def underscored(value: Any) -> Any:
    """`value` as the SDKs read it: the x-kubernetes-* keys with underscores."""
    return _renamed(value, _DASHED)


def normalised(obj: Object) -> Object:
    """Inputs in the one form that is compared and applied, as the official plugin does it.

    Without what only the server writes, and without nulls in kinds of Kubernetes' own; a Secret's stringData
    becomes data, because stringData is never read back. Raises Refused when the object says no kind.
    """
    kind = kind_of(obj)
    result: Object = _without_nulls(obj) if kind.builtin else dict(obj)
    if isinstance(result.get("metadata"), dict):
        result["metadata"] = {
            key: item for key, item in result["metadata"].items() if key not in SERVER_METADATA
        }
    if kind.builtin:
        result.pop("status", None)
    if kind == Kind("", "v1", "Secret"):
        _fold_string_data(result)
    return result


def _fold_string_data(secret: Object) -> None:
    string_data, data = secret.get("stringData"), secret.get("data", {})
    if has_unknown(string_data) or has_unknown(data) or not isinstance(data, dict):
        return
    data = {key: _canonical_base64(text) for key, text in data.items()}
    if isinstance(string_data, dict):
        if not all(isinstance(text, str) for text in string_data.values()):
            return  # the shape check says so
        data |= {key: base64.b64encode(text.encode()).decode() for key, text in string_data.items()}
        del secret["stringData"]
    if data:
        secret["data"] = data


def _canonical_base64(text: Any) -> Any:
    try:
        return base64.b64encode(base64.b64decode(text)).decode()
    except (TypeError, ValueError, binascii.Error):
        return text  # the API server says what is wrong with it


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {names.get(key, key): _renamed(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) and value is not UNKNOWN else ""
