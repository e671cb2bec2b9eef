"""What a stack's settings name has to lie in its zone, even where no object of a plan would show it.

Who may call the gateway comes in, and rules of egress judge what goes out: so it is held to the zone here.
"""

from collections.abc import Iterator
from pathlib import Path

from facts.networks import NetworkSet
from facts.zones import Zone
from stacks.settings import Settings, SettingsError


def check(settings: Settings, zone: Zone, source: Path) -> None:
    """Raises SettingsError: a line for each network beyond the zone's; never shows it."""
    lines = [f"{source}: {fault}" for fault in _faults(settings, zone)]
    if lines:
        raise SettingsError("\n".join(lines))


def _faults(settings: Settings, zone: Zone) -> Iterator[str]:
    for place, network in enumerate(settings.clients.networks):
        if not zone.network_set.covers(NetworkSet.of([network])):
            yield (
                f"clients.networks.{place}: hosts outside zone {zone.name} may not call: its networks are "
                f"{zone.network_set}; name some of those, or parts of them."
            )
