"""Addresses of machines of AWS where nothing says which."""

from collections.abc import Iterator

from facts.zones import Zone
from policies.rule import Hit, Subject, rule

#: Each says in which subnet a machine is, or leads to what says so.
_PLACES = ("subnetId", "networkInterfaces", "primaryNetworkInterface", "launchTemplate")


@rule(
    "aws-addresses.default-subnet",
    title="A machine must say in which subnet it is",
    routes=["A12"],
    controls=["HDS EXI 05", "HIPAA 164.312(e)(1)", "GDPR 32", "SNC 12.14"],
    fix="Give the machine a subnet of the plan, and associatePublicIpAddress false.",
    pack="egress",
    types=["aws:ec2/instance:Instance"],
)
def default_subnet(subject: Subject, zone: Zone) -> Iterator[Hit]:
    """A machine without a subnet is put into a default subnet of the account's default VPC, where every
    machine gets an address of the internet and a route there."""
    if all(subject[key].absent for key in _PLACES):
        yield subject.refuse(
            "subnetId",
            seen="no subnet",
            why="it gets one of the default VPC, with an address of the internet and a route there",
        )
