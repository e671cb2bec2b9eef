"""The Azure provider: which cloud, whose subscription, which region.

Settings as the provider's schema names them: pulumi.com/registry/packages/azure-native (v3).
"""

from collections.abc import Iterator

from facts.zones import Zone
from policies.provider_settings import setting
from policies.rule import Hit, Subject, rule
from policies.walkers import hosts, places


@rule(
    "azure-provider.settings",
    title="The Azure provider must be held to a subscription, cloud and region of the zone",
    routes=["P06"],
    controls=["HDS EXI 28", "HDS EXI 30", "GDPR 28", "GDPR 44-46", "SNC 19.2", "SNC 19.6"],
    fix="Set subscriptionId to one that the zone names under `accounts: azure:`, and location to its region.",
    pack="residency",
    severity="critical",
    types=["pulumi:providers:azure-native"],
)
def settings(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Without a subscription of its own, the provider takes that of whoever runs it: another tenant's, under
    another law. Another environment is another cloud, run by somebody else in another country, and a metadata
    host decides where every endpoint of the cloud is."""
    subscription = subject["subscriptionId"]
    if subscription.absent:
        yield subject.refuse(
            subscription, seen="no subscriptionId", why="whoever runs it decides whose subscription it is"
        )
    for node in (subscription, *setting(subject, "auxiliaryTenantIds").each()):
        text = node.text()
        if text is not None and not zone.allows_account("azure", text.lower()):
            yield subject.refuse(node, seen="another id", why=f"zone {zone.name} does not name it")
    cloud = subject["environment"].text()
    if cloud not in (None, "public"):
        yield subject.refuse(
            "environment", seen="another cloud", why="it is run by somebody else, in another country"
        )
    region = subject["location"].text()
    code = (region or "").lower().replace(" ", "")
    outside = places.judge_region(code, places.providers_of("azure"), zone) if code else None
    if outside:
        yield subject.refuse(
            "location", seen=code, why=f"resources without a location land there: it {outside}"
        )
    for key in ("metadataHost", "oidcRequestUrl"):
        text = subject[key].text()
        host = hosts.host_of(text) if text else None
        if text and (host is None or not hosts.declared(host, zone)):
            yield subject.refuse(
                key,
                seen=host or "no readable host",
                why=f"it is asked who and where the cloud is, outside zone {zone.name}",
            )
