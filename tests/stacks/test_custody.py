"""State and its key: a run that keeps them elsewhere than declared is refused."""

from pathlib import Path

import pytest

from facts.site import Site
from stacks import custody, settings
from stacks.custody import CustodyError

HOSPITAL = Path(__file__).parent.parent / "sites" / "example-hospital"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site whose settings declare file://state and a passphrase."""
    text = (HOSPITAL / "Pulumi.hospital.yaml").read_text()
    (tmp_path / "Pulumi.hospital.yaml").write_text(text + "encryptionsalt: v1:aaaa\n")
    return Site(tmp_path)


def check(site: Site, **environ: str) -> None:
    custody.check(settings.load(site.stack_file("hospital")), site, "hospital", environ)


def test_the_declared_place_passes(site: Site) -> None:
    check(site, PULUMI_BACKEND_URL=f"file://{site.folder}/state")
    check(site, PULUMI_BACKEND_URL=f"file://{site.folder}/./x/../state/")


@pytest.mark.parametrize(
    "url",
    ["https://api.example.com", "file:///elsewhere/state", "s3://bucket", "file://~", "plain-folder"],
)
def test_another_place_is_refused(site: Site, url: str) -> None:
    with pytest.raises(CustodyError, match=r"state elsewhere than .*hospital\.yaml") as caught:
        check(site, PULUMI_BACKEND_URL=url)
    assert url not in str(caught.value)


def test_a_run_that_names_no_place_is_refused(site: Site) -> None:
    with pytest.raises(CustodyError, match="does not say where its state lives"):
        check(site)


def test_the_projects_own_backend_counts(site: Site, tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text(f"name: x\nbackend: {{url: 'file://{site.folder}/state'}}\n")
    check(Site(site.folder, root=tmp_path))


@pytest.mark.parametrize("provider", ["awskms://alias/x?region=us-east-1", "hashivault://other"])
def test_another_key_is_refused(site: Site, provider: str) -> None:
    file = site.stack_file("hospital")
    file.write_text(file.read_text() + f"secretsprovider: '{provider}'\n")
    with pytest.raises(CustodyError, match="another key") as caught:
        check(site, PULUMI_BACKEND_URL=f"file://{site.folder}/state")
    assert provider not in str(caught.value)


def test_the_file_that_the_engine_uses_is_the_one_that_counts(site: Site, tmp_path: Path) -> None:
    copy = tmp_path / "copy.yaml"
    copy.write_text("secretsprovider: hashivault://other\n")
    with pytest.raises(CustodyError, match="another key"):
        check(site, PULUMI_BACKEND_URL=f"file://{site.folder}/state", PULUMI_OPTION_CONFIG_FILE=str(copy))
