"""A site of one's own outside the checkout, and the command in-process."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import app
from tests.cli.support import Sovereign

ZONE = """\
name: test
countries: [FR]
eea: required
operators: [Hospital]
certifications: [HDS]
regions: {onprem: [room-1]}
registries: [registry.test.internal]
hosts: ["*.test.internal"]
networks: [10.0.0.0/8]
"""


@pytest.fixture
def zone_file(tmp_path: Path) -> Path:
    file = tmp_path / "zone.yaml"
    file.write_text(ZONE, encoding="utf-8")
    return file


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    (folder / "zones").mkdir(parents=True)
    (folder / "zones" / "test.yaml").write_text(ZONE, encoding="utf-8")
    return folder


@pytest.fixture
def sovereign(monkeypatch: pytest.MonkeyPatch) -> Sovereign:
    """Runs the command in this process; `input` goes to its standard input."""
    monkeypatch.delenv("SOVEREIGN_SITE", raising=False)
    monkeypatch.delenv("SOVEREIGN_DEBUG", raising=False)

    def run(*arguments: object, input: str | bytes | None = None) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], input=input)

    return run
