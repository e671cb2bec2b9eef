"""Backups: every day a copy of the volumes that ask for one, in a vault whose lock nobody can open.

Nobody can change such a lock either, once its days of grace are over. So each retention has a vault of its own,
and one that was in use before stays beside it until its copies have gone.

Copies stay in the region: one elsewhere would be another place to answer for.
"""

from collections.abc import Sequence
from typing import Final

from pulumi import ComponentResource, Input, Output, ResourceOptions
from pulumi_aws.backup import Plan, Selection, Vault, VaultLockConfiguration

from components.aws.place import Place
from components.aws.roles import Roles

#: The tag by which a volume asks for a daily copy (storage.py).
TAG: Final = ("sovereign:backup", "daily")
#: After midnight, UTC.
_SCHEDULE: Final = "cron(0 2 * * ? *)"
#: Days during which a new lock can still be taken away; then never again
#: (docs.aws.amazon.com/aws-backup/latest/devguide/vault-lock.html).
_GRACE: Final = 3


class Backups(ComponentResource):
    """A locked vault, and the plan that fills it; the vaults of earlier retentions."""

    vault: Output[str]  #: name

    def __init__(
        self,
        name: str,
        place: Place,
        key: Input[str],
        days: int,
        earlier: Sequence[int],
        roles: Roles,
        opts: ResourceOptions | None = None,
    ) -> None:
        """`days`: how long each copy is kept, no more and no less; `earlier`: how long copies were."""
        super().__init__("sovereign:aws:Backups", name, None, opts)
        for one in earlier:
            self._vault(name, place, key, one)
        vault, lock = self._vault(name, place, key, days)
        self.vault = vault.name
        plan = Plan(
            name,
            name=place.name,
            rules=[
                {
                    "rule_name": "daily",
                    "target_vault_name": vault.name,
                    "schedule": _SCHEDULE,
                    "lifecycle": {"delete_after": days},
                }
            ],
            opts=place.within(self, depends_on=[lock]),
        )
        tag, value = TAG
        Selection(
            name,
            name="by-tag",
            plan_id=plan.id,
            iam_role_arn=roles.backup.arn,
            selection_tags=[{"type": "STRINGEQUALS", "key": tag, "value": value}],
            opts=place.within(self),
        )
        self.register_outputs({"vault": self.vault})

    def _vault(
        self, name: str, place: Place, key: Input[str], days: int
    ) -> tuple[Vault, VaultLockConfiguration]:
        """A vault of copies that are kept that long, and its lock."""
        kept = place.within(self, protect=True, retain_on_delete=True)
        vault = Vault(
            f"{name}-{days}-days",
            name=f"{place.name}-backups-{days}",
            kms_key_arn=key,
            force_destroy=False,
            opts=kept,
        )
        lock = VaultLockConfiguration(
            f"{name}-{days}-days",
            backup_vault_name=vault.name,
            min_retention_days=days,
            max_retention_days=days,
            # without it whoever has the right could take the lock away at any time
            changeable_for_days=_GRACE,
            opts=kept,
        )
        return vault, lock
