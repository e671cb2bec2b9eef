"""What an AWS account does unless it is told otherwise, told otherwise: for everything in it, in one region.

Each of these is one for the whole account, so other teams live with it: it is made only where the settings
say `create`, and is somebody's dated word else (use.py).
"""

from pulumi import ComponentResource, Input, ResourceOptions
from pulumi_aws.accessanalyzer import Analyzer
from pulumi_aws.ebs import DefaultKmsKey, EncryptionByDefault, SnapshotBlockPublicAccess
from pulumi_aws.ec2 import (
    ImageBlockPublicAccess,
    InstanceMetadataDefaults,
    SerialConsoleAccess,
    VpcBlockPublicAccessOptions,
)
from pulumi_aws.s3 import AccountPublicAccessBlock

from components.aws.place import Place


class AccountDefaults(ComponentResource):
    """No gateway to the internet works, disks are encrypted, metadata is given by token only, nothing is
    public, no serial console opens, and what outsiders may reach is reported."""

    def __init__(
        self, name: str, place: Place, volumes_key: Input[str], opts: ResourceOptions | None = None
    ) -> None:
        """`volumes_key`: ARN of the key that encrypts disks for which nobody names one."""
        super().__init__("sovereign:aws:AccountDefaults", name, None, opts)
        VpcBlockPublicAccessOptions(
            name, internet_gateway_block_mode="block-bidirectional", opts=place.within(self)
        )
        encrypted = EncryptionByDefault(name, enabled=True, opts=place.within(self))
        DefaultKmsKey(name, key_arn=volumes_key, opts=place.within(self, depends_on=[encrypted]))
        SnapshotBlockPublicAccess(name, state="block-all-sharing", opts=place.within(self))
        ImageBlockPublicAccess(name, state="block-new-sharing", opts=place.within(self))
        InstanceMetadataDefaults(
            name,
            http_endpoint="enabled",
            http_tokens="required",
            # pods are a second hop
            http_put_response_hop_limit=1,
            opts=place.within(self),
        )
        SerialConsoleAccess(name, enabled=False, opts=place.within(self))
        AccountPublicAccessBlock(
            name,
            account_id=place.account,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=place.within(self),
        )
        Analyzer(name, analyzer_name=name, type="ACCOUNT", opts=place.within(self))
        self.register_outputs({})
