"""`sovereign bootstrap`: made once, read ever after, and never in another place than the settings and the zone
say. AWS is moto here, in this process: what only AWS itself refuses is not shown."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from moto import mock_aws

from cli import account
from facts.site import ROOT
from tests.cli.support import Sovereign
from tests.stacks.test_settings import put

STACK, REGION, ACCOUNT = "aws-paris-hds", "eu-west-3", "111122223333"
BUCKET = f"{STACK}-state-{ACCOUNT}-{REGION}-an"
ALIASES = [f"alias/{STACK}-state", f"alias/{BUCKET}"]
DEPLOYER = f"arn:aws:iam::{ACCOUNT}:role/llm-deployer"


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An AWS of this test's own, and nothing of the user's."""
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with mock_aws():
        yield


@pytest.fixture
def own_site(tmp_path: Path) -> Path:
    """A site with the stack and its zone, to be changed."""
    (tmp_path / "zones").mkdir()
    for file in (f"Pulumi.{STACK}.yaml", f"zones/{STACK}.yaml"):
        (tmp_path / file).write_text((ROOT / "stacks" / file).read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


def change(file: Path, key: str, value: Any) -> None:
    data = yaml.safe_load(file.read_text(encoding="utf-8"))
    place = data["config"]["sovereign:settings"] if "config" in data else data
    put(place, key, value)
    file.write_text(yaml.safe_dump(data), encoding="utf-8")


def client(service: str) -> Any:
    return boto3.client(service, region_name=REGION)


def outcomes(said: str) -> list[str]:
    return [part["outcome"] for part in json.loads(said)["parts"]]


def buckets() -> list[str]:
    return [one["Name"] for one in client("s3").list_buckets()["Buckets"]]


def aliases() -> list[str]:
    found = [one["AliasName"] for one in client("kms").list_aliases()["Aliases"]]
    return sorted(name for name in found if not name.startswith("alias/aws/"))


def test_a_dry_run_makes_nothing(sovereign: Sovereign) -> None:
    done = sovereign("bootstrap", STACK, "--dry-run", "--json")
    assert (done.exit_code, outcomes(done.stdout)) == (0, ["would be made"] * 3)
    assert (buckets(), aliases()) == ([], [])


def test_bucket_and_keys_are_made_as_the_settings_say(sovereign: Sovereign) -> None:
    done = sovereign("bootstrap", STACK, "--json")
    assert (done.exit_code, outcomes(done.stdout)) == (0, ["made"] * 3)
    assert (buckets(), aliases()) == ([BUCKET], ALIASES)
    s3, kms, owned = client("s3"), client("kms"), {"Bucket": BUCKET}
    key = kms.describe_key(KeyId=f"alias/{BUCKET}")["KeyMetadata"]["Arn"]
    rule = s3.get_bucket_encryption(**owned)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    assert s3.get_bucket_versioning(**owned)["Status"] == "Enabled"
    assert all(s3.get_public_access_block(**owned)["PublicAccessBlockConfiguration"].values())
    assert s3.get_bucket_location(**owned)["LocationConstraint"] == REGION
    denied = json.loads(s3.get_bucket_policy(**owned)["Policy"])["Statement"]
    assert [(one["Effect"], one["Action"]) for one in denied] == [("Deny", "s3:*")] * 2
    for name, service in ((f"alias/{BUCKET}", f"s3.{REGION}.amazonaws.com"), (f"alias/{STACK}-state", None)):
        found = kms.describe_key(KeyId=name)["KeyMetadata"]
        assert (found["MultiRegion"], found["KeySpec"]) == (False, "SYMMETRIC_DEFAULT")
        assert kms.get_key_rotation_status(KeyId=found["Arn"])["KeyRotationEnabled"]
        policy = json.loads(kms.get_key_policy(KeyId=found["Arn"], PolicyName="default")["Policy"])
        use = next(one for one in policy["Statement"] if "kms:Decrypt" in one["Action"])
        assert use["Principal"] == {"AWS": [DEPLOYER]}
        via = use.get("Condition", {}).get("StringEquals", {}).get("kms:ViaService")
        assert via == service


def test_nobody_can_end_the_keys(sovereign: Sovereign) -> None:
    sovereign("bootstrap", STACK)
    kms = client("kms")
    key = kms.describe_key(KeyId=f"alias/{STACK}-state")["KeyMetadata"]["Arn"]
    policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    denied = next(one for one in policy["Statement"] if one["Effect"] == "Deny")
    assert {"kms:DisableKey", "kms:ScheduleKeyDeletion"} <= set(denied["Action"])
    assert denied["Principal"] == {"AWS": "*"}


def test_a_second_run_changes_nothing(sovereign: Sovereign) -> None:
    sovereign("bootstrap", STACK)
    before = aliases()
    done = sovereign("bootstrap", STACK, "--json")
    assert (done.exit_code, outcomes(done.stdout)) == (0, ["as wanted"] * 3)
    assert aliases() == before


def test_what_was_interrupted_is_completed(sovereign: Sovereign) -> None:
    sovereign("bootstrap", STACK)
    s3 = client("s3")
    s3.delete_bucket_policy(Bucket=BUCKET)
    s3.delete_public_access_block(Bucket=BUCKET)
    dry = sovereign("bootstrap", STACK, "--dry-run", "--json")
    assert outcomes(dry.stdout)[2] == "would be completed"
    with pytest.raises(ClientError):
        s3.get_bucket_policy(Bucket=BUCKET)
    done = sovereign("bootstrap", STACK, "--json")
    assert (done.exit_code, outcomes(done.stdout)[2]) == (0, "completed")
    assert json.loads(done.stdout)["parts"][2]["made"] == ["public access", "policy"]
    assert s3.get_bucket_policy(Bucket=BUCKET)


def test_what_differs_is_told_and_left(sovereign: Sovereign) -> None:
    sovereign("bootstrap", STACK)
    s3, kms = client("s3"), client("kms")
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
    key = kms.describe_key(KeyId=f"alias/{STACK}-state")["KeyMetadata"]["Arn"]
    open_to_all = {
        "Statement": [{"Sid": "All", "Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}]
    }
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(open_to_all))
    done = sovereign("bootstrap", STACK)
    assert done.exit_code == 1
    assert "bucket of the state: versioning is Suspended, wanted is Enabled" in done.stdout
    assert "key of the secrets: policy is a policy with All, wanted is a policy with Admin" in done.stdout
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Suspended"
    kept = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    assert kept == open_to_all


def test_what_is_not_this_stacks_is_not_even_completed(sovereign: Sovereign) -> None:
    client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    done = sovereign("bootstrap", STACK, "--json")
    assert (done.exit_code, outcomes(done.stdout)) == (1, ["made", "made", "differs"])
    differs = json.loads(done.stdout)["parts"][2]["differs"]
    assert ("policy", None) in [(one["setting"], one["seen"]) for one in differs]
    with pytest.raises(ClientError):
        client("s3").get_bucket_policy(Bucket=BUCKET)


def test_a_bucket_elsewhere_is_told(sovereign: Sovereign) -> None:
    there = boto3.client("s3", region_name="eu-west-1")
    there.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    done = sovereign("bootstrap", STACK)
    assert done.exit_code == 1
    assert "bucket of the state: region is eu-west-1, wanted is eu-west-3" in done.stdout


def test_a_bucket_of_another_account_is_left(sovereign: Sovereign, monkeypatch: pytest.MonkeyPatch) -> None:
    """moto lets everybody look at every bucket, so AWS's answer is put in its place."""
    call = BaseClient._make_api_call

    def asked(self: Any, operation: str, parameters: Any) -> Any:
        if operation == "HeadBucket":
            assert parameters == {"Bucket": BUCKET, "ExpectedBucketOwner": ACCOUNT}
            said = {"Error": {"Code": "403"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
            raise ClientError(said, operation)
        return call(self, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", asked)
    done = sovereign("bootstrap", STACK, "--json")
    assert (done.exit_code, outcomes(done.stdout)[2]) == (1, "another's")
    assert buckets() == []


def test_credentials_of_another_account_are_refused(
    sovereign: Sovereign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", "999988887777")
    done = sovereign("bootstrap", STACK)
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].startswith(
        f"These credentials are of account 999988887777, and the settings say aws.account: {ACCOUNT}."
    )
    assert (buckets(), aliases()) == ([], [])


def without_credentials(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Nobody has signed in: no variable, no file, no machine that answers."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(home / "config"))


def test_without_credentials_it_says_how_to_sign_in(
    sovereign: Sovereign, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without_credentials(monkeypatch, tmp_path)
    done = sovereign("bootstrap", STACK)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"There are no AWS credentials for account {ACCOUNT}: sign in with")


def test_a_dry_run_needs_no_credentials(
    sovereign: Sovereign, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without_credentials(monkeypatch, tmp_path)
    done = sovereign("bootstrap", STACK, "--dry-run")
    assert done.exit_code == 0
    assert "Nothing was read: this is what is made where nothing is there." in done.stderr
    assert done.stdout.count("would be made") == 3


def test_a_profile_that_is_not_there(sovereign: Sovereign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    done = sovereign("bootstrap", STACK)
    assert done.exit_code == 2
    assert "profile (nobody)" in done.stderr
    assert "sign in with AWS's own tool" in done.stderr


def test_no_variable_leads_to_another_region_or_host(
    sovereign: Sovereign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://s3.example.com")
    done = sovereign("bootstrap", STACK, "--json")
    assert (done.exit_code, outcomes(done.stdout)) == (0, ["made"] * 3)
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert client("s3").get_bucket_location(Bucket=BUCKET)["LocationConstraint"] == REGION
    assert aliases() == ALIASES


@pytest.mark.parametrize(
    ("file", "key", "value", "code", "told"),
    [
        ("zone", "accounts", {"aws": ["999988887777"]}, 1, "aws.account is 111122223333, and zone"),
        ("zone", "regions", {"aws": ["eu-west-1"]}, 2, "eu-west-1 lies in IE"),
        ("stack", "state.backend", "s3://state?region=eu-north-1&awssdk=v2", 1, "P18 state.backend"),
        ("stack", "state.backend", "s3://state", 1, "P18 state.backend"),
        ("stack", "state.backend", "file://state", 2, "state.backend is no bucket of S3"),
        (
            "stack",
            "state.secretsProvider",
            "awskms:///arn:aws:kms:us-east-1:111122223333:alias/state?region=us-east-1",
            1,
            "P19 state.secretsProvider",
        ),
        (
            "stack",
            "state.secretsProvider",
            "awskms:///arn:aws:kms:eu-west-3:999988887777:alias/state?region=eu-west-3",
            2,
            "names a key of account 999988887777 in eu-west-3",
        ),
        ("stack", "state.secretsProvider", "passphrase", 2, "state.secretsProvider is no key of KMS"),
        (
            "stack",
            "state.secretsProvider",
            "awskms:///arn:aws:kms:eu-west-3:111122223333:key/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
            "?region=eu-west-3",
            2,
            "none can be made with that id, because KMS chooses it",
        ),
    ],
)
def test_nothing_is_made_elsewhere_than_zone_and_settings_agree_on(
    sovereign: Sovereign, own_site: Path, file: str, key: str, value: Any, code: int, told: str
) -> None:
    change(own_site / (f"Pulumi.{STACK}.yaml" if file == "stack" else f"zones/{STACK}.yaml"), key, value)
    done = sovereign("--site", own_site, "bootstrap", STACK)
    assert (done.exit_code, told in done.stderr) == (code, True), done.stderr
    assert buckets() == []


def test_an_endpoint_of_ones_own_is_none_of_awss(sovereign: Sovereign, own_site: Path) -> None:
    change(own_site / f"zones/{STACK}.yaml", "hosts", ["s3.hospital.example"])
    url = "s3://state?region=eu-west-3&endpoint=https://s3.hospital.example"
    change(own_site / f"Pulumi.{STACK}.yaml", "state.backend", url)
    done = sovereign("--site", own_site, "bootstrap", STACK)
    assert done.exit_code == 2
    assert "state.backend names an endpoint of its own" in done.stderr


def test_a_stack_of_ones_own_cluster_has_nothing_to_make(sovereign: Sovereign) -> None:
    done = sovereign("bootstrap", "local")
    assert (done.exit_code, "stands on no account of AWS" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("code", "exit_code", "told"),
    [
        ("ExpiredToken", 2, "AWS doesn't take these credentials (ExpiredToken): sign in"),
        ("AccessDenied", 3, "AWS refused CreateBucket (AccessDenied): no. Put that right"),
    ],
)
def test_what_aws_says_becomes_a_sentence(code: str, exit_code: int, told: str) -> None:
    error = ClientError({"Error": {"Code": code, "Message": "no."}}, "CreateBucket")
    with pytest.raises(Exception, match=code) as caught, account.asking():
        raise error
    assert told in str(caught.value)
    assert getattr(caught.value, "exit_code", None) == exit_code
