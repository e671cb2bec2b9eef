"""What `sovereign bootstrap` reads of the settings and of AWS, part by part."""

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cli import state_home
from cli.errors import BadInput, OperationFailed
from cli.state_home import Found, Home, Named, Setting
from stacks import settings
from tests.stacks.test_settings import FILE, PARIS, plain, put

STACK, REGION, ACCOUNT = "aws-paris-hds", "eu-west-3", "111122223333"
ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"


def home(**state: str) -> Home:
    data = plain(PARIS)
    for key, value in state.items():
        put(data, f"state.{key}", value)
    chosen = settings.parse(data, FILE)
    assert chosen.aws is not None
    return state_home.home_of(STACK, chosen, chosen.aws)


@pytest.mark.parametrize(
    ("provider", "named"),
    [
        pytest.param(
            f"awskms:///arn:aws:kms:{REGION}:{ACCOUNT}:alias/a?region={REGION}", "alias/a", id="arn"
        ),
        pytest.param(f"awskms:///alias/a?region={REGION}", "alias/a", id="alias"),
        pytest.param(f"awskms:///{ARN}?region={REGION}", ARN.partition("key/")[2], id="key by ARN"),
    ],
)
def test_a_key_is_read_as_the_settings_write_it(provider: str, named: str) -> None:
    found = home(secretsProvider=provider)
    assert found.secrets == Named(named, REGION)
    assert found.bucket == Named(f"{STACK}-state-{ACCOUNT}-{REGION}-an", REGION)
    assert found.bucket_key == Named(f"alias/{found.bucket.name}", REGION)


def test_a_key_in_another_region_than_its_url_says() -> None:
    with pytest.raises(BadInput, match="names a key of account 111122223333 in us-east-1"):
        home(secretsProvider=f"awskms:///arn:aws:kms:us-east-1:{ACCOUNT}:alias/a?region={REGION}")


def refusing(code: str, operation: str = "Get") -> Any:
    def call(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, operation)

    return call


def answering(**answer: Any) -> Any:
    return lambda **_: answer


def bucket(**calls: Any) -> Any:
    made = object.__new__(state_home._Bucket)
    made._s3, made._owned = SimpleNamespace(**calls), {}
    return made


def encrypted(*rules: dict[str, Any]) -> Any:
    return answering(ServerSideEncryptionConfiguration={"Rules": list(rules)})


_KEY = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": ARN}


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        pytest.param(refusing("ServerSideEncryptionConfigurationNotFoundError"), None, id="nothing set"),
        pytest.param(
            encrypted({"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}),
            None,
            id="what S3 does by itself",
        ),
        pytest.param(
            encrypted({"ApplyServerSideEncryptionByDefault": _KEY, "BucketKeyEnabled": True}),
            {"ApplyServerSideEncryptionByDefault": _KEY, "BucketKeyEnabled": True},
            id="a key",
        ),
        pytest.param(
            encrypted({"ApplyServerSideEncryptionByDefault": _KEY}),
            {"ApplyServerSideEncryptionByDefault": _KEY, "BucketKeyEnabled": False},
            id="a key without bucket keys",
        ),
    ],
)
def test_how_a_bucket_encrypts(answer: Any, read: Any) -> None:
    assert bucket(get_bucket_encryption=answer)._read_encryption() == read


def test_what_is_not_set_is_none_and_what_is_refused_is_not_taken_for_it() -> None:
    assert bucket(get_bucket_policy=refusing("NoSuchBucketPolicy"))._read_policy() is None
    assert bucket(get_bucket_policy=answering(Policy='{"a": 1}'))._read_policy() == {"a": 1}
    absent = refusing("OwnershipControlsNotFoundError")
    assert bucket(get_bucket_ownership_controls=absent)._read_ownership() is None
    for read in ("_read_policy", "_read_encryption", "_read_ownership"):
        denied = refusing("AccessDenied")
        closed = bucket(
            get_bucket_policy=denied, get_bucket_encryption=denied, get_bucket_ownership_controls=denied
        )
        with pytest.raises(ClientError, match="AccessDenied"):
            getattr(closed, read)()


def test_a_bucket_without_a_region_lies_in_virginia() -> None:
    assert bucket(get_bucket_location=answering(LocationConstraint=None))._read_region() == "us-east-1"
    assert bucket(get_bucket_location=answering(LocationConstraint=REGION))._read_region() == REGION


def key(name: str = "alias/a", **calls: Any) -> Any:
    made: Any = object.__new__(state_home._Key)
    made._kms, made.arn, made.name = SimpleNamespace(**calls), ARN, Named(name, REGION)
    made._home, made._policy, made._description = SimpleNamespace(stack=STACK), {}, "a key"
    return made


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        ({"KeyRotationEnabled": False}, None),
        ({"KeyRotationEnabled": True}, 365),
        ({"KeyRotationEnabled": True, "RotationPeriodInDays": 2560}, 2560),
    ],
)
def test_how_often_a_key_changes(answer: dict[str, Any], read: int | None) -> None:
    assert key(get_key_rotation_status=answering(**answer))._read_rotation() == read


def test_a_key_that_gets_no_name_is_told_so_that_no_second_one_is_made() -> None:
    made = key(
        create_key=answering(KeyMetadata={"Arn": ARN}), create_alias=refusing("LimitExceededException")
    )
    with pytest.raises(OperationFailed, match="is made, and AWS refused it the name alias/a") as caught:
        made.create()
    assert f"aws kms create-alias --alias-name alias/a --target-key-id {ARN} --region {REGION}" in str(
        caught.value
    )


class Part(state_home._Part):
    """A part that is this stack's or not, with one property."""

    def __init__(self, own: bool | None, seen: Any, fixed: bool = False) -> None:
        self.name, self.own, self.seen, self.fixed = Named("a", REGION), own, seen, fixed

    def found(self) -> bool | None:
        return self.own

    def create(self) -> None:
        self.seen = None

    def settings(self) -> Any:
        yield Setting("colour", "red", lambda: self.seen, None if self.fixed else self._paint)

    def _paint(self) -> None:
        self.seen = "red"


@pytest.mark.parametrize(
    ("part", "dry", "outcome", "after"),
    [
        pytest.param(Part(True, "red"), False, "as wanted", "red", id="as wanted"),
        pytest.param(Part(True, None), True, "would be completed", None, id="dry"),
        pytest.param(Part(True, None), False, "completed", "red", id="completed"),
        pytest.param(Part(True, "blue"), False, "differs", "blue", id="never changed"),
        pytest.param(Part(False, None), False, "differs", None, id="another's is not completed"),
        pytest.param(Part(True, None, fixed=True), False, "differs", None, id="only at once with the whole"),
        pytest.param(Part(None, None), True, "would be made", None, id="would be made"),
        pytest.param(Part(None, "blue"), False, "made", "red", id="made"),
    ],
)
def test_what_comes_of_a_part(part: Part, dry: bool, outcome: str, after: Any) -> None:
    found: Found = part.bring("thing", dry=dry)
    assert (found.outcome, part.seen) == (outcome, after)
    assert found.good is (outcome != "differs")


def test_the_order_of_a_list_is_no_difference_and_one_item_is_the_list_of_it() -> None:
    canonical = state_home._canonical
    assert canonical({"Action": ["b", "a"]}) == canonical({"Action": ["a", "b"]})
    assert canonical({"Principal": {"AWS": ["arn"]}}) == canonical({"Principal": {"AWS": "arn"}})
    assert canonical(["a", "b"]) != canonical(["a"])
