"""Settings of providers: SDKs hand lists, mappings and switches over as JSON text, and other readers as what
they are."""

from policies.documents import Unparsable, of_json
from policies.model import Node
from policies.rule import Subject


def setting(subject: Subject, key: str) -> Node:
    """A setting of a provider, with the list, mapping or switch that a text holds in its place."""
    node = subject[key]
    if isinstance(node.value, str) and node.value.strip()[:1] in ("[", "{", "t", "f"):
        try:
            [value] = of_json(node.value)
        except (Unparsable, ValueError):
            return node
        return Node(value, node.path, node.touched)
    return node
