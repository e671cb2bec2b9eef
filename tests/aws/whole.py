"""aws-paris-hds where it makes everything itself: what the tables of mistakes and of access are about."""

from functools import cache
from pathlib import Path

import yaml

from tests.aws import changes
from tests.support import aws_stacks
from tests.support.aws_stacks import PARIS, Rendered
from toolchain.providers.standin.provider import StandIn


@cache
def whole() -> Rendered:
    """The stack, with whole.yaml laid over its settings."""
    more = yaml.safe_load(Path(__file__).with_name("whole.yaml").read_text(encoding="utf-8"))
    return aws_stacks.rendered(PARIS, changes.settings_with(PARIS, more))


@cache
def provider() -> StandIn:
    """The stand-in for the plugin at its place."""
    given = whole().settings.aws
    assert given is not None
    return aws_stacks.stand_in(given.region, given.account)
