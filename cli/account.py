"""The AWS account of a stack, as a person's own credentials reach it: for the verbs that ask AWS themselves.

Credentials come from where AWS's own tools find them, and only while such a verb runs. Region and account
never do: those are the settings', and neither a variable nor a profile leads elsewhere.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cli.errors import BadInput, OperationFailed, Refused

if TYPE_CHECKING:
    from facts.zones import Zone
    from stacks.aws_settings import Aws
    from stacks.settings import Settings

#: how AWS says that it doesn't take somebody's credentials (docs.aws.amazon.com/IAM, common errors)
_NOT_TAKEN = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_SIGN_IN = (
    "sign in with AWS's own tool (`aws sso login`, then AWS_PROFILE), or set AWS_ACCESS_KEY_ID, "
    "AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"
)


class NoCredentials(BadInput):
    """Nobody has signed in."""


@dataclass(frozen=True)
class Account:
    """One account in one region; `caller` is the ARN of whoever asks."""

    number: str
    region: str
    caller: str
    session: Any
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict, compare=False, repr=False)

    def client(self, service: str, region: str | None = None) -> Any:
        """The client of a service, in the account's region or another one; made once, as each reads a whole
        model of its service."""
        key = (service, region or self.region)
        if key not in self._clients:
            self._clients[key] = _client(self.session, *key)
        return self._clients[key]


def ground_of(stack: str, settings: "Settings", zone: "Zone") -> "Aws":
    """What the settings say of AWS, where the zone allows it. Raises BadInput, Refused, UnknownRegion."""
    from facts import aws

    given = settings.aws
    if given is None:
        raise BadInput(f"{stack} stands on no account of AWS: its settings have no `aws`.")
    provider = aws.region(given.region).partition.provider
    if not zone.allows_region(provider, given.region):
        raise Refused(
            f"{stack}: aws.region is {given.region}, and zone {zone.name} names it nowhere under "
            f"`regions: {provider}:`. Nothing was asked of AWS."
        )
    if not zone.allows_account(provider, given.account):
        raise Refused(
            f"{stack}: aws.account is {given.account}, and zone {zone.name} names it nowhere under "
            f"`accounts: {provider}:`. Nothing was asked of AWS."
        )
    return given


def enter(given: "Aws") -> Account:
    """The account of the settings, by the credentials that there are. Raises NoCredentials, BadInput, Refused
    (they are another account's), OperationFailed."""
    import boto3

    with asking():
        session = boto3.Session(region_name=given.region)
        if session.get_credentials() is None:
            raise NoCredentials(f"There are no AWS credentials for account {given.account}: {_SIGN_IN}.")
        who = _client(session, "sts", given.region).get_caller_identity()
    if who["Account"] != given.account:
        raise Refused(
            f"These credentials are of account {who['Account']}, and the settings say aws.account: "
            f"{given.account}. Sign in there, or correct the settings; nothing was read or made."
        )
    return Account(given.account, given.region, who["Arn"], session)


@contextmanager
def asking() -> Iterator[None]:
    """Turns what AWS's client raises into a sentence. Raises BadInput, OperationFailed."""
    from botocore import exceptions

    try:
        yield
    except exceptions.ClientError as error:
        told = error.response.get("Error", {})
        code, message = told.get("Code", "no code"), str(told.get("Message", "")).rstrip(".")
        if code in _NOT_TAKEN:
            raise BadInput(f"AWS doesn't take these credentials ({code}): {_SIGN_IN}.") from None
        raise OperationFailed(
            f"AWS refused {error.operation_name} ({code}): {message}. Put that right, then run it again."
        ) from None
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
        raise NoCredentials(f"{_sentence(error)} To go on, {_SIGN_IN}.") from None
    except (
        exceptions.CredentialRetrievalError,
        exceptions.ProfileNotFound,
        exceptions.SSOError,
        exceptions.TokenRetrievalError,
    ) as error:
        raise BadInput(f"{_sentence(error)} To go on, {_SIGN_IN}.") from None
    except exceptions.BotoCoreError as error:
        raise OperationFailed(f"AWS can't be asked: {_sentence(error)} Then run it again.") from None


def _client(session: Any, service: str, region: str) -> Any:
    from botocore.config import Config

    # an address in the environment or a profile would lead elsewhere than the region of the settings
    config = Config(
        ignore_configured_endpoint_urls=True, retries={"mode": "standard"}, user_agent_appid="sovereign"
    )
    return session.client(service, region_name=region, config=config)


def _sentence(error: Exception) -> str:
    return f"{str(error).rstrip('.')}."
