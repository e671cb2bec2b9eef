"""What a stack's settings name has to lie in its zone."""

from pathlib import Path

import pytest

from facts import zones
from facts.site import ROOT, Site
from stacks import bounds, settings
from stacks.settings import SettingsError
from tests.stacks.test_settings import FILE, HOSPITAL, PARIS, plain, put

SHIPPED = [*sorted((ROOT / "stacks").glob("Pulumi.*.yaml")), HOSPITAL]


@pytest.mark.parametrize("file", SHIPPED, ids=[file.name for file in SHIPPED])
def test_the_shipped_stacks_lie_in_their_zones(file: Path) -> None:
    chosen = settings.load(file)
    bounds.check(chosen, zones.load(Site(file.parent).zone_file(chosen.zone)), file)


@pytest.mark.parametrize("network", ["0.0.0.0/1", "10.40.0.0/15", "192.0.2.7/32", "2001:db8::/32"])
def test_clients_outside_the_zone_may_not_call(network: str) -> None:
    chosen = settings.parse(put(plain(PARIS), "clients.networks", ["10.40.3.0/24", network]), FILE)
    zone = zones.load(Site(PARIS.parent).zone_file(chosen.zone))
    with pytest.raises(SettingsError) as caught:
        bounds.check(chosen, zone, FILE)
    said = str(caught.value)
    assert said.startswith(f"{FILE}: clients.networks.1: ")
    assert "10.40.0.0/16, 172.20.0.0/16" in said
    assert network not in said
