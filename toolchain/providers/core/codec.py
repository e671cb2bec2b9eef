"""Between protobuf Structs, in which the engine sends properties, and Python values.

Markers travel as signatures: objects with one reserved key that says what they are, and reserved strings for
unknowns. Source: pulumi v3.259.0, sdk/go/common/resource (sig, plugin/rpc.go) and pulumi.runtime.rpc.
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf import struct_pb2

from toolchain.providers.core.errors import Refused
from toolchain.providers.core.values import UNKNOWN, Output, Secret

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
RESOURCE = "5cf8f73096256a8f31e491e813e4eb8e"
ASSET = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"

UNKNOWN_STRING = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
UNKNOWNS = frozenset(
    {
        UNKNOWN_STRING,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # boolean
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)

#: every integer up to here is exact in the doubles that a Struct holds
EXACT = 2**53


def decode(struct: struct_pb2.Struct) -> dict[str, Any]:
    """The properties in `struct`; raises Refused for assets, archives, resources and unknown signatures."""
    return {key: _decoded(value) for key, value in struct.fields.items()}


def encode(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    """`properties` as a Struct, with the markers as signatures; raises TypeError for what isn't a property
    value.
    """
    struct = struct_pb2.Struct()
    fields = struct.fields
    for key, value in properties.items():
        _write(value, fields[key])
    return struct


def _decoded(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        text = value.string_value
        return UNKNOWN if len(text) == 36 and text in UNKNOWNS else text
    if kind == "struct_value":
        fields = value.struct_value.fields
        if SIGNATURE in fields:
            return _special(fields)
        return {key: _decoded(item) for key, item in fields.items()}
    if kind == "list_value":
        return [_decoded(item) for item in value.list_value.values]
    if kind == "bool_value":
        return value.bool_value
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) <= EXACT else number
    return None


def _special(fields: Any) -> Any:
    signature = fields[SIGNATURE].string_value
    if signature == SECRET:
        return Secret(_decoded(fields["value"]) if "value" in fields else None)
    if signature == OUTPUT:
        return Output(
            value=_decoded(fields["value"]) if "value" in fields else UNKNOWN,
            secret="secret" in fields and fields["secret"].bool_value,
            dependencies=frozenset(item.string_value for item in fields["dependencies"].list_value.values)
            if "dependencies" in fields
            else frozenset(),
        )
    if signature in (ASSET, ARCHIVE):
        raise Refused(
            "An asset or archive is among the inputs, and no resource of this provider takes one: "
            "give the text itself."
        )
    if signature == RESOURCE:
        raise Refused("A resource is among the inputs: give one of its outputs, such as its name.")
    raise Refused(f"An input carries the signature {signature!r}, which this provider doesn't know.")


def _write(value: Any, into: struct_pb2.Value) -> None:
    if isinstance(value, str):
        into.string_value = value
    elif isinstance(value, dict):
        struct = into.struct_value
        if not value:
            struct.SetInParent()
            return
        fields = struct.fields
        for key, item in value.items():
            _write(item, fields[key])
    elif isinstance(value, list | tuple):
        array = into.list_value
        if not value:
            array.SetInParent()
            return
        add = array.values.add
        for item in value:
            _write(item, add())
    elif value is None:
        into.null_value = struct_pb2.NULL_VALUE
    elif isinstance(value, bool):
        into.bool_value = value
    elif isinstance(value, int | float):
        into.number_value = value
    elif value is UNKNOWN:
        into.string_value = UNKNOWN_STRING
    elif isinstance(value, Secret):
        _write({SIGNATURE: SECRET, "value": value.value}, into)
    elif isinstance(value, Output):
        _write(_signed(value), into)
    else:
        raise TypeError(f"a {type(value).__name__} is no property value")


def _signed(output: Output) -> dict[str, Any]:
    signed: dict[str, Any] = {SIGNATURE: OUTPUT}
    if output.value is not UNKNOWN:
        signed["value"] = output.value
    if output.secret:
        signed["secret"] = True
    if output.dependencies:
        signed["dependencies"] = sorted(output.dependencies)
    return signed
