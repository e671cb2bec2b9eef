"""`sovereign handover`: the files for those who make what a stack may not make itself."""

import json
from pathlib import Path

import yaml

from facts.site import ROOT
from tests.cli.support import Sovereign

LANDING_ZONE = ROOT / "tests" / "sites" / "landing-zone"


def test_the_owner_of_the_organisation_gets_the_guard_of_regions(
    sovereign: Sovereign, tmp_path: Path
) -> None:
    done = sovereign("handover", "aws-paris-hds", "--to", tmp_path / "for" / "others", "--json")
    assert done.exit_code == 0, done.output
    file = tmp_path / "for" / "others" / "deny-regions.json"
    assert json.loads(done.stdout) == {
        "stack": "aws-paris-hds",
        "dry": False,
        "written": [{"file": str(file), "for": "the owner of the organisation"}],
    }
    regions, never, locks = json.loads(file.read_text())["Statement"]
    assert regions["Condition"] == {"StringNotEquals": {"aws:RequestedRegion": ["eu-west-3"]}}
    assert "cloudtrail:DeleteTrail" in never["Action"]
    assert locks["Condition"] == {
        "ArnNotEquals": {"aws:PrincipalArn": ["arn:aws:iam::111122223333:role/llm-deployer"]}
    }


def test_the_owner_of_a_shared_cluster_gets_its_objects(sovereign: Sovereign, tmp_path: Path) -> None:
    done = sovereign("--site", LANDING_ZONE, "handover", "radiology", "--to", tmp_path)
    assert done.exit_code == 0, done.output
    assert {file.name for file in tmp_path.iterdir()} == {"deny-regions.json", "cluster.yaml"}
    objects = list(yaml.safe_load_all((tmp_path / "cluster.yaml").read_text(encoding="utf-8")))
    assert {"Namespace", "PriorityClass", "Role", "RoleBinding"} <= {one["kind"] for one in objects}
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == [
        str(tmp_path / "deny-regions.json"),
        str(tmp_path / "cluster.yaml"),
    ]


def test_a_dry_run_writes_nothing(sovereign: Sovereign, tmp_path: Path) -> None:
    done = sovereign("handover", "aws-paris-hds", "--to", tmp_path / "none", "--dry-run")
    assert done.exit_code == 0, done.output
    assert "deny-regions.json" in done.stdout
    assert not (tmp_path / "none").exists()


def test_a_stack_that_makes_everything_itself_says_so(sovereign: Sovereign, tmp_path: Path) -> None:
    done = sovereign("handover", "local", "--to", tmp_path / "none")
    assert done.exit_code == 2
    assert "local makes all that it needs itself" in done.stderr
    assert not (tmp_path / "none").exists()


def test_a_folder_that_cannot_be_written_is_named(sovereign: Sovereign, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = sovereign("handover", "aws-paris-hds", "--to", tmp_path / "file" / "inside")
    assert done.exit_code == 3
    assert f"The system answered 'Not a directory' at {tmp_path / 'file'}" in done.stderr
