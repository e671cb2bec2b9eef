"""Where on AWS a ground stands: one account in one region, and the one provider that makes things there."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from pulumi import Resource, ResourceOptions
from pulumi_aws import Provider, ProviderDefaultTagsArgs

from facts import aws

#: An EKS cluster asks for subnets in two zones (docs.aws.amazon.com/eks/latest/userguide/network-reqs.html).
_ZONES: Final = 2


class PlaceError(ValueError):
    """An account, a region or zones that can't be used; the message says which and what is allowed."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """`name` begins the names of all that stands here. `zones` are names of availability zones of the
    region. `provider` refuses every other account and region."""

    name: str
    provider: Provider
    region: str
    account: str
    zones: tuple[str, ...]
    tags: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def at(
        name: str,
        *,
        region: str,
        account: str,
        zones: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
    ) -> "Place":
        """A place with a provider of its own; the first three zones of the region unless some are named.
        Raises PlaceError."""
        chosen = tuple(zones) or _region(region).first_zones
        _check(region, account, chosen)
        labels = {"sovereign:stack": name, **(tags or {})}
        provider = Provider(
            name,
            region=region,
            # a typo or somebody else's credentials are caught before the first call
            allowed_account_ids=[account],
            sts_region=region,
            skip_region_validation=False,
            default_tags=ProviderDefaultTagsArgs(tags=labels),
        )
        return Place(name=name, provider=provider, region=region, account=account, zones=chosen, tags=labels)

    @cached_property
    def facts(self) -> aws.Region:
        """What is known of the region."""
        return _region(self.region)

    @property
    def partition(self) -> str:
        """As ARNs name it."""
        return self.facts.partition.name

    @property
    def dns_suffix(self) -> str:
        """In which the names of the region's services end."""
        return self.facts.partition.dns_suffix

    def has(self, service: str) -> bool:
        """Whether the partition has a service, by the name of its API: `guardduty`."""
        return self.facts.partition.has(service)

    def arn(self, service: str, resource: str, *, regional: bool = True, owner: str | None = None) -> str:
        """The ARN of a resource here. `owner`: another account than this one; what AWS itself owns (`aws`)
        has no region."""
        account = self.account if owner is None else owner
        region = self.region if regional and account != "aws" else ""
        return self.facts.partition.arn(service, resource, region, account)

    def principal(self, service: str) -> str:
        """How policies name a service that acts by itself: of `eks`, or `logs` with its region in front."""
        return f"{service}.{self.facts.partition.principal_suffix}"

    def within(self, parent: Resource, **options: Any) -> ResourceOptions:
        """Options of a child: made by this place's provider, whatever is ambient; others as ResourceOptions
        takes them."""
        return ResourceOptions(parent=parent, provider=self.provider, **options)


def _region(code: str) -> aws.Region:
    try:
        return aws.region(code)
    except aws.UnknownRegion as error:
        raise PlaceError(str(error)) from None


def _check(region: str, account: str, zones: Sequence[str]) -> None:
    if not re.fullmatch(r"\d{12}", account):
        raise PlaceError(f"The account {account!r} is not the twelve digits of an AWS account: correct it.")
    known = _region(region).zones
    wrong = [zone for zone in zones if zone not in known]
    if wrong:
        raise PlaceError(
            f"{', '.join(wrong)} is no availability zone of {region}: use {', '.join(known)}. A Local Zone "
            "may stand in another country than its region."
        )
    if len(set(zones)) < _ZONES:
        raise PlaceError(f"A cluster needs {_ZONES} availability zones: name some of {', '.join(known)}.")
