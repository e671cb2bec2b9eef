"""The program: one private LLM service on one ground, in one zone, behind the rules."""

import atexit
import gc
import os

# The SDK is hundreds of thousands of objects that live as long as this program does, which is seconds. To look
# them over for garbage, as they are made and once more at the end, took a quarter of a run.
gc.disable()
atexit.register(gc.freeze)

import pulumi

from components.aws.access import AccessError
from components.aws.network import NetworkError
from components.aws.nodes import NodesError
from components.aws.organisation import GuardError
from components.aws.place import PlaceError
from components.aws.use import UseError
from components.onprem.kubeconfig import ClusterError
from components.serving.engine import ArgumentError
from facts import zones
from facts.aws import UnknownRegion
from facts.catalogue import CatalogueError
from facts.site import Site, SiteError
from policies import program
from policies.closed_world import TypesError
from policies.rules import SiteRuleError
from stacks import bounds, custody, ground, service, settings, stages
from stacks.secret_config import AUDIT_KEY, CERTIFICATES


def main() -> None:
    """The rules come before anything that they judge."""
    site, stack = Site.current(), pulumi.get_stack()
    chosen = settings.from_config(site.stack_file(stack))
    zone = zones.load(site.zone_file(chosen.zone))
    program.guard(site, stack, zone)
    bounds.check(chosen, zone, site.stack_file(stack))
    custody.check(chosen, site, stack, os.environ)

    certificates = None if chosen.certificates == "cert-manager" else secret(CERTIFICATES)
    base = ground.lay(chosen, site, zone, stack)
    outputs = (
        {"next": stages.NEXT}
        if base is None
        else service.stand_up(chosen, site, zone, base, secret(AUDIT_KEY), certificates)
    )
    for name, value in {"zone": zone.name, **outputs}.items():
        pulumi.export(name, value)


def secret(key: str) -> pulumi.Output[str]:
    """A secret of the stack's configuration. Raises SettingsError where there is none."""
    namespace, _, name = key.partition(":")
    value = pulumi.Config(namespace).get_secret(name)
    if value is None:
        raise settings.SettingsError(
            f"The stack's configuration has no secret {key}: `sovereign up` makes one; by hand it is "
            f"`pulumi config set --secret {key}`."
        )
    return value


try:
    main()
except (
    AccessError,
    ArgumentError,
    CatalogueError,
    ClusterError,
    GuardError,
    NetworkError,
    NodesError,
    PlaceError,
    SiteError,
    SiteRuleError,
    TypesError,
    UnknownRegion,
    UseError,
    custody.CustodyError,
    settings.SettingsError,
    zones.ZoneError,
) as error:
    raise pulumi.RunError(str(error)) from None
