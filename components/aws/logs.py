"""Log groups: encrypted with a key of one's own from the first line on, and kept as long as the zone says."""

from dataclasses import dataclass
from typing import Final

from pulumi import Input, Resource
from pulumi_aws.cloudwatch import LogGroup

from components.aws.place import Place

#: The days that CloudWatch takes (docs.aws.amazon.com, PutRetentionPolicy); without any it keeps for ever.
_DAYS: Final = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)


@dataclass(frozen=True)
class LogKeeping:
    """With which key logs are encrypted (its ARN), and for how many days at least they are kept."""

    key: Input[str]
    days: int

    @property
    def retention(self) -> int | None:
        """The least number of days that CloudWatch takes and that is enough; None for ever."""
        return next((days for days in _DAYS if days >= self.days), None)

    def group(self, place: Place, parent: Resource, name: str, path: str | None = None) -> LogGroup:
        """A log group `path`, or one named after the place and `name`. It is evidence, so it outlives the
        stack."""
        return LogGroup(
            f"{place.name}-{name}",
            name=path or f"/{place.name}/{name}",
            kms_key_id=self.key,
            retention_in_days=self.retention,
            deletion_protection_enabled=True,
            skip_destroy=True,
            opts=place.within(parent),
        )
