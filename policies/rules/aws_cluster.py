"""EKS clusters: who enters one by default, and what is written down of those who do."""

from collections.abc import Iterator
from typing import Final

from facts.zones import Zone
from policies.rule import Hit, Subject, rule

_CLUSTER: Final = "aws:eks/cluster:Cluster"
#: docs.aws.amazon.com/eks/latest/userguide/control-plane-logs.html: requests, who made them, how they got in
_ACCESSES: Final = ("api", "audit", "authenticator")


@rule(
    "aws-cluster.entries",
    title="Only access entries let people into a cluster",
    routes=["A57"],
    controls=["HDS EXI 29", "HIPAA 164.312(a)(1)", "HIPAA 164.308(a)(3)", "GDPR 32"],
    fix="Set authenticationMode to API and bootstrapClusterCreatorAdminPermissions to false.",
    pack="egress",
    types=[_CLUSTER],
)
def entries(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """Unless it is told otherwise, a cluster lets in whomever a ConfigMap within it names, which whoever can
    write there changes unseen; and whoever has made it stays its administrator, in no list."""
    config = subject["accessConfig"]
    mode, creator = config["authenticationMode"], config["bootstrapClusterCreatorAdminPermissions"]
    if mode.text() != "API":
        yield subject.refuse(mode, seen="aws-auth", why="a ConfigMap in the cluster lets people in")
    if creator.flag() is not False:
        yield subject.refuse(creator, seen="the creator", why="whoever made it is its administrator for ever")


@rule(
    "aws-cluster.logs",
    title="A cluster writes down who asked for what",
    routes=["A37"],
    controls=["HIPAA 164.312(b)", "HIPAA 164.308(a)(1)(ii)(D)", "HDS EXI 15", "HDS EXI 16", "SNC 12.14"],
    fix="Name api, audit and authenticator in enabledClusterLogTypes.",
    pack="protection",
    types=[_CLUSTER],
)
def logs(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """EKS keeps no record of requests to the Kubernetes API unless it is asked to: who read a Secret or
    entered a pod is then known to nobody."""
    where = subject["enabledClusterLogTypes"]
    found = where.texts()
    missing = [one for one in _ACCESSES if one not in found]
    if missing:
        yield subject.refuse(
            where, seen=f"no {', '.join(missing)}", why="requests to the Kubernetes API leave no record"
        )
