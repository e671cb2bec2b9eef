"""Values as the engine writes them, in JSON or on the wire, turned into plain data with the two markers.

The signatures and placeholders are the engine's (sdk/go/common/resource/sig, resource/plugin/rpc.go,
v3.259.0).
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from policies.model import MASKED, UNKNOWN, sealed

SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"
OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"

#: What stands for a value that is not known yet: one placeholder a kind of value.
PLACEHOLDERS: Final = frozenset(
    {
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)
#: How a preview shows a secret.
_BLINDED: Final = "[secret]"


def plain(value: Any, *, blinded: bool = True) -> Any:
    """Plain data with UNKNOWN and MASKED. `blinded`: "[secret]" stands for a secret."""
    if isinstance(value, str):
        if value in PLACEHOLDERS:
            return UNKNOWN
        return MASKED if blinded and value == _BLINDED else value
    if isinstance(value, list):
        return [plain(item, blinded=blinded) for item in value]
    if not isinstance(value, Mapping):
        return value
    signature = value.get(SIGNATURE)
    if signature == SECRET:
        return _secret(value, blinded)
    if signature == OUTPUT:
        inner = plain(value["value"], blinded=blinded) if "value" in value else UNKNOWN
        return sealed(inner) if value.get("secret") is True else inner
    return {str(key): plain(item, blinded=blinded) for key, item in value.items() if key != SIGNATURE}


def _secret(value: Mapping[str, Any], blinded: bool) -> Any:
    if "value" in value:
        return sealed(plain(value["value"], blinded=blinded))
    if "plaintext" in value:
        try:
            return sealed(plain(json.loads(value["plaintext"]), blinded=False))
        except (TypeError, ValueError):
            return MASKED
    return MASKED
