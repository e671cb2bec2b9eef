"""Who may do what with what a stack keeps: the table of access.yaml, held against an evaluator of IAM."""

import hashlib
import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from moto.iam.aws_managed_policies import aws_managed_policies_data

from facts import aws
from facts.site import ROOT
from policies.model import Resource
from tests.aws.changes import find
from tests.aws.whole import provider, whole
from toolchain.providers.core import Urn
from toolchain.providers.core.values import plain

#: the evaluator, by its lock file, and where it is installed
SIMULATOR = Path(__file__).with_name("simulator")
INSTALLED = ROOT / "build" / "access"
VERSION: str = json.loads((SIMULATOR / "package.json").read_text(encoding="utf-8"))["dependencies"][
    "@cloud-copilot/iam-simulate"
]

Line = Mapping[str, Any]
Request = Mapping[str, Any]
Answer = Mapping[str, Any]
TABLE: Mapping[str, Any] = yaml.safe_load(Path(__file__).with_name("access.yaml").read_text(encoding="utf-8"))
DEEDS: tuple[Line, ...] = tuple(line for lines in TABLE["deeds"].values() for line in lines)
OTHERS = "others"
#: what may hold somebody, in the order in which it is looked for
GUARD, ENDPOINT, LOCK, RIGHTS = "guard", "endpoint", "lock", "rights"
#: by the class of a thing, what its own policy is called, and where that stands in the plan
_OWN: Mapping[str, tuple[str, str, str]] = {
    "Bucket": ("bucket", "BucketPolicy", "policy"),
    "Key": ("key", "Key", "policy"),
    "Role": ("trust", "Role", "assumeRolePolicy"),
    "Repository": ("image", "RepositoryPolicy", "policy"),
}
HOLDS = (ENDPOINT, *(name for name, _, _ in _OWN.values()), RIGHTS, GUARD, LOCK)
#: things whose policy decides alone: rights are nothing without it
_ALONE = ("key", "trust")

#: the evaluator knows keys with a name of one's own only where that stands behind a slash
_CONTEXT = ("kms:EncryptionContext:", "aws:RequestTag/kms-encryption-context-")

_OPEN = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
_EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


@dataclass(frozen=True)
class Thing:
    """What a call is about: `held` is what its own policy is called where it refuses."""

    arn: str
    account: str
    region: str
    held: str
    policy: Mapping[str, Any] | None


@dataclass(frozen=True)
class Outcome:
    """Whether somebody can do a deed: `held` says what they are held by, None that they can."""

    deed: str
    who: str
    held: str | None


def expected(line: Line) -> Mapping[str, str | None]:
    """By who, what holds them; None where they may. Raises ValueError where somebody is named twice or is
    unknown."""
    found: dict[str, str | None] = {}
    told = [(None, line["may"]), *line["not"].items()]
    for held, who in told:
        for one in (each for each in listed(who) if each != OTHERS):
            if one in found or not (one in TABLE["people"] or one in TABLE["services"]):
                raise ValueError(f"{line['deed']}: {one} is named twice, or unknown")
            found[one] = held
    for held, who in told:
        if OTHERS in listed(who):
            found = {**{one: held for one in TABLE["people"] if one not in found}, **found}
    return found


def listed(who: str | Sequence[str]) -> Sequence[str]:
    return [who] if isinstance(who, str) else who


def simulations() -> Iterator[tuple[Line, str, list[dict[str, Any]]]]:
    """Each deed and person, with the requests that all have to succeed, as the evaluator takes them."""
    for line in DEEDS:
        for who in expected(line):
            yield line, who, [_simulation(line, call, who) for call in line["calls"]]


def digest() -> str:
    """Of all that is evaluated: policies, requests, and nothing else."""
    text = json.dumps([requests for _, _, requests in simulations()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def evaluated(folder: Path = INSTALLED) -> list[Outcome]:
    """What the evaluator says. Raises RuntimeError with what it could not read."""
    asked = list(simulations())
    requests = [request for _, _, all_of_it in asked for request in all_of_it]
    done = subprocess.run(
        ["node", SIMULATOR / "simulate.mjs", folder],
        input=json.dumps(requests).replace(*_CONTEXT),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    told = json.loads(done.stdout)
    for request, answer in zip(requests, told, strict=True):
        policies = json.dumps([value for key, value in request.items() if key != "request"]).replace(
            *_CONTEXT
        )
        unread = [key for key in answer.get("ignored", ()) if f'"{key}"' in policies]
        if unread:
            raise RuntimeError(
                f"{request['request']['action']}: the evaluator passed over {', '.join(unread)}"
            )
    answers = iter(told)
    return [
        Outcome(line["deed"], who, _held(line, who, of_it, [next(answers) for _ in of_it]))
        for line, who, of_it in asked
    ]


def differences(found: Sequence[Outcome]) -> Iterator[str]:
    """Where the evaluator says something else than the table, a sentence each."""
    told = {(line["deed"], who): held for line in DEEDS for who, held in expected(line).items()}
    for one in found:
        before = told[one.deed, one.who]
        if one.held != before:
            yield f"{one.who}, to {one.deed}: {_said(one.held)}; the table says that they {_said(before)}."


def _said(held: str | None) -> str:
    return "may" if held is None else f"may not, by {held}"


def installed() -> bool:
    """Whether the evaluator is there, in the version that the lock file names."""
    lock = INSTALLED / "package-lock.json"
    wanted = (SIMULATOR / "package-lock.json").read_bytes()
    return (
        lock.is_file()
        and lock.read_bytes() == wanted
        and (INSTALLED / "node_modules" / ".package-lock.json").is_file()
    )


def _held(line: Line, who: str, requests: Sequence[Request], answers: Sequence[Answer]) -> str | None:
    """What holds somebody first; None where every call succeeds."""
    for call, request, answer in zip(line["calls"], requests, answers, strict=True):
        if "error" in answer:
            raise RuntimeError(f"{line['deed']}, {who}, {call['call']}: {json.dumps(answer['error'])}")
        held = None if answer["result"] == "Allowed" else _held_by(_thing(call["of"]).held, request, answer)
        if held is not None:
            return held
    return LOCK if "lock" in line else None


def _held_by(own: str, request: Request, answer: Answer) -> str:
    resource, identity = answer.get("resource"), answer.get("identity")
    if answer.get("endpoint", "Allowed") != "Allowed":
        return ENDPOINT
    if resource == "ExplicitlyDenied":
        return own
    if "resourcePolicy" in request:
        lets = resource in ("Allowed", "AllowedForAccount")
        if not request["identityPolicies"] or (own in _ALONE and not lets):
            return own
    if identity != "Allowed" and (resource != "Allowed" or not answer["same"]):
        return RIGHTS
    if answer.get("guard", "Allowed") != "Allowed":
        return GUARD
    return own if "resourcePolicy" in request else RIGHTS


def _simulation(line: Line, call: Line, who: str) -> dict[str, Any]:
    thing = _thing(call["of"])
    context = {
        "aws:SecureTransport": "true",
        "s3:TlsVersion": "1.3",
        "aws:RequestedRegion": thing.region,
        "aws:ResourceAccount": thing.account,
        **_on_behalf(call),
    }
    principal, rights, guarded = _principal(who, context)
    entry = _endpoint(line, call)
    if entry is not None:
        context["aws:SourceVpce"] = _output(entry, "id")
    context.update(call.get("with", {}))
    return {
        "request": {
            "principal": principal,
            "action": call["call"],
            "resource": {"resource": thing.arn, "accountId": thing.account},
            "contextVariables": context,
        },
        "identityPolicies": rights,
        "serviceControlPolicies": [_guard()] if guarded else [],
        "resourceControlPolicies": [],
        **({"resourcePolicy": thing.policy} if thing.policy and _is_own(call) else {}),
        **({"vpcEndpointPolicies": [_named("endpoint", entry.inputs["policy"])]} if entry else {}),
    }


def _principal(who: str, context: dict[str, Any]) -> tuple[Any, list[dict[str, Any]], bool]:
    """As a request names them, what they have been given, and whether the guard is over them."""
    if who in TABLE["services"]:
        given = TABLE["services"][who]
        source = given.get("source", f"arn:aws:::{_account()}:")
        context["aws:PrincipalIsAWSService"] = "true"
        # `silent`: it says nothing of whom it does it for
        context.update({} if given.get("silent") else {"aws:SourceAccount": source.split(":")[4]})
        context.update({"aws:SourceArn": source} if "source" in given else {})
        context.update(given.get("context", {}))
        return f"{given['service']}.{_region().partition.principal_suffix}", [], False
    given = TABLE["people"][who]
    context["aws:PrincipalIsAWSService"] = "false"
    if "named" not in given and "role" not in given:
        return {"type": "Anonymous"}, [], False
    arn = given["named"] if "named" in given else _output(_role(given["role"]), "arn")
    account = arn.split(":")[4]
    context.update({"aws:PrincipalArn": arn, "aws:PrincipalAccount": account, "kms:CallerAccount": account})
    if given.get("rights") == "all":
        rights = [_named("all", {"Version": "2012-10-17", "Statement": [_EVERYTHING]})]
    else:
        rights = [_of_aws(given["managed"])] if "managed" in given else _rights(given["role"])
    # the guard of an organization binds neither other accounts nor service-linked roles
    return arn, rights, account == _account() and "/aws-service-role/" not in arn


def _on_behalf(call: Line) -> dict[str, Any]:
    """What a key is told of a call that a service makes on somebody's behalf."""
    if "via" not in call:
        return {}
    told: dict[str, Any] = {
        "kms:ViaService": f"{call['via']}.{_region().code}.{_region().partition.dns_suffix}"
    }
    if "context" in call:
        told["kms:EncryptionContext:aws:s3:arn"] = _thing(call["context"]).arn
    if call["via"] == "ec2":
        told["kms:EncryptionContextKeys"] = ["aws:ebs:id"]
    return told


def _is_own(call: Line) -> bool:
    """Whether the policy of a thing itself decides: whom a role trusts decides who takes it on, and nothing
    else."""
    return not call["call"].startswith("iam:")


def _endpoint(line: Line, call: Line) -> Resource | None:
    """By which endpoint a call from inside goes."""
    if line["from"] != "inside" or "via" in call:
        return None
    service = call["call"].partition(":")[0]
    return find(whole().resources, f"VpcEndpoint {'ecr.api' if service == 'ecr' else service}")


@cache
def _thing(named: str) -> Thing:
    if named in TABLE["things"]:
        given = TABLE["things"][named]
        service = given["arn"].split(":")[2]
        own = {"s3": "bucket", "kms": "key", "iam": "trust", "ecr": "image"}.get(service, service)
        lets = given.get("lets", "everybody")
        principal = "*" if lets == "everybody" else {"AWS": f"arn:aws:iam::{given['account']}:root"}
        policy = None if lets == "nobody" else _document({**_OPEN, "Principal": principal}, own)
        return Thing(given["arn"], given["account"], given.get("region", _region().code), own, policy)
    name, path = re.findall(r"(\w+(?: [\w.-]+)?)(.*)", named)[0]
    one = find(whole().resources, name)
    kind = one.type.rpartition(":")[2]
    arn = f"{_output(one, 'arn')}{path}"
    region = _region().code if kind != "Role" else "us-east-1"
    if kind not in _OWN:
        return Thing(arn, _account(), region, RIGHTS, None)
    held, of, key = _OWN[kind]
    policy = json.loads(find(whole().resources, f"{of} {one.name}").inputs[key])
    if kind == "Repository":
        # ECR takes no Resource: a policy is about its repository
        policy["Statement"] = [{**statement, "Resource": "*"} for statement in policy["Statement"]]
    return Thing(arn, _account(), region, held, policy)


def _document(statement: Mapping[str, Any], own: str) -> dict[str, Any]:
    kept = {key: value for key, value in statement.items() if own != "trust" or key != "Resource"}
    return {"Version": "2012-10-17", "Statement": [kept]}


@cache
def _rights(role: str) -> list[dict[str, Any]]:
    """What a role of the plan has been given: its own policies, and AWS's that are attached to it."""
    name = _output(_role(role), "name")
    found = []
    for one in whole().cloud:
        kind = one.type.rpartition(":")[2]
        if kind == "RolePolicy" and one.inputs["role"] == name:
            found.append(_named(one.name, json.loads(one.inputs["policy"])))
        elif kind == "RolePolicyAttachment" and one.inputs["role"] == name:
            found.append(_of_aws(one.inputs["policyArn"].rpartition("/")[2]))
    return found


@cache
def _managed() -> Mapping[str, Any]:
    """The policies that AWS keeps, as moto has read them."""
    found: Mapping[str, Any] = json.loads(aws_managed_policies_data)
    return found


def _of_aws(policy: str) -> dict[str, Any]:
    return _named(policy, _managed()[policy]["Document"])


@cache
def _guard() -> dict[str, Any]:
    guard = json.loads(find(whole().resources, "Policy regions").inputs["content"])
    everything = {"Version": "2012-10-17", "Statement": [_EVERYTHING]}
    return {
        "orgIdentifier": "organization",
        "policies": [_named("FullAWSAccess", everything), _named("guard", guard)],
    }


def _named(name: str, policy: Any) -> dict[str, Any]:
    return {"name": name, "policy": json.loads(policy) if isinstance(policy, str) else policy}


@cache
def _role(name: str) -> Resource:
    return find(whole().resources, f"Role {name}")


@cache
def _state(urn: str) -> Mapping[str, Any]:
    one = next(each for each in whole().resources if each.urn == urn)
    return provider().create(Urn(urn), dict(one.inputs), 0, True)[1]


def _output(resource: Resource, key: str) -> str:
    return str(plain(_state(resource.urn)[key]))


def _account() -> str:
    given = whole().settings.aws
    assert given is not None
    return given.account


@cache
def _region() -> aws.Region:
    given = whole().settings.aws
    assert given is not None
    return aws.region(given.region)
