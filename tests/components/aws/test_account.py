"""What an account does unless it is told otherwise."""

from tests.components.aws.support import laid, of_kind
from tests.support import aws


def test_defaults() -> None:
    made = laid()

    def given(kind: str) -> dict[str, object]:
        (one,) = of_kind(made, kind).values()
        return dict(one.inputs)

    assert given("VpcBlockPublicAccessOptions") == {"internetGatewayBlockMode": "block-bidirectional"}
    assert given("EncryptionByDefault") == {"enabled": True}
    assert str(given("DefaultKmsKey")["keyArn"]).endswith(aws.KEY)
    assert given("SnapshotBlockPublicAccess") == {"state": "block-all-sharing"}
    assert given("ImageBlockPublicAccess") == {"state": "block-new-sharing"}
    assert given("SerialConsoleAccess") == {"enabled": False}
    assert given("InstanceMetadataDefaults") == {
        "httpEndpoint": "enabled",
        "httpTokens": "required",
        "httpPutResponseHopLimit": 1,
    }
    assert given("AccountPublicAccessBlock") == {
        "accountId": aws.ACCOUNT,
        "blockPublicAcls": True,
        "blockPublicPolicy": True,
        "ignorePublicAcls": True,
        "restrictPublicBuckets": True,
    }
    assert given("Analyzer")["type"] == "ACCOUNT"
