"""To which models a gateway passes requests on, told in the text of ConfigMaps and Secrets."""

import re
from collections.abc import Iterator

from facts import model_apis
from facts.words import plain
from facts.zones import Zone
from policies import entries, targets
from policies.documents import Unparsable
from policies.entries import ENTRIES
from policies.model import Node
from policies.rule import Hit, Subject, rule

#: Texts worth reading: settings that name models, vendors of models, or where their API is.
_ABOUT_MODELS = re.compile(r"model_list|api_?base|base_?url|provider|vendor", re.IGNORECASE)


@rule(
    "gateway.models",
    title="A gateway may pass requests on to models of the zone only",
    routes=["K26"],
    controls=["HDS EXI 26", "HDS EXI 28", "HIPAA 164.312(e)(1)", "GDPR 28", "GDPR 44-46", "SNC 12.14"],
    fix="Give each model an api_base in the zone, and let fallbacks name models of the same list only.",
    pack="egress",
    severity="critical",
    kinds=ENTRIES,
)
def models(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A gateway answers from wherever its settings say, and turns to a fallback when the own model is busy or
    down: the whole prompt then goes to whoever stands there. A model without an address is called at its
    vendor's own, and a fallback that the list of models doesn't hold is taken for a vendor's model."""
    for name, node in entries.entries(subject):
        if not _ABOUT_MODELS.search(node.text() or ""):
            continue
        try:
            documents = entries.mappings(node)
        except Unparsable:
            if entries.SETTINGS.search(name):
                yield subject.undecided(
                    node, seen="settings that can't be read", why="where prompts go is not told"
                )
            continue
        for document in documents:
            yield from _litellm(subject, document)
            for inner in entries.inside(document):
                yield from _addresses(subject, inner, zone)


def _addresses(subject: Subject, settings: Node, zone: Zone) -> Iterator[Hit]:
    """Where a mapping says that a model's API is; a vendor of models without an address is at its own."""
    keys = {plain(key): value for key, value in settings.members()}
    known = model_apis.words("addresses")
    of_model = not model_apis.words("beside").isdisjoint(keys)
    if of_model:
        known |= model_apis.words("plain_addresses")
    addresses = [value for key, value in keys.items() if key in known and isinstance(value.value, str)]
    for address in addresses:
        yield from targets.judge(subject, address, zone, what="prompts")
    named = [str(keys[key].value) for key in sorted(model_apis.words("vendor_keys") & keys.keys())]
    vendor = next((name for name in named if plain(name) in model_apis.words("vendors")), None)
    if of_model and vendor is not None and not any(address.value for address in addresses):
        yield subject.refuse(
            settings, seen=vendor, why="no address is given, so prompts go to the vendor's own API"
        )


def _litellm(subject: Subject, config: Node) -> Iterator[Hit]:
    """Models of LiteLLM's `model_list` without an address, and fallbacks that it doesn't hold."""
    names = set()
    for model in config["model_list"].each():
        names.add(model["model_name"].text())
        params = model["litellm_params"]
        if not any(
            plain(key) in model_apis.words("addresses") and value.value for key, value in params.members()
        ):
            yield subject.refuse(
                params,
                seen="no api_base",
                why="prompts go to the API of the vendor that the model's name tells",
            )
    for section in model_apis.listed("sections"):
        for key in model_apis.listed("fallbacks"):
            for name in _named(config[section][key]):
                if name.text() not in names:
                    yield subject.refuse(
                        name,
                        seen="a model that model_list doesn't hold",
                        why="prompts go to its vendor's own API",
                    )


def _named(fallbacks: Node) -> Iterator[Node]:
    """The models that a list of fallbacks names: `[{model: [other]}]`, or `[other]`."""
    for entry in fallbacks.each():
        if isinstance(entry.value, str):
            yield entry
        else:
            for _, others in entry.members():
                yield from others.each()
