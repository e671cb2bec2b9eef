"""The kit in an account that somebody else prepared: what is there already is used, and its owners answer for
it; two teams share a cluster, and each needs rights in its own namespaces only."""

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from facts import zones
from facts.site import ROOT, Site
from policies import rules
from policies.judge import judge
from policies.model import Finding, Plan
from policies.read import read
from stacks import handover, settings
from tests.support.aws_stacks import Rendered, rendered
from tests.support.cluster import LiveCluster

SITE = ROOT / "tests" / "sites" / "landing-zone"
#: a cluster of its own; a tenant with rights in its namespaces only; a tenant that makes what it shares, too
CLINIC, RADIOLOGY, ONCOLOGY = "clinic", "radiology", "oncology-test"
STACKS = (CLINIC, RADIOLOGY, ONCOLOGY)
#: the parts that are used, by their keys in the settings, and the route that the owner's word covers
WORDS = {
    "aws.network.vpc": "A18",
    "aws.endpoints.s3": "A16",
    "aws.keys.audit": "A27",
    "aws.organisation": "A53",
    "aws.singletons.defaults": "A24",
    "aws.singletons.trail": "A37",
    "aws.singletons.inventory": "A38",
    "aws.singletons.detection": "A36",
}
CLUSTER_WORDS = {"aws.cluster.cluster": ("K45", "K46")}


def stack(name: str, change: Mapping[str, Any] | None = None) -> Rendered:
    return rendered(name, change, folder=SITE)


def told(found: tuple[Finding, ...]) -> list[str]:
    return [f"{one.route} {one.rule} {one.urn} {one.path}: {one.seen}: {one.why}" for one in found]


@pytest.mark.parametrize("name", STACKS)
def test_the_kit_plans_into_a_prebuilt_account(name: str) -> None:
    assert told(stack(name).findings) == []


def test_what_is_there_is_not_made_again() -> None:
    made = {one.type for one in stack(CLINIC).cloud}
    assert not made & {
        "aws:cfg/recorder:Recorder",
        "aws:cloudtrail/trail:Trail",
        "aws:ec2/routeTable:RouteTable",
        "aws:ec2/subnet:Subnet",
        "aws:ec2/vpc:Vpc",
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        "aws:guardduty/detector:Detector",
        "aws:iam/serviceLinkedRole:ServiceLinkedRole",
        "aws:kms/key:Key",
        "aws:organizations/policy:Policy",
        "aws:route53/resolverFirewallRuleGroup:ResolverFirewallRuleGroup",
    }


def test_a_tenant_makes_its_registry_and_its_bucket_of_records() -> None:
    names = {one.name for one in stack(RADIOLOGY).cloud if one.custom}
    assert names == {
        *(f"radiology-{image}" for image in ("audit", "gateway", "verifier", "vllm")),
        "radiology-audit",
    }
    assert {one.type.split(":")[1].partition("/")[0] for one in stack(RADIOLOGY).cloud if one.custom} == {
        "ecr",
        "eks",
        "iam",
        "s3",
    }


@pytest.mark.parametrize("key", WORDS)
@pytest.mark.parametrize("name", [CLINIC, RADIOLOGY])
def test_a_word_that_has_ended_covers_nothing(name: str, key: str) -> None:
    whole = stack(name, {f"{key}.until": date(2026, 11, 24)})
    assert (key, WORDS[key]) in [(one.path, one.route) for one in whole.findings]


@pytest.mark.parametrize("route", CLUSTER_WORDS["aws.cluster.cluster"])
def test_a_cluster_whose_word_has_ended_is_refused_at_its_engines(route: str) -> None:
    whole = stack(RADIOLOGY, {"aws.cluster.cluster.until": date(2026, 11, 24)})
    assert {one.rule for one in whole.findings if one.route == route} == {
        "used-parts.answered",
        {"K45": "cluster-settings.policies-unsaid", "K46": "cluster-settings.encryption-unsaid"}[route],
    }


@pytest.mark.parametrize("key", [*WORDS, *CLUSTER_WORDS])
@pytest.mark.parametrize("field", ["owner", "since", "until", "what"])
def test_a_part_without_a_word_is_no_setting(key: str, field: str) -> None:
    config = yaml.safe_load(Site(SITE).stack_file(RADIOLOGY).read_text(encoding="utf-8"))["config"]
    part = config[settings.KEY]
    for step in key.split("."):
        part = part[step]
    del part[field]
    with pytest.raises(settings.SettingsError, match=rf"{key.split('.')[-1]}.*{field}: is missing"):
        settings.parse(config[settings.KEY], Path("Pulumi.radiology.yaml"))


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        ({"aws.network": "10.60.0.0/16"}, ["aws.network"]),
        ({"aws.endpoints": None}, ["aws.endpoints"]),
        ({"aws.keys": {}}, ["aws.keys.audit", "aws.keys.registry"]),
        ({"aws.singletons.trail": "create"}, ["aws.singletons.trail"]),
        ({"aws.system": {"count": 1}}, ["aws.system"]),
        ({"storageClass": None}, ["storageClass"]),
        ({"models.0.weights.volume": None}, ["models.0.weights.volume"]),
    ],
)
def test_a_tenant_stands_on_all_that_its_cluster_stands_on(change: dict[str, Any], faults: list[str]) -> None:
    with pytest.raises(settings.SettingsError) as caught:
        stack(RADIOLOGY, change)
    assert [line.split(": ")[1] for line in str(caught.value).splitlines()] == faults


def test_only_a_cluster_of_others_is_shared() -> None:
    with pytest.raises(settings.SettingsError, match=r"cluster.rights: the cluster is the ground's own"):
        stack(CLINIC, {"cluster.rights": "namespaces"})


# Two teams, two environments, one cluster


def namespaces(of: Rendered) -> set[str]:
    names = of.settings.namespaces
    return {names.gateway, names.serving, names.audit}


def objects(of: Rendered) -> list[dict[str, Any]]:
    return [dict(one.inputs) for one in of.resources if one.type.startswith("kubernetes:")]


def shared(of: Rendered) -> set[str]:
    """The kinds that belong to no namespace."""
    return {one["kind"] for one in objects(of) if "namespace" not in one["metadata"]}


def test_two_teams_share_a_cluster_and_nothing_in_it() -> None:
    one, other = (
        {
            (item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"])
            for item in objects(stack(name))
        }
        for name in (RADIOLOGY, ONCOLOGY)
    )
    assert not one & other
    assert not {urn.urn for urn in stack(RADIOLOGY).cloud} & {urn.urn for urn in stack(ONCOLOGY).cloud}
    assert stack(RADIOLOGY).settings.cluster.uid == stack(ONCOLOGY).settings.cluster.uid


def test_a_tenant_with_rights_in_its_namespaces_makes_nothing_elsewhere() -> None:
    radiology = stack(RADIOLOGY)
    assert shared(radiology) == set()
    assert {one["metadata"]["namespace"] for one in objects(radiology)} == namespaces(radiology)


def test_what_the_whole_cluster_shares_is_little() -> None:
    assert shared(stack(ONCOLOGY)) == {
        "Namespace",
        "PriorityClass",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    }
    assert shared(stack(CLINIC)) == shared(stack(ONCOLOGY)) | {"PersistentVolume", "StorageClass"}


def handed_over(name: str) -> list[dict[str, Any]]:
    site = Site(SITE)
    chosen = settings.load(site.stack_file(name))
    return handover.of_cluster(chosen, site, zones.load(site.zone_file(chosen.zone)), name)


def test_the_owner_of_the_cluster_makes_what_the_tenant_would() -> None:
    """What is handed over is what the same stack makes where it may."""
    free = stack(RADIOLOGY, {"cluster.rights": "cluster"})
    made = [one for one in objects(free) if "namespace" not in one["metadata"]]
    given = [one for one in handed_over(RADIOLOGY) if "namespace" not in one["metadata"]]
    assert sorted(map(json.dumps, map(_sorted, made))) == sorted(map(json.dumps, map(_sorted, given)))


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def test_what_is_handed_over_passes_the_rules(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(yaml.safe_dump_all(handed_over(RADIOLOGY)), encoding="utf-8")
    plan = read(file)
    assert (
        told(judge(Plan.of(plan.resources, whole=False), stack(RADIOLOGY).zone, rules.load()).findings) == []
    )


@pytest.mark.cluster
def test_the_rights_that_are_handed_over_are_enough_and_no_more(cluster: LiveCluster) -> None:
    radiology = stack(RADIOLOGY)
    places, given = namespaces(radiology), handed_over(RADIOLOGY)
    team = ("--as=deployer", f"--as-group={handover.deployers(RADIOLOGY)}")
    try:
        cluster.kubectl("apply", "--server-side", "-f", "-", stdin=_list(given))
        apply = ("apply", "--server-side", "--dry-run=server", "--validate=strict", "-o", "name")
        made = cluster.kubectl(*apply, *team, "-f", "-", stdin=_list(objects(radiology)))
        assert len(made.splitlines()) == len(objects(radiology))
        for elsewhere in (_namespace("another"), _config_map("default"), _config_map("kube-system")):
            with pytest.raises(AssertionError, match="forbidden"):
                cluster.kubectl(*apply, *team, "-f", "-", stdin=_list([elsewhere]))
        with pytest.raises(AssertionError, match="denied"):
            cluster.kubectl(*apply, *team, "-f", "-", stdin=_list([_privileged(min(places))]))
    finally:
        cluster.kubectl("delete", "--wait=false", "--ignore-not-found", "-f", "-", stdin=_list(given))


def _list(items: list[dict[str, Any]]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def _namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _config_map(namespace: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": namespace}}


def _privileged(namespace: str) -> dict[str, Any]:
    """A workload that the admission policies, which the cluster's owner applied, refuse."""
    pod = {
        "hostNetwork": True,
        "containers": [{"name": "a", "image": f"registry.example/a@sha256:{'0' * 64}"}],
    }
    labels = {"app": "a"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a", "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
