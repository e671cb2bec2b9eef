"""Names for objects that the program gives none: the resource's name, a dash and eight random hex digits."""

import hashlib
import secrets

from toolchain.providers.core import Autonaming, Naming, Refused, Urn
from toolchain.providers.core.values import UNKNOWN
from toolchain.providers.kubernetes import objects
from toolchain.providers.kubernetes.objects import Object

DIGITS = 8


def name(obj: Object, old: Object, urn: Urn, naming: Naming) -> None:
    """Gives `obj` a name in place where it has none: the one made up before, if `old` has one, else a new
    one.

    An unknown name is one. Raises Refused where the settings forbid made-up names, or generateName is asked
    for.
    """
    if objects.metadata(obj).get("name"):
        return
    if obj.get("metadata") is UNKNOWN:
        return
    if objects.metadata(obj).get("generateName"):
        raise Refused(
            f"{urn.name}: metadata.generateName can't be used, because server-side apply needs the name: "
            "set metadata.name, or leave both out for a name that the provider makes up."
        )
    made = (
        objects.name_of(old)
        if objects.asks(old, objects.AUTONAMED) and objects.name_of(old)
        else _made(urn, naming)
    )
    obj["metadata"] = dict(objects.metadata(obj)) | {"name": made}
    if isinstance(obj["metadata"].get("annotations"), dict):
        obj["metadata"]["annotations"] = dict(obj["metadata"]["annotations"])
    objects.annotate(obj, objects.AUTONAMED, "true")


def _made(urn: Urn, naming: Naming) -> str:
    if naming.mode is Autonaming.DISABLE:
        raise Refused(
            f"{urn.name} has no metadata.name, and the stack's settings forbid made-up names: set it."
        )
    if naming.mode is not None and naming.proposed:
        return naming.proposed
    digits = hashlib.sha256(naming.seed).hexdigest() if naming.seed else secrets.token_hex(DIGITS)
    return f"{urn.name}-{digits[:DIGITS]}"
