"""Zone files: what is refused, and how it is said."""

from pathlib import Path

import pytest

from facts.zones import ZoneError, load

GOOD = """
name: hds-fr
countries: ["FR"]
eea: required
regions: {aws: [eu-west-3], onprem: [room-2]}
registries: [registry.example.org, "registry.example.org:5000/team"]
hosts: [audit.example.org, "*.sovereign.internal"]
networks: [10.0.0.0/8, "fd00::/8"]
"""


def zone_file(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "zone.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_good_zone_is_read(tmp_path: Path) -> None:
    zone = load(zone_file(tmp_path, GOOD))
    assert zone.allows_region("aws", "eu-west-3")
    assert not zone.allows_region("outscale", "eu-west-3")
    assert zone.network_set is zone.network_set


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('["FR"]', '["US"]', "US is not in the EEA"),
        ('["FR"]', '["DE"]', "aws eu-west-3 lies in FR, which is not among"),
        ('["FR"]', "[NO]", "countries"),
        ('["FR"]', "[]", "countries"),
        ("eu-west-3", "eu-moon-1", "no region 'eu-moon-1' of provider 'aws' is known"),
        ("aws:", "outscale:", "no region 'eu-west-3' of provider 'outscale' is known"),
        ("name: hds-fr", "nam: hds-fr", "allowed keys are name, countries"),
        ("10.0.0.0/8", "10.0.0.1/8", "networks"),
        ("audit.example.org", "https://audit.example.org", "hosts"),
        ("*.sovereign.internal", "*.internal", "at least two labels"),
        ("audit.example.org", '"*"', "hosts"),
        ("[registry.example.org,", "[https://registry.example.org,", "registries"),
        ("[registry.example.org,", "[Registry.example.org,", "registries"),
        ("eea: required", "eea: maybe", "eea"),
        ("name: hds-fr", "- a", "not YAML"),
        (GOOD, "just text", "must hold a mapping"),
    ],
)
def test_a_bad_zone_is_told_with_file_and_key(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    file = zone_file(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ZoneError) as error:
        load(file)
    assert said in str(error.value)
    assert str(file) in str(error.value)


def test_a_missing_zone_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ZoneError, match=r"There is no zone file .*write one"):
        load(tmp_path / "none.yaml")
