"""Keys, buckets, roles and endpoint policies of a stack, made by the calls of calls.yaml and read back.

Made at moto, which runs in this process and stands for AWS. It allows what AWS refuses, about Object Lock
among other things: so nothing here shows that a lock holds, only that its configuration arrives as planned.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest
import yaml
from botocore import xform_name
from botocore.exceptions import ClientError
from moto import mock_aws

from facts.site import ROOT
from policies.model import Resource
from tests.aws.calls import Call, calls
from tests.support.aws_stacks import PARIS, Rendered, rendered

_TABLE: Mapping[str, Any] = yaml.safe_load(
    (ROOT / "tests" / "aws" / "read_back.yaml").read_text(encoding="utf-8")
)


class Account:
    """An account at moto, in which a plan is made."""

    def __init__(self, stack: Rendered) -> None:
        assert stack.settings.aws is not None
        self._stack, self._region = stack, stack.settings.aws.region
        #: what a review has for an id -> what moto has
        self._ids: dict[str, str] = {}
        #: with which parameters a resource was made, by URN
        self.made: dict[str, dict[str, Any]] = {}
        self._clients: dict[str, Any] = {}

    def make(self, resource: Resource) -> None:
        """Makes a resource, after those that it names."""
        answers = self._stack.answers[resource.urn]
        first, *others = calls(resource, {"region": self._region, **answers})
        said = self.say(first)
        for answer, path in _TABLE[resource.type].get("tells", {}).items():
            self._ids[answers[answer]] = at(said, path)
        for call in others:
            self.say(call)
        sent = {key: value for call in (first, *others) for key, value in call.parameters.items()}
        self.made[resource.urn] = self._named(sent)

    def say(self, call: Call) -> Any:
        if call.service not in self._clients:
            self._clients[call.service] = boto3.client(call.service, region_name=self._region)
        return getattr(self._clients[call.service], xform_name(call.operation))(
            **self._named(call.parameters)
        )

    def differences(self, resource: Resource) -> list[str]:
        """What is read otherwise than it was planned."""
        sent = self.made[resource.urn]
        found = []
        for read in _TABLE[resource.type]["reads"]:
            service, _, operation = read["call"].partition(".")
            call = Call(
                service,
                operation,
                {name: self._asked(resource, source) for name, source in read["with"].items()},
            )
            said = self.say(call)
            found += [
                f"{resource.name} {operation} {path}: {at(said, path)!r}, planned {at(sent, planned)!r}"
                for path, planned in read["same"].items()
                if at(sent, planned) is not None and not _same(path, at(said, path), at(sent, planned))
            ]
            found += [
                f"{resource.name} {operation} {path}: {at(said, path)!r}, not {value!r}"
                for path, value in read.get("is", {}).items()
                if at(said, path) != value
            ]
        return found

    def _asked(self, resource: Resource, source: Any) -> Any:
        if isinstance(source, list):
            return [self._asked(resource, item) for item in source]
        if source.startswith("="):
            return source[1:]
        if source.startswith("."):
            return self._stack.answers[resource.urn][source[1:]]
        return at(self.made[resource.urn], source)

    def _named(self, value: Any) -> Any:
        """With the ids that moto gave in place of those of the review."""
        if isinstance(value, Mapping):
            return {key: self._named(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._named(item) for item in value]
        if isinstance(value, str):
            for planned, given in self._ids.items():
                value = value.replace(planned, given)
        return value


def at(value: Any, path: str) -> Any:
    """What is at a path; `*` gives all items of a list."""
    for step in path.split("."):
        if step == "*":
            rest = path.partition("*.")[2]
            return [at(item, rest) for item in value]
        if value is None:
            return None
        value = value[int(step)] if step.isdigit() else value.get(step)
    return value


def _same(path: str, got: Any, planned: Any) -> bool:
    return planned in got if "*" in path else bool(_plain(got) == _plain(planned))


def _plain(value: Any) -> Any:
    """A document as what it says, a list of names in order."""
    if isinstance(value, str) and value.startswith("{"):
        return json.loads(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return sorted(value)
    return value


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    stack = rendered(PARIS)
    assert stack.settings.aws is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOTO_ACCOUNT_ID", stack.settings.aws.account)
        # the policies that AWS keeps are there, so that a name that is none of theirs fails
        with mock_aws(config={"iam": {"load_aws_managed_policies": True}}):
            made = Account(stack)
            for one in stack.cloud:
                if one.type in _TABLE:
                    made.make(one)
            yield made


@pytest.mark.parametrize("token", _TABLE)
def test_it_is_read_back_as_planned(token: str, account: Account) -> None:
    of_type = [one for one in rendered(PARIS).cloud if one.type == token]
    assert of_type
    assert [difference for one in of_type for difference in account.differences(one)] == []


@pytest.mark.parametrize(
    ("token", "member", "value"),
    [
        ("aws:ec2/vpcEndpoint:VpcEndpoint", "PolicyDocument", '{"Version": "2012-10-17", "Statement": []}'),
        ("aws:iam/role:Role", "AssumeRolePolicyDocument", '{"Version": "2012-10-17", "Statement": []}'),
        ("aws:kms/key:Key", "MultiRegion", True),
        ("aws:kms/key:Key", "Policy", '{"Version": "2012-10-17", "Statement": []}'),
        ("aws:s3/bucketPolicy:BucketPolicy", "Policy", '{"Version": "2012-10-17", "Statement": []}'),
        ("aws:s3/bucketVersioning:BucketVersioning", "VersioningConfiguration", {"Status": "Suspended"}),
        (
            "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
            "ObjectLockConfiguration",
            {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}},
        ),
    ],
)
def test_a_plan_that_says_otherwise_is_noticed(
    token: str, member: str, value: Any, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = next(one for one in rendered(PARIS).cloud if one.type == token)
    monkeypatch.setitem(account.made, one.urn, {**account.made[one.urn], member: value})
    assert account.differences(one)


def test_a_policy_that_aws_does_not_keep_is_refused(account: Account) -> None:
    role = next(one for one in rendered(PARIS).cloud if one.type == "aws:iam/role:Role")
    arn = "arn:aws:iam::aws:policy/AmazonEKSClusterPolice"
    call = Call("iam", "AttachRolePolicy", {"RoleName": role.inputs["name"], "PolicyArn": arn})
    with pytest.raises(ClientError, match="NoSuchEntity"):
        account.say(call)
