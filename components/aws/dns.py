"""Names: what the network may ask Amazon's resolver for, and a record of everything it has asked.

The resolver of a VPC answers for the whole internet, also where no route leads there, so names are the way
out that remains. Here only names of the network's own endpoints, of the network itself and of the site's
private names are answered.
"""

from collections.abc import Sequence
from typing import Final

from pulumi import ComponentResource, Output, ResourceOptions
from pulumi_aws.route53 import (
    ResolverFirewallConfig,
    ResolverFirewallDomainList,
    ResolverFirewallRule,
    ResolverFirewallRuleGroup,
    ResolverFirewallRuleGroupAssociation,
    ResolverQueryLogConfig,
    ResolverQueryLogConfigAssociation,
)

from components.aws.endpoints import Endpoints
from components.aws.logs import LogKeeping
from components.aws.network import Network
from components.aws.place import Place

#: Rules are asked in this order, and the first that knows a name decides.
_FIRST, _LAST = 100, 9000
#: Among the groups of a VPC; AWS keeps 100 and below, and 9900 and above, for Firewall Manager.
_PRIORITY: Final = 101


class DnsFirewall(ComponentResource):
    """A firewall of names that lets through a list and blocks all others, even where it fails."""

    allowed: tuple[str, ...]  #: the names that are answered
    group: Output[str]  #: id of the rule group

    def __init__(
        self,
        name: str,
        place: Place,
        network: Network,
        endpoints: Endpoints,
        logs: LogKeeping,
        *,
        names: Sequence[str] = (),
        opts: ResourceOptions | None = None,
    ) -> None:
        """`names`: those of the site that are answered inside, with `*.` in front for all below."""
        super().__init__("sovereign:aws:DnsFirewall", name, None, opts)
        self.allowed = (*endpoints.names, *place.facts.names_inside, *names)
        group = ResolverFirewallRuleGroup(name, name=name, opts=place.within(self))
        self.group = group.id
        for part, priority, domains in (("allow", _FIRST, self.allowed), ("block", _LAST, ("*",))):
            listed = ResolverFirewallDomainList(
                f"{name}-{part}", name=f"{name}-{part}", domains=list(domains), opts=place.within(self)
            )
            ResolverFirewallRule(
                f"{name}-{part}",
                name=part,
                action=part.upper(),
                block_response="NXDOMAIN" if part == "block" else None,
                # a name that leads on to another one is judged by both
                firewall_domain_redirection_action="INSPECT_REDIRECTION_DOMAIN",
                firewall_domain_list_id=listed.id,
                firewall_rule_group_id=group.id,
                priority=priority,
                opts=place.within(self),
            )
        ResolverFirewallRuleGroupAssociation(
            name,
            name=name,
            firewall_rule_group_id=group.id,
            vpc_id=network.vpc_id,
            priority=_PRIORITY,
            opts=place.within(self),
        )
        ResolverFirewallConfig(
            name, resource_id=network.vpc_id, firewall_fail_open="DISABLED", opts=place.within(self)
        )
        self._record(name, place, network, logs)
        self.register_outputs({"group": self.group})

    def _record(self, name: str, place: Place, network: Network, logs: LogKeeping) -> None:
        config = ResolverQueryLogConfig(
            name,
            name=name,
            destination_arn=logs.group(place, self, "names").arn,
            opts=place.within(self),
        )
        ResolverQueryLogConfigAssociation(
            name,
            resolver_query_log_config_id=config.id,
            resource_id=network.vpc_id,
            opts=place.within(self),
        )
