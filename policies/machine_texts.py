"""Texts by which machines are set up: cloud-init, Talos, k3s, containerd, chrony, WireGuard and their kin, in
ConfigMaps, Secrets and the user data of machines."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from policies import documents
from policies.carried import HOLDERS, File, files
from policies.model import Node
from policies.rule import Subject
from policies.table import reach

#: Where machines get such texts from.
KINDS: Final = HOLDERS
TYPES: Final = ("libvirt:*", "openstack:compute/*", "talos:machine/*", "proxmoxve:*")
_PROPERTIES: Final = (
    *("configPatches[]", "machineConfigurationInput", "metaData", "networkConfig", "userData"),
    "sourceRaw.data",
)

#: Words without which no text sets up a machine.
_ABOUT: Final = re.compile(
    r"#cloud-config|\b(?:endpoints|machine|mirrors|nameservers|ntp|registry-mirrors|system-default-registry)\b"
)


def texts(subject: Subject) -> Iterator[File]:
    """The texts of an object or resource that may set up a machine."""
    assert subject.resource is not None
    yield from files(subject)
    for path in _PROPERTIES if subject.resource.kind is None else ():
        for node in reach(subject.inputs, path):
            text = node.text()
            if text is not None:
                yield File(path, text, node, False)


def mappings(file: File) -> Iterator[Node]:
    """The mappings that a text about machines holds as YAML or JSON; nothing where it holds none."""
    for document in _parsed(file.text) if _ABOUT.search(file.text) else ():
        yield Node(document, file.where.path, file.where.touched)


def is_cloud_config(file: File) -> bool:
    """docs.cloud-init.io, user data formats: the first line says so."""
    return bool(re.match(r"\s*(?:## template: jinja\n)?#cloud-config\b", file.text))


def leaves(node: Node, keys: str = "") -> Iterator[tuple[str, str]]:
    """Every text below a mapping, with the keys above it: `ntp servers`."""
    if isinstance(node.value, Mapping):
        for key, inner in node.members():
            yield from leaves(inner, f"{keys} {key.lower()}".strip())
    elif isinstance(node.value, list):
        for inner in node.each():
            yield from leaves(inner, keys)
    elif isinstance(node.value, str):
        yield keys, node.value


@lru_cache(maxsize=256)
def _parsed(text: str) -> tuple[Mapping[str, Any], ...]:
    try:
        found = documents.of_yaml(text, aliases=False)
    except documents.Unparsable:
        return ()
    return tuple(document for document in found if isinstance(document, Mapping))
