"""Which stages a run lays: by the settings, and by whether it is a review."""

from pathlib import Path

import pytest

from facts.site import ROOT, Site
from stacks import custody, settings, stages
from stacks.settings import Settings

LOCAL = settings.load(ROOT / "stacks" / "Pulumi.local.yaml")
UID = "6f2d1c7e-5b0a-4c5e-9f39-0d8f4a7b2c11"
REVIEW, BESIDE = {"SOVEREIGN_PREVIEW": "symbolic"}, {"SOVEREIGN_PREVIEW": "ordinary"}


def of_cluster(uid: str | None) -> Settings:
    return LOCAL.model_copy(update={"cluster": LOCAL.cluster.model_copy(update={"uid": uid})})


def test_a_release_lays_the_ground_alone_until_the_cluster_is_known() -> None:
    assert stages.cluster_uid(of_cluster(None), "dev", {}) is None
    assert stages.cluster_uid(of_cluster(UID), "dev", {}) == UID


def test_a_review_lays_both_at_once() -> None:
    found = stages.cluster_uid(of_cluster(None), "dev", REVIEW)
    assert found is not None
    # of the form that names one cluster, the same in every review of the stack, and no other stack's
    assert of_cluster(found).cluster.model_validate({"kubeconfig": "ground", "uid": found}).uid == found
    assert found == stages.cluster_uid(of_cluster(None), "dev", REVIEW)
    assert found != stages.cluster_uid(of_cluster(None), "test", REVIEW)
    assert stages.cluster_uid(of_cluster(UID), "dev", REVIEW) == UID


def test_with_outputs_unknown_the_way_into_the_cluster_is_unknown_too() -> None:
    assert stages.cluster_uid(of_cluster(None), "dev", BESIDE) is None
    assert stages.cluster_uid(of_cluster(UID), "dev", BESIDE) is None


def test_both_are_reviews_and_a_plain_run_is_none() -> None:
    assert stages.is_review(REVIEW)
    assert stages.is_review(BESIDE)
    assert not stages.is_review({})
    assert not stages.is_review({"SOVEREIGN_PREVIEW": ""})


def test_the_next_step_says_what_to_read_and_where_to_write_it() -> None:
    assert "kubectl get namespace kube-system" in stages.NEXT
    assert "cluster.uid" in stages.NEXT
    assert "--release" in stages.NEXT


@pytest.mark.parametrize("dry_run", [True, False])
def test_only_a_preview_of_a_review_keeps_its_state_nowhere(
    dry_run: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("pulumi.runtime.is_dry_run", lambda: dry_run)
    environ = {"PULUMI_BACKEND_URL": f"file://{tmp_path}", **REVIEW}
    if dry_run:
        custody.check(LOCAL, Site(ROOT / "stacks"), "local", environ)
    else:
        with pytest.raises(custody.CustodyError, match="keeps its state elsewhere"):
            custody.check(LOCAL, Site(ROOT / "stacks"), "local", environ)
