"""The kit's stacks on AWS, ground and serving at once, as a review plans them, each rendered once.

What AWS would answer comes from the stand-in's data, as in the engine, so that ids, names and ARNs are those
that the rules see in a review.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pulumi
import yaml
from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks
from pulumi.runtime import test as until_done

from facts import sentinels, zones
from facts.site import ROOT, Site
from facts.zones import Zone
from policies import rules
from policies.judge import judge
from policies.model import Finding, Plan, Resource, StackFacts
from policies.read.settings import stack_facts
from stacks import ground, secret_config, service, settings
from stacks.settings import Settings
from tests.stacks.test_settings import put
from tests.support import runtime
from tests.support.aws import DAY, Monitor
from toolchain.providers import aws
from toolchain.providers.aws.functions import FUNCTIONS
from toolchain.providers.core import Naming, Urn
from toolchain.providers.core.preview import Preview
from toolchain.providers.core.values import plain
from toolchain.providers.standin import data
from toolchain.providers.standin.provider import StandIn
from toolchain.providers.standin.sdk import Sdk

FOLDER = ROOT / "stacks"
STACKS = tuple(sorted(file.name.split(".")[1] for file in FOLDER.glob("Pulumi.aws-*.yaml")))
PARIS = "aws-paris-hds"
_ONCE = ("defaults", "autoscaling", "trail", "inventory", "detection")
#: a change of settings: the kit makes what an account has once, too
OWN_ACCOUNT: Mapping[str, Any] = {f"aws.singletons.{part}": "create" for part in _ONCE}
_ACCOUNT = "111122223333"
_GROUP = "hospital:operators"
#: a change of the settings in Paris and one of the zone: all that the kit can make
EVERYTHING: Mapping[str, Any] = {
    **OWN_ACCOUNT,
    "aws.organisation": "create",
    "aws.organisationTarget": "r-ab12",
    "aws.gpus": {"llama-3.3-70b": {"count": 2, "reservation": {"zone": "eu-west-3b"}}},
    "aws.people": {
        part: [f"arn:aws:iam::{_ACCOUNT}:role/llm-{part}"] for part in ("deployers", "publishers", "auditors")
    },
    "aws.ways": {
        "sessions": "ami-0123456789abcdef0",
        "vpn": {
            "addresses": "10.41.0.0/22",
            "certificate": f"arn:aws:acm:eu-west-3:{_ACCOUNT}:certificate/0f1e2d3c",
            "identities": f"arn:aws:iam::{_ACCOUNT}:saml-provider/hospital",
            "groups": [_GROUP],
        },
    },
}
WITH_ACCESS: Mapping[str, Any] = {
    "access": ["session-manager", "client-vpn"],
    "networks": ["10.40.0.0/16", "10.41.0.0/22", "172.20.0.0/16"],
    "people": [
        {"subject": subject, "employer": "Example Hospital", "law": "FR", "country": "FR"}
        for subject in (
            *(f"arn:aws:iam::{_ACCOUNT}:role/llm-{part}" for part in ("deployers", "publishers", "auditors")),
            _GROUP,
        )
    ],
}


@dataclass(frozen=True)
class Rendered:
    """A stack, and all that its program asks for."""

    name: str
    settings: Settings
    zone: Zone
    facts: StackFacts
    resources: tuple[Resource, ...]
    #: what AWS would say of what it makes, `id` among it, by URN
    answers: Mapping[str, Mapping[str, Any]]

    @cached_property
    def plan(self) -> Plan:
        return Plan.of(self.resources, self.facts, at=DAY)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What all rules say of it."""
        return judge(self.plan, self.zone, rules.load()).findings

    @property
    def cloud(self) -> tuple[Resource, ...]:
        """What AWS makes."""
        return tuple(one for one in self.resources if one.package == "aws" and not one.is_provider)


def rendered(
    stack: str,
    change: Mapping[str, Any] | None = None,
    in_zone: Mapping[str, Any] | None = None,
    folder: Path = FOLDER,
) -> Rendered:
    """A stack of a site with its own settings and zone, or with some of them changed ("models.0.replicas":
    3)."""
    return _rendered(stack, yaml.safe_dump(dict(change or {})), yaml.safe_dump(dict(in_zone or {})), folder)


def stand_in(region: str, account: str) -> StandIn:
    """The stand-in for the plugin as a review starts it."""
    facts = data.read(ROOT / "facts" / "aws.yaml")
    made = StandIn(aws.PACKAGE, aws.VERSION, _sdk(), known(), facts, Preview.SYMBOLIC, FUNCTIONS)
    made.configure({"region": region, "allowedAccountIds": json.dumps([account])})
    return made


@cache
def known() -> data.PackageData:
    """What the stand-in knows besides the SDK."""
    return data.load(Path(aws.__file__).with_name("aws.yaml"))


@cache
def _sdk() -> Sdk:
    return Sdk("pulumi_aws", known().open)


@cache
def _rendered(stack: str, change: str, in_zone: str, folder: Path) -> Rendered:
    site = Site(folder)
    file = site.stack_file(stack)
    config = yaml.safe_load(file.read_text(encoding="utf-8"))["config"]
    for key, value in yaml.safe_load(change).items():
        put(config[settings.KEY], key, value)
    chosen = settings.parse(config[settings.KEY], file)
    allowed = zones.load(site.zone_file(chosen.zone))
    if told := yaml.safe_load(in_zone):
        allowed = Zone.model_validate({**allowed.model_dump(), **told})
    assert chosen.aws is not None
    monitor = _Reviewing(stack, chosen.aws.region, chosen.aws.account)
    runtime.begin(monitor.mocks, stack, monitor)
    with patch.dict(os.environ, {sentinels.PREVIEW: Preview.SYMBOLIC.value}):
        until_done(lambda: _program(chosen, site, allowed, stack))()  # type: ignore[no-untyped-call]
    return Rendered(stack, chosen, allowed, stack_facts(config, stack), tuple(monitor.asked), monitor.answers)


def _program(chosen: Settings, site: Site, zone: Zone, stack: str) -> None:
    """As stacks/__main__.py, without the rules."""
    made = secret_config.ensure({}, chosen, datetime.now(UTC))
    base = ground.lay(chosen, site, zone, stack)
    assert base is not None, "a review plans both stages"
    key, tls = (
        pulumi.Output.secret(made[name]) for name in (secret_config.AUDIT_KEY, secret_config.CERTIFICATES)
    )
    service.stand_up(chosen, site, zone, base, key, tls)


class _Reviewing(Monitor):
    """What AWS makes is checked and answered by the stand-in."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._aws = stand_in(self.region, self.account)
        self.mocks = _Functions(self._aws)
        self.answers: dict[str, dict[str, Any]] = {}

    def checked(self, urn: str, token: str, inputs: dict[str, Any]) -> dict[str, Any]:
        if not token.startswith("aws:"):
            return inputs
        checked = self._aws.check(Urn(urn), {}, inputs, Naming())
        assert not checked.problems, f"{urn}: {checked.problems}"
        return dict(checked.inputs)

    def outputs(self, urn: str, token: str, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        if not token.startswith("aws:"):
            return super().outputs(urn, token, inputs)
        id, state = self._aws.create(Urn(urn), inputs, 0, True)
        self.answers[urn] = {key: plain(value) for key, value in state.items()} | {"id": id}
        return id, self.answers[urn]


class _Functions(Mocks):
    """The stand-in's answers to functions."""

    def __init__(self, provider: StandIn) -> None:
        self._aws = provider

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        raise AssertionError(f"{args.typ} {args.name} is read from outside")

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        return {key: plain(value) for key, value in self._aws.invoke(args.token, args.args).items()}, []
