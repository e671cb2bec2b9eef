"""Functions of the package whose results no template can say."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from toolchain.providers.core import Properties, Refused
from toolchain.providers.standin.templates import Scope

#: how terraform-provider-aws writes `${aws:username}` where its own language would take it for a variable
_ESCAPED = ("&{", "${")


def endpoint_service(arguments: Properties, scope: Scope) -> Properties:
    """The name of the service that a VPC endpoint leads to; in some partitions it begins with the reversed
    DNS suffix. Source: facts/aws.yaml."""
    surplus = arguments.keys() - {"service", "serviceType", "region"}
    if surplus or "service" not in arguments:
        raise Refused(
            "aws:ec2/getVpcEndpointService can be answered by a stand-in for a `service` of AWS alone, with "
            "its `serviceType`: leave the rest out, or say the name of the service itself."
        )
    partition = scope["facts"]["partitions"][scope["partition"]]
    service, region = arguments["service"], scope["region"]
    reversed_suffix = ".".join(reversed(partition["dns_suffix"].split(".")))
    prefix = reversed_suffix if service in partition["reversed"] else partition["endpoint_prefix"]
    kind = arguments.get("serviceType") or "Interface"
    id = f"vpce-svc-{scope['mark']}"
    return {
        "id": id,
        "serviceId": id,
        "arn": f"arn:{scope['partition']}:ec2:{region}:amazon:vpc-endpoint-service/{id}",
        "service": service,
        "serviceName": f"{prefix}.{region}.{service}",
        "serviceType": kind,
        "serviceRegion": region,
        "region": region,
        "owner": "amazon",
        "acceptanceRequired": False,
        "managesVpcEndpoints": False,
        "availabilityZones": scope["facts"]["regions"][region]["zones"],
        "privateDnsName": f"{service}.{region}.{partition['dns_suffix']}" if kind == "Interface" else "",
        "supportedIpAddressTypes": ["ipv4"],
        "vpcEndpointPolicySupported": True,
        "tags": {},
    }


def policy_document(arguments: Properties, scope: Scope) -> Properties:
    """An IAM policy as JSON, as terraform-provider-aws renders it (internal/service/iam,
    policy_document_data_source.go): one item stands alone, several are sorted backwards, and a statement
    takes the place of one from the sources that has its Sid. Raises Refused where two of a kind say one
    Sid."""
    own = {
        "Version": arguments.get("version") or "2012-10-17",
        "Id": arguments.get("policyId"),
        "Statement": [_statement(one) for one in arguments.get("statements") or ()],
    }
    merged: dict[str, Any] = {"Version": "", "Id": None, "Statement": []}
    for document in _documents(arguments, "sourceJson", "sourcePolicyDocuments"):
        _merge(merged, document, override=False)
    _merge(merged, _alike(own))
    for document in _documents(arguments, "overrideJson", "overridePolicyDocuments"):
        _merge(merged, document)
    ordered = {key: value for key, value in merged.items() if value}
    return {
        **arguments,
        "id": scope["mark"],
        "json": json.dumps(ordered, indent=2, ensure_ascii=False),
        "minifiedJson": json.dumps(ordered, separators=(",", ":"), ensure_ascii=False),
    }


FUNCTIONS: Mapping[str, Callable[[Properties, Scope], Properties]] = {
    "aws:ec2/getVpcEndpointService:getVpcEndpointService": endpoint_service,
    "aws:iam/getPolicyDocument:getPolicyDocument": policy_document,
}


def _documents(arguments: Properties, one: str, several: str) -> Iterable[Mapping[str, Any]]:
    for text in (arguments.get(one), *(arguments.get(several) or ())):
        if not text:
            continue
        try:
            document = json.loads(text)
        except ValueError:
            raise Refused(f"aws:iam/getPolicyDocument: {several} holds a text that is no JSON.") from None
        statements = document.get("Statement", [])
        yield {**document, "Statement": statements if isinstance(statements, list) else [statements]}


def _alike(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A document as it is; raises Refused where two of its statements say one Sid."""
    _merge({"Version": "", "Id": None, "Statement": []}, document, override=False)
    return document


def _merge(into: dict[str, Any], document: Mapping[str, Any], override: bool = True) -> None:
    """Takes a document in: a statement replaces that of the same Sid, or raises Refused without
    `override`."""
    into["Version"] = max(into["Version"], document.get("Version") or "")
    into["Id"] = document.get("Id") or into["Id"]
    for statement in document["Statement"]:
        sid = statement.get("Sid")
        same = [index for index, one in enumerate(into["Statement"]) if sid and one.get("Sid") == sid]
        if not same:
            into["Statement"].append(statement)
        elif override:
            into["Statement"][same[0]] = statement
        else:
            raise Refused(f"aws:iam/getPolicyDocument: two statements say the Sid {sid}: name each its own.")


def _statement(given: Mapping[str, Any]) -> dict[str, Any]:
    statement: dict[str, Any] = {"Sid": given.get("sid"), "Effect": given.get("effect") or "Allow"}
    for key, name in (("actions", "Action"), ("notActions", "NotAction")):
        statement[name] = _alone(given.get(key))
    for key, name in (("resources", "Resource"), ("notResources", "NotResource")):
        statement[name] = _alone(given.get(key))
    for key, name in (("principals", "Principal"), ("notPrincipals", "NotPrincipal")):
        statement[name] = _principals(given.get(key) or ())
    conditions: dict[str, dict[str, Any]] = {}
    for one in given.get("conditions") or ():
        test = conditions.setdefault(one["test"], {})
        earlier = test.get(one["variable"], [])
        test[one["variable"]] = [*earlier, *one["values"]]
    statement["Condition"] = {
        test: {variable: _alone(values, ordered=True) for variable, values in sorted(variables.items())}
        for test, variables in sorted(conditions.items())
    }
    return {key: value for key, value in statement.items() if value not in (None, {}, [])}


def _principals(given: Iterable[Mapping[str, Any]]) -> Any:
    found: dict[str, list[str]] = {}
    for one in given:
        found.setdefault(one["type"], []).extend(one["identifiers"])
    if found == {"*": ["*"]}:
        return "*"
    return {kind: _alone(identifiers) for kind, identifiers in sorted(found.items())}


def _alone(values: Iterable[str] | None, ordered: bool = False) -> Any:
    """One value alone, several as a list; a set of them is sorted backwards."""
    texts = [str(value).replace(*_ESCAPED) for value in values or ()]
    if len(texts) == 1:
        return texts[0]
    return texts if ordered else sorted(set(texts), reverse=True)
