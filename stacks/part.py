"""What all parts of the settings are made of: a strict mapping, and the kinds of text in it."""

import ipaddress
import re
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field
from pydantic.alias_generators import to_camel


def form(pattern: str, advice: str) -> AfterValidator:
    """A text that matches as a whole, or the advice."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(advice)
        return text

    return AfterValidator(check)


def network(cidr: str) -> str:
    try:
        ipaddress.ip_network(cidr)
    except ValueError:
        raise ValueError("a network is a CIDR block without host bits, such as 10.20.0.0/16") from None
    return cidr


#: tags of what may be a text or a mapping: they stand in the place of a fault, and are no keys
TEXT, MAPPING = "(text)", "(mapping)"


def _form_of(value: Any) -> str:
    return TEXT if isinstance(value, str) else MAPPING


#: for a union of two: faults are told of the one that was meant
TEXT_OR_MAPPING: Final = Discriminator(_form_of)

Text = Annotated[str, Field(min_length=1, max_length=253)]
Count = Annotated[int, Field(strict=True, ge=1)]
Network = Annotated[str, AfterValidator(network)]


class Part(BaseModel):
    """A mapping of the settings: keys are written in camelCase, unknown ones are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, alias_generator=to_camel
    )
