"""`sovereign waiver`: written, signed by two, listed, and seen by `policy eval`."""

import json
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.cli.conftest import ZONE
from tests.cli.support import Sovereign

MANIFEST = """\
apiVersion: v1
kind: Pod
metadata: {name: tool, namespace: llm-serving}
spec: {containers: [{name: tool, image: registry.example.com/tool:1}]}
"""


@pytest.fixture
def signers(tmp_path: Path, site: Path) -> Path:
    """A zone with two signers, whose private keys lie beside it."""
    public = {}
    for name in ("Ana", "Jean"):
        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (tmp_path / f"{name}.pem").write_bytes(private)
        public[name] = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    zone = site / "zones" / "test.yaml"
    zone.write_text(ZONE + yaml.safe_dump({"signers": public}), encoding="utf-8")
    return zone


def new(sovereign: Sovereign, site: Path, **changes: str) -> list[str]:
    given = {
        "owner": "Ana",
        "approver": "Jean",
        "reason": "the vendor's fix is due in January",
        "asked": "2026-11-25",
        "expires": "2026-12-15",
        **changes,
    }
    urn = "urn:pulumi:*::*::kubernetes:core/v1:Pod::llm-serving/tool"
    options = [part for key, value in given.items() for part in (f"--{key}", value)]
    return ["--site", str(site), "waiver", "new", "images.pinned", urn, *options]


def test_two_sign_and_the_finding_stands(
    sovereign: Sovereign, site: Path, signers: Path, tmp_path: Path
) -> None:
    assert sovereign(*new(sovereign, site)).exit_code == 0
    file = site / "waivers" / "images-pinned.yaml"
    listed = sovereign("--site", site, "waiver", "list", "--zone", signers, "--at", "2026-11-25")
    assert listed.exit_code == 1
    assert "does not hold: signatures: Ana has not signed it" in listed.output
    for name in ("Ana", "Jean"):
        done = sovereign(
            "--site", site, "waiver", "sign", file, "--as", name, "--key", tmp_path / f"{name}.pem"
        )
        assert done.exit_code == 0, done.output
    assert "yet to sign" not in done.output
    listed = sovereign("--site", site, "waiver", "list", "--zone", signers, "--at", "2026-11-25", "--json")
    assert listed.exit_code == 0, listed.output
    assert json.loads(listed.stdout)[0]["state"] == "holds, ends in 20 days"
    state = tmp_path / "state.json"
    inputs = yaml.safe_load(MANIFEST)
    urn = "urn:pulumi:lyon::sovereign::kubernetes:core/v1:Pod::llm-serving/tool"
    resource = {"urn": urn, "type": "kubernetes:core/v1:Pod", "custom": True, "inputs": inputs}
    state.write_text(json.dumps({"version": 3, "deployment": {"resources": [resource]}}), encoding="utf-8")
    asked = ("--site", site, "policy", "eval", "--zone", signers, state)

    def rules(*options: str) -> set[str]:
        done = sovereign(*asked, "--json", *options)
        return {one["rule"] for one in json.loads(done.stdout)["findings"]}

    assert "images.pinned" not in rules("--at", "2026-12-01")
    shown = sovereign(*asked, "--at", "2026-12-01").output
    assert "waived K16 images.pinned" in shown
    assert "until 2026-12-15, by Ana and Jean (images-pinned.yaml); ends in 14 days" in shown
    assert "images.pinned" not in rules("--at", "2027-01-01"), "what is released stays as it is"


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"reason": "x"}, "reason"), ({"expires": "soon"}, "does not match the format")],
)
def test_bad_words_are_told(
    sovereign: Sovereign, site: Path, signers: Path, changes: dict[str, str], told: str
) -> None:
    done = sovereign(*new(sovereign, site, **changes))
    assert done.exit_code == 2, done.output
    assert told in done.output
    assert "Traceback" not in done.output
    assert not (site / "waivers" / "images-pinned.yaml").exists()


def test_what_cannot_be_waived_or_signed_is_told(
    sovereign: Sovereign, site: Path, signers: Path, tmp_path: Path
) -> None:
    asked = new(sovereign, site)
    asked[asked.index("images.pinned")] = "closed-world.command"
    assert "can't be waived" in sovereign(*asked).output
    asked[asked.index("closed-world.command")] = "nothing.such"
    assert "There is no rule 'nothing.such'" in sovereign(*asked).output
    sovereign(*new(sovereign, site))
    file = site / "waivers" / "images-pinned.yaml"
    other = sovereign("--site", site, "waiver", "sign", file, "--as", "Eve", "--key", tmp_path / "Ana.pem")
    assert "Eve is neither its owner Ana nor its approver Jean" in other.output
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    bad = sovereign("--site", site, "waiver", "sign", file, "--as", "Ana", "--key", empty)
    assert bad.exit_code == 2
    assert "holds no ed25519 private key" in bad.output
