"""Where a stack's state lives before there is a stack: a bucket with its key, and the key of its secrets.

What is there already is read, never changed: only what this stack's tag is on is completed, where a run was
interrupted. What differs is for a person to decide.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

from cli.account import Account, asking
from cli.errors import BadInput, OperationFailed

if TYPE_CHECKING:
    from stacks.aws_settings import Aws
    from stacks.settings import Settings

TAG: Final = "sovereign:stack"
_ROTATION: Final = 365
_KEY_ARN = re.compile(r"arn:aws[a-z-]*:kms:([a-z0-9-]+):(\d{12}):((?:alias|key)/.+)")
_BLOCKED: Final = dict.fromkeys(
    ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
)


@dataclass(frozen=True)
class Named:
    """A bucket or a key, by what the stack's settings call it, and its region."""

    name: str
    region: str


@dataclass(frozen=True)
class Home:
    """What is wanted: the bucket, and the key of the stack's secrets; whose they are, and who uses them."""

    stack: str
    account: str
    bucket: Named
    secrets: Named
    deployers: Sequence[str]

    @property
    def bucket_key(self) -> Named:
        """The bucket's own key: whoever may read the state need not be able to read its secrets."""
        return Named(f"alias/{self.bucket.name}", self.bucket.region)


@dataclass(frozen=True)
class Setting:
    """One property: what is wanted, how it is read (None: not set yet), how it is made (None: only at once
    with the whole)."""

    name: str
    wanted: Any
    read: Callable[[], Any]
    make: Callable[[], Any] | None = None


@dataclass
class Found:
    """A bucket or a key after a run. `outcome`: "made", "would be made", "completed", "would be completed",
    "as wanted", "differs" or "another's"."""

    what: str
    name: str
    region: str
    outcome: str
    made: list[str] = field(default_factory=list)
    differs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return self.outcome not in ("differs", "another's")


def home_of(stack: str, settings: "Settings", given: "Aws") -> Home:
    """What the settings say of it. Raises BadInput where that is no bucket and no key of the account."""
    state = settings.state
    bucket = urlsplit(state.backend)
    if bucket.scheme != "s3" or not bucket.netloc:
        raise BadInput(
            f"{stack}: state.backend is no bucket of S3, so there is nothing to make for it: name one "
            f"(s3://{stack}-state-{given.account}-{given.region}-an?region={given.region}&awssdk=v2)."
        )
    key = urlsplit(state.secrets_provider)
    alias = f"awskms:///arn:...:kms:{given.region}:{given.account}:alias/{stack}-state?region={given.region}"
    if key.scheme != "awskms":
        raise BadInput(
            f"{stack}: state.secretsProvider is no key of KMS, so there is none to make: name one ({alias})."
        )
    for part, url in (("backend", bucket), ("secretsProvider", key)):
        if "endpoint" in parse_qs(url.query):
            raise BadInput(
                f"{stack}: state.{part} names an endpoint of its own, and buckets and keys are made at AWS's: "
                "leave `endpoint` out, or make them where it leads."
            )
    named = f"{key.netloc}{key.path}".lstrip("/")
    found = _KEY_ARN.fullmatch(named)
    if found and (found[1], found[2]) != (_region(key.query), given.account):
        raise BadInput(
            f"{stack}: state.secretsProvider names a key of account {found[2]} in {found[1]}, and the "
            f"settings say account {given.account} and region {_region(key.query)}: correct one of them."
        )
    name = found[3].removeprefix("key/") if found else named
    return Home(
        stack,
        given.account,
        Named(bucket.netloc, _region(bucket.query)),
        Named(name, _region(key.query)),
        given.people.deployers,
    )


def expected(home: Home) -> list[Found]:
    """What is made where nothing is there."""
    secrets = "would be made" if home.secrets.name.startswith("alias/") else "would be read"
    return [
        Found("key of the bucket", home.bucket_key.name, home.bucket_key.region, "would be made"),
        Found("key of the secrets", home.secrets.name, home.secrets.region, secrets),
        Found("bucket of the state", home.bucket.name, home.bucket.region, "would be made"),
    ]


def bring(home: Home, account: Account, *, dry: bool) -> Iterator[Found]:
    """Reads what is there and makes what isn't, or says what it would make. Raises BadInput,
    OperationFailed."""
    with asking():
        bucket_key = _Key(home, account, home.bucket_key, "s3", f"State of {home.stack}")
        yield bucket_key.bring("key of the bucket", dry=dry)
        secrets = _Key(home, account, home.secrets, "", f"Secrets of the state of {home.stack}")
        yield secrets.bring("key of the secrets", dry=dry)
        yield _Bucket(home, account, bucket_key).bring("bucket of the state", dry=dry)


class _Part:
    """What a bucket and a key have in common."""

    name: Named

    def found(self) -> bool | None:
        """Whether it is there and this stack's; None where there is none. Raises Anothers."""
        raise NotImplementedError

    def create(self) -> None:
        raise NotImplementedError

    def settings(self) -> Iterator[Setting]:
        raise NotImplementedError

    def bring(self, what: str, *, dry: bool) -> Found:
        said = Found(what, self.name.name, self.name.region, "as wanted")
        try:
            own = self.found()
        except Anothers as error:
            said.outcome = "another's"
            said.differs.append({"setting": "owner", "wanted": error.wanted, "seen": error.seen})
            return said
        new = own is None
        if new and dry:
            said.outcome = "would be made"
            return said
        if new:
            self.create()
        for setting in self.settings():
            seen = setting.read()
            if _canonical(seen) == _canonical(setting.wanted):
                continue
            if seen is None and setting.make is not None and (new or own):
                said.made.append(setting.name)
                if not dry:
                    setting.make()
            else:
                said.differs.append({"setting": setting.name, "wanted": setting.wanted, "seen": seen})
        if said.differs:
            said.outcome = "differs"
        elif new:
            said.outcome = "made"
        elif said.made:
            said.outcome = "would be completed" if dry else "completed"
        return said


class Anothers(Exception):
    """It is there, and somebody else's."""

    def __init__(self, wanted: str, seen: str) -> None:
        self.wanted, self.seen = wanted, seen


class _Key(_Part):
    def __init__(self, home: Home, account: Account, name: Named, service: str, description: str) -> None:
        from components.aws import keys
        from facts import aws

        self.name, self._home, self._description = name, home, description
        self._kms = account.client("kms", name.region)
        region = aws.region(name.region)
        self._policy = keys.state_policy(region, home.account, home.deployers, service)
        self.arn: str | None = None
        self._seen: Mapping[str, Any] = {}

    def found(self) -> bool | None:
        try:
            self._see()
        except self._kms.exceptions.NotFoundException:
            if not self.name.name.startswith("alias/"):
                raise BadInput(
                    f"There is no key {self.name.name} in {self.name.region}, and none can be made with that "
                    "id, because KMS chooses it. Name the key by an alias in state.secretsProvider: "
                    f"awskms:///arn:...:alias/{self._home.stack}-state?region={self.name.region}."
                ) from None
            return None
        if self._seen["AWSAccountId"] != self._home.account:
            raise Anothers(self._home.account, str(self._seen["AWSAccountId"]))
        tags = self._kms.list_resource_tags(KeyId=self.arn)["Tags"]
        return {"TagKey": TAG, "TagValue": self._home.stack} in tags

    def create(self) -> None:
        from botocore.exceptions import ClientError

        made = self._kms.create_key(
            Policy=json.dumps(self._policy),
            Description=self._description,
            KeySpec="SYMMETRIC_DEFAULT",
            KeyUsage="ENCRYPT_DECRYPT",
            MultiRegion=False,
            Tags=[{"TagKey": TAG, "TagValue": self._home.stack}],
        )
        self.arn = made["KeyMetadata"]["Arn"]
        try:
            self._kms.create_alias(AliasName=self.name.name, TargetKeyId=self.arn)
        except ClientError as error:
            told = error.response.get("Error", {})
            raise OperationFailed(
                f"The key {self.arn} is made, and AWS refused it the name {self.name.name} "
                f"({told.get('Code', 'no code')}). Give it that name (`aws kms create-alias --alias-name "
                f"{self.name.name} --target-key-id {self.arn} --region {self.name.region}`), then run this "
                "again: without it another key would be made."
            ) from None
        self._see()

    def settings(self) -> Iterator[Setting]:
        for name, wanted in (
            ("KeyState", "Enabled"),
            ("KeySpec", "SYMMETRIC_DEFAULT"),
            ("KeyUsage", "ENCRYPT_DECRYPT"),
            ("MultiRegion", False),
            ("Origin", "AWS_KMS"),
        ):
            yield Setting(name, wanted, lambda name=name: self._seen[name])  # type: ignore[misc]
        yield Setting("policy", self._policy, self._read_policy)
        yield Setting(
            "rotation",
            _ROTATION,
            self._read_rotation,
            lambda: self._kms.enable_key_rotation(KeyId=self.arn, RotationPeriodInDays=_ROTATION),
        )

    def _see(self) -> None:
        self._seen = self._kms.describe_key(KeyId=self.name.name)["KeyMetadata"]
        self.arn = self._seen["Arn"]

    def _read_policy(self) -> Any:
        return json.loads(self._kms.get_key_policy(KeyId=self.arn, PolicyName="default")["Policy"])

    def _read_rotation(self) -> Any:
        said = self._kms.get_key_rotation_status(KeyId=self.arn)
        # a year where AWS names no period
        return said.get("RotationPeriodInDays", _ROTATION) if said["KeyRotationEnabled"] else None


class _Bucket(_Part):
    def __init__(self, home: Home, account: Account, key: _Key) -> None:
        self.name, self._home, self._key = home.bucket, home, key
        self._s3 = account.client("s3", home.bucket.region)
        self._owned = {"Bucket": home.bucket.name, "ExpectedBucketOwner": home.account}

    def found(self) -> bool | None:
        from botocore.exceptions import ClientError

        try:
            self._s3.head_bucket(**self._owned)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status == 404:
                return None
            if status == 403:
                raise Anothers(self._home.account, "an account that doesn't let this one in") from None
            raise
        tags = self._asked("get_bucket_tagging", "NoSuchTagSet", "TagSet") or []
        return {"Key": TAG, "Value": self._home.stack} in tags

    def create(self) -> None:
        name, region = self.name.name, self.name.region
        # a name in the account's own namespace is nobody else's to take
        own = f"-{self._home.account}-{region}-an"
        namespace = {"BucketNamespace": "account-regional"} if name.endswith(own) else {}
        self._s3.create_bucket(
            Bucket=name,
            CreateBucketConfiguration={"LocationConstraint": region},
            ObjectOwnership="BucketOwnerEnforced",
            **namespace,
        )
        self._s3.put_bucket_tagging(
            **self._owned, Tagging={"TagSet": [{"Key": TAG, "Value": self._home.stack}]}
        )

    def settings(self) -> Iterator[Setting]:
        from components.aws.bucket import tls_only
        from components.aws.policy import plain
        from facts import aws

        s3, owned = self._s3, self._owned
        arn = aws.region(self.name.region).partition.arn("s3", self.name.name)
        policy = plain(*tls_only([arn, f"{arn}/*"]))
        encryption = {
            "ApplyServerSideEncryptionByDefault": {
                "SSEAlgorithm": "aws:kms",
                "KMSMasterKeyID": self._key.arn,
            },
            "BucketKeyEnabled": True,
        }
        yield Setting("region", self.name.region, self._read_region)
        yield Setting(
            "ownership",
            "BucketOwnerEnforced",
            self._read_ownership,
            lambda: s3.put_bucket_ownership_controls(
                **owned, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
            ),
        )
        yield Setting(
            "public access",
            _BLOCKED,
            lambda: self._asked(
                "get_public_access_block",
                "NoSuchPublicAccessBlockConfiguration",
                "PublicAccessBlockConfiguration",
            ),
            lambda: s3.put_public_access_block(**owned, PublicAccessBlockConfiguration=_BLOCKED),
        )
        yield Setting(
            "encryption",
            encryption,
            self._read_encryption,
            lambda: s3.put_bucket_encryption(
                **owned, ServerSideEncryptionConfiguration={"Rules": [encryption]}
            ),
        )
        yield Setting(
            "versioning",
            "Enabled",
            lambda: s3.get_bucket_versioning(**owned).get("Status"),
            lambda: s3.put_bucket_versioning(**owned, VersioningConfiguration={"Status": "Enabled"}),
        )
        yield Setting(
            "policy",
            policy,
            self._read_policy,
            lambda: s3.put_bucket_policy(**owned, Policy=json.dumps(policy)),
        )

    def _read_region(self) -> Any:
        said = self._s3.get_bucket_location(**self._owned)
        return said.get("LocationConstraint") or "us-east-1"

    def _read_ownership(self) -> Any:
        said = self._asked(
            "get_bucket_ownership_controls", "OwnershipControlsNotFoundError", "OwnershipControls"
        )
        return said and said["Rules"][0]["ObjectOwnership"]

    def _read_encryption(self) -> Any:
        said = self._asked(
            "get_bucket_encryption",
            "ServerSideEncryptionConfigurationNotFoundError",
            "ServerSideEncryptionConfiguration",
        )
        rule = said and said["Rules"][0]
        chosen = rule and rule["ApplyServerSideEncryptionByDefault"]
        if not chosen or (chosen["SSEAlgorithm"] == "AES256" and len(said["Rules"]) == 1):
            return None  # what S3 does where nobody has said anything
        return {
            "ApplyServerSideEncryptionByDefault": chosen,
            "BucketKeyEnabled": rule.get("BucketKeyEnabled", False),
        }

    def _read_policy(self) -> Any:
        said = self._asked("get_bucket_policy", "NoSuchBucketPolicy", "Policy")
        return said and json.loads(said)

    def _asked(self, call: str, absent: str, key: str) -> Any:
        """An answer's member; None where nothing of the kind is set."""
        from botocore.exceptions import ClientError

        try:
            return getattr(self._s3, call)(**self._owned)[key]
        except ClientError as error:
            if error.response["Error"]["Code"] == absent:
                return None
            raise


def _region(query: str) -> str:
    found: Sequence[str] = parse_qs(query).get("region", [""])
    return found[0]


def _canonical(value: Any) -> Any:
    """AWS gives lists in its own order, and a list of one as its item."""
    if isinstance(value, Mapping):
        return {key: _canonical(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        items = sorted(
            (_canonical(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True)
        )
        return items[0] if len(items) == 1 else items
    return value
