"""Faults of the local cluster that show without starting it: one sentence each, and nothing left behind."""

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from toolchain.cluster import REQUIRED, Cluster, ClusterError
from toolchain.cluster import cluster as module


def arguments(tmp_path: Path, **changes: Any) -> dict[str, Any]:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o700)
    stages = tmp_path / "stages.yaml"
    stages.write_text(
        "kind: Stage\nspec: {resourceRef: {kind: Node}}\n---\nkind: Stage\nspec: {resourceRef: {kind: Pod}}\n"
    )
    given = {
        "nodes": 1,
        "gpu": "NVIDIA-L4",
        "gpus_per_node": 1,
        "binaries": dict.fromkeys(REQUIRED, program),
        "stages": [stages],
    }
    return given | changes


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    given = arguments(tmp_path)
    given["binaries"]["kwok"] = tmp_path / "nowhere"
    with pytest.raises(ClusterError, match=r"program kwok .* is missing at .*nowhere\. Build the toolchain"):
        Cluster(tmp_path / "cluster").up(**given)
    del given["binaries"]["kwok"]
    with pytest.raises(ClusterError, match="program kwok of the local cluster is missing"):
        Cluster(tmp_path / "cluster").up(**given)
    assert not (tmp_path / "cluster").exists()


def test_a_program_that_may_not_be_run_is_named(tmp_path: Path) -> None:
    given = arguments(tmp_path)
    (tmp_path / "plain").write_text("text")
    given["binaries"]["etcd"] = tmp_path / "plain"
    with pytest.raises(ClusterError, match="program etcd"):
        Cluster(tmp_path / "cluster").up(**given)


def test_a_program_of_another_kind_of_machine_is_one_sentence(tmp_path: Path) -> None:
    given = arguments(tmp_path)
    (tmp_path / "program").write_bytes(b"\x7fELF nonsense")
    with pytest.raises(ClusterError, match=r"etcd can't be started: .*Build the toolchain again"):
        Cluster(tmp_path / "cluster").up(**given)


def test_a_program_that_ends_at_once_is_named_with_its_log(tmp_path: Path) -> None:
    given = arguments(tmp_path)
    (tmp_path / "program").write_text("#!/bin/sh\necho 'Error: the disk is on fire' >&2; exit 1\n")
    with pytest.raises(ClusterError) as caught:
        Cluster(tmp_path / "cluster").up(**given)
    assert "etcd" in str(caught.value)
    assert "the disk is on fire" in str(caught.value)
    assert str(tmp_path / "cluster" / "logs" / "etcd.log") in str(caught.value)


@pytest.mark.parametrize("change", [{"nodes": -1}, {"gpus_per_node": -1}, {"gpu": "TPU"}])
def test_impossible_wishes_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(ClusterError):
        Cluster(tmp_path / "cluster").up(**arguments(tmp_path, **change))
    assert not (tmp_path / "cluster").exists()


def test_a_file_in_place_of_the_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "cluster").write_text("")
    with pytest.raises(ClusterError, match="move it away"):
        Cluster(tmp_path / "cluster").up(**arguments(tmp_path))
    with pytest.raises(ClusterError, match="move it away"):
        Cluster(tmp_path / "cluster" / "below").up(**arguments(tmp_path))


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"/proc/cluster"):
        Cluster(Path("/proc/cluster")).up(**arguments(tmp_path))


def test_a_path_that_is_too_long_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="shorter path"):
        Cluster(tmp_path / ("x" * 300)).up(**arguments(tmp_path))


def test_status_and_down_where_there_is_nothing(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "cluster")
    status = cluster.status()
    assert (status.running, status.kubeconfig, status.server, status.nodes, status.uid) == (
        False,
        None,
        None,
        0,
        None,
    )
    assert set(status.components.values()) == {"stopped"}
    cluster.down()
    cluster.down(delete=True)
    assert not (tmp_path / "cluster").exists()


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"ports": {"etcd": "x"}}'])
def test_damaged_records_are_no_running_cluster(tmp_path: Path, content: str) -> None:
    (tmp_path / "cluster.json").write_text(content)
    (tmp_path / "kubeconfig").write_text("")
    assert not Cluster(tmp_path).status().running


def test_delete_removes_only_what_a_cluster_makes(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "thesis.txt").write_text("ten years of work")
    Cluster(tmp_path).down(delete=True)
    assert os.listdir(tmp_path) == ["thesis.txt"]


def test_delete_does_not_follow_links(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("")
    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster" / "data").symlink_to(tmp_path / "precious")
    Cluster(tmp_path / "cluster").down(delete=True)
    assert (tmp_path / "precious" / "file").exists()
    assert not (tmp_path / "cluster").exists()


def test_a_second_command_waits_for_the_first_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOCK_SECONDS", 0.3)
    said: list[str] = []
    descriptor = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(ClusterError, match="Another command has been working"):
            Cluster(tmp_path).up(**arguments(tmp_path), report=said.append)
    finally:
        os.close(descriptor)
    assert said == [f"waiting for another command that works on {tmp_path}"]
