"""Where a site's files lie."""

from pathlib import Path

import pytest

from facts.site import ROOT, Site, SiteError


def test_the_default_site_is_the_checkouts_own() -> None:
    site = Site.current({})
    assert site.is_default
    assert site.folder == ROOT / "stacks"
    assert site.base == ROOT
    assert site.work("local") == ROOT / ".sovereign" / "stacks" / "local"


def test_another_site_keeps_to_its_folder(tmp_path: Path) -> None:
    site = Site.current({"SOVEREIGN_SITE": str(tmp_path)})
    assert not site.is_default
    for place in (
        site.stack_file("x"),
        site.zone_file("z"),
        site.types_file,
        site.rules_folder,
        site.work("x"),
    ):
        assert place.is_relative_to(tmp_path)
    assert site.path("a/../b") == tmp_path / "b"
    assert site.path("/else/where") == Path("/else/where")
    assert site.path("~/x") == Path.home() / "x"


@pytest.mark.parametrize("named", ["relative", "/no/such/folder"])
def test_a_site_that_is_no_folder_is_refused(named: str) -> None:
    with pytest.raises(SiteError, match="SOVEREIGN_SITE"):
        Site.current({"SOVEREIGN_SITE": named})
