"""What an account and an organisation have once: defaults, the trail, inventory, detection, the guard of regions."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from cli.observed.reader import Reader, names

#: What the account does unless it is told otherwise: service, call, where the answer has it, what the kit asks
#: for (components/aws/account.py).
_DEFAULTS: Final = (
    ("ec2", "get_ebs_encryption_by_default", "EbsEncryptionByDefault", True),
    ("ec2", "get_snapshot_block_public_access_state", "State", "block-all-sharing"),
    ("ec2", "get_image_block_public_access_state", "ImageBlockPublicAccessState", "block-new-sharing"),
    ("ec2", "get_serial_console_access_status", "SerialConsoleAccessEnabled", False),
    ("ec2", "get_instance_metadata_defaults", "AccountLevel.HttpTokens", "required"),
    ("ec2", "get_instance_metadata_defaults", "AccountLevel.HttpPutResponseHopLimit", 1),
    (
        "ec2",
        "describe_vpc_block_public_access_options",
        "VpcBlockPublicAccessOptions.InternetGatewayBlockMode",
        "block-bidirectional",
    ),
)
_PUBLIC: Final = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
_OBJECTS: Final = "AWS::S3::Object"
_SCP: Final = "SERVICE_CONTROL_POLICY"


def defaults(reader: Reader) -> None:
    """Each default by itself: nobody's word covers one that is off."""
    for service, call, path, wanted in _DEFAULTS:
        said = reader.ask(service, call)
        if said is not None:
            value: Any = said
            for step in path.split("."):
                value = value.get(step) if isinstance(value, Mapping) else None
            reader.compare(path, value, wanted)
    said = reader.ask("s3control", "get_public_access_block", AccountId=reader.account.number)
    if said is not None or not reader.part.unread:
        blocked = (said or {}).get("PublicAccessBlockConfiguration", {})
        for one in _PUBLIC:
            reader.compare(f"{one} of the account", blocked.get(one), True)


def autoscaling(reader: Reader, role: str) -> None:
    """The role by which AWS starts nodes."""
    if reader.ask("iam", "get_role", RoleName=role) is None:
        reader.missing(f"there is no role {role}")


def trail(reader: Reader, id: str, watched: str) -> None:
    """The trail, whether it writes, and whether it records who looks at `watched`, the ARN of a bucket."""
    trails = reader.each("cloudtrail", "describe_trails", "trailList", includeShadowTrails=True)
    found = next((one for one in trails if id in (one["Name"], one["TrailARN"])), None)
    if found is None:
        reader.missing(f"there is no trail {id}")
        return
    arn = found["TrailARN"]
    status = reader.ask("cloudtrail", "get_trail_status", Name=arn)
    if status is not None:
        reader.compare("whether it writes", status["IsLogging"], True)
        reader.compare("the error of its last delivery", status.get("LatestDeliveryError") or None, None)
    selectors = reader.ask("cloudtrail", "get_event_selectors", TrailName=arn)
    if selectors is not None and not any(_watches(selectors, watched)):
        reader.differ(f"it doesn't record who looks at objects of {watched}")
    reader.see(
        "aws:cloudtrail/trail:Trail",
        found["Name"],
        {
            "name": found["Name"],
            "s3BucketName": found["S3BucketName"],
            "kmsKeyId": found.get("KmsKeyId"),
            "enableLogFileValidation": found.get("LogFileValidationEnabled"),
            "isMultiRegionTrail": found.get("IsMultiRegionTrail"),
            "includeGlobalServiceEvents": found.get("IncludeGlobalServiceEvents"),
            "enableLogging": status and status["IsLogging"],
        },
    )


def _watches(selectors: Mapping[str, Any], bucket: str) -> Iterator[bool]:
    """For each selector, whether it records every read and write of the bucket's objects
    (docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_GetEventSelectors.html)."""
    for one in selectors.get("AdvancedEventSelectors") or ():
        fields = {field["Field"]: field for field in one["FieldSelectors"]}
        arns = fields.get("resources.ARN")
        objects = _OBJECTS in fields.get("resources.type", {}).get("Equals", ())
        begins = arns.get("StartsWith", ()) if arns is not None else ("",)
        extra = fields.keys() - {"eventCategory", "resources.type", "resources.ARN"}
        yield objects and not extra and any(f"{bucket}/".startswith(start) for start in begins)
    for one in selectors.get("EventSelectors") or ():
        values = [
            value
            for data in one.get("DataResources", ())
            if data["Type"] == _OBJECTS
            for value in data["Values"]
        ]
        yield one["ReadWriteType"] == "All" and any(f"{bucket}/".startswith(value) for value in values)


def inventory(reader: Reader) -> None:
    """The recorder of AWS Config, and whether it records."""
    recorders = reader.each("config", "describe_configuration_recorders", "ConfigurationRecorders")
    if not recorders:
        reader.missing("no recorder of AWS Config is there")
        return
    everything = any(one.get("recordingGroup", {}).get("allSupported") for one in recorders)
    reader.compare("whether every kind of resource is recorded", everything, True)
    call, member = "describe_configuration_recorder_status", "ConfigurationRecordersStatus"
    for one in reader.each("config", call, member):
        reader.compare("whether it records", one.get("recording"), True)
        if one.get("lastStatus") == "FAILURE":
            reader.differ("its last recording failed")


def detection(reader: Reader) -> None:
    """The detector of GuardDuty, and whether it is on."""
    found = reader.each("guardduty", "list_detectors", "DetectorIds")
    if not found:
        reader.missing("no detector of GuardDuty is there")
    for id in found:
        said = reader.ask("guardduty", "get_detector", DetectorId=id)
        if said is not None:
            reader.compare("the detector", said["Status"], "ENABLED")
            reader.see("aws:guardduty/detector:Detector", id, {"enable": said["Status"] == "ENABLED"})


def guard(reader: Reader) -> None:
    """The organisation's policies that hold the account, from itself up to the root. Most accounts may not
    look: then the owner's word stays alone."""
    target: str | None = reader.account.number
    while target is not None and not reader.part.unread:
        attached = reader.each(
            "organizations", "list_policies_for_target", "Policies", TargetId=target, Filter=_SCP
        )
        for one in attached:
            said = reader.ask("organizations", "describe_policy", PolicyId=one["Id"])
            if said is None:
                continue
            inputs = {"name": one["Name"], "type": _SCP, "content": said["Policy"]["Content"]}
            policy = reader.see("aws:organizations/policy:Policy", one["Id"], inputs)
            reader.see(
                "aws:organizations/policyAttachment:PolicyAttachment",
                f"{one['Id']}-{target}",
                {"policyId": one["Id"], "targetId": target},
                {"policyId": policy},
            )
        parents = reader.each("organizations", "list_parents", "Parents", ChildId=target)
        target = next(iter(names(parents, "Id")), None)
