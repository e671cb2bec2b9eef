"""Parts of the local cluster that need no process: files, ports, settings of the components, nodes."""

import base64
import os
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml

from toolchain.cluster import control_plane, nodes, ports
from toolchain.cluster.errors import ClusterError
from toolchain.cluster.files import private_folder, write

PORTS = {"etcd": 20001, "etcd-peer": 20002, "kube-apiserver": 20003}
STAGES = "\n---\n".join(
    yaml.safe_dump({"kind": "Stage", "spec": {"resourceRef": {"kind": kind}}}) for kind in ("Node", "Pod")
)


@pytest.fixture
def stages(tmp_path: Path) -> list[Path]:
    (tmp_path / "stages.yaml").write_text(STAGES)
    return [tmp_path / "stages.yaml"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return private_folder(tmp_path / "cluster")


def binaries(tmp_path: Path) -> dict[str, Path]:
    for name in control_plane.NAMES:
        (tmp_path / name).write_bytes(b"program")
    return {name: tmp_path / name for name in control_plane.NAMES}


def test_a_file_is_written_whole_and_only_for_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    write(file, b"one")
    write(file, b"two")
    assert file.read_bytes() == b"two"
    assert file.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["secret"]


def test_a_file_that_is_right_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    write(file, b"one")
    before = file.stat()
    write(file, b"one")
    assert file.stat() == before


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    write(file, b"one")
    with pytest.raises(TypeError):
        write(file, "text")  # type: ignore[arg-type]
    assert file.read_bytes() == b"one"
    assert os.listdir(tmp_path) == ["secret"]


def test_a_folder_that_others_could_enter_is_closed(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    assert private_folder(tmp_path / "open").stat().st_mode & 0o777 == 0o700


def test_a_port_that_is_listened_on_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not ports.free(port)
        assert ports.answers(port)
    assert ports.free(port)
    assert not ports.answers(port)


def test_found_ports_are_free_and_not_the_taken_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    port = ports.find(())
    assert port >= ports.LOWEST
    assert ports.free(port)
    monkeypatch.setattr(ports, "_first_ephemeral", lambda: ports.LOWEST + 3)
    found = [ports.find(())]
    while len(found) < 3:
        found.append(ports.find(found))
    assert len(set(found)) == 3
    with pytest.raises(OSError, match="no free port"):
        ports.find(found)


def test_the_kubeconfig_embeds_its_credentials_and_names_one_cluster(
    folder: Path, stages: list[Path]
) -> None:
    control_plane.write_configuration(folder, PORTS, stages)
    kubeconfig: dict[str, Any] = yaml.safe_load((folder / "kubeconfig").read_bytes())
    assert (folder / "kubeconfig").stat().st_mode & 0o777 == 0o600
    assert kubeconfig["current-context"] == "sovereign-local"
    assert kubeconfig["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:20003"
    authority = base64.b64decode(kubeconfig["clusters"][0]["cluster"]["certificate-authority-data"])
    assert authority == (folder / "pki" / "ca.crt").read_bytes()
    assert set(kubeconfig["users"][0]["user"]) == {"client-certificate-data", "client-key-data"}


def test_settings_are_written_once(folder: Path, stages: list[Path]) -> None:
    assert control_plane.write_configuration(folder, PORTS, stages)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert control_plane.write_configuration(folder, PORTS, stages) == []
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_secrets_are_encrypted_and_nothing_can_be_read_in_clear(folder: Path, stages: list[Path]) -> None:
    control_plane.write_configuration(folder, PORTS, stages)
    encryption = yaml.safe_load((folder / "config" / "encryption.yaml").read_bytes())
    (resource,) = encryption["resources"]
    (provider,) = resource["providers"]
    assert resource["resources"] == ["secrets"]
    assert len(base64.b64decode(provider["secretbox"]["keys"][0]["secret"])) == 32


def test_a_lost_encryption_key_is_not_replaced_while_there_is_data(folder: Path, stages: list[Path]) -> None:
    control_plane.write_configuration(folder, PORTS, stages)
    (folder / "data" / "etcd" / "member").mkdir(parents=True)
    (folder / "config" / "encryption.yaml").unlink()
    with pytest.raises(ClusterError, match=r"encryption\.yaml is gone"):
        control_plane.write_configuration(folder, PORTS, stages)


@pytest.mark.parametrize(
    ("content", "said"),
    [("a: [", "can't be read"), ("", "hold none"), ("kind: Stage\nspec: 1", "can't be read")],
)
def test_unusable_stages_are_refused(folder: Path, tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "bad.yaml").write_text(content)
    with pytest.raises(ClusterError, match=said):
        control_plane.write_configuration(folder, PORTS, [tmp_path / "bad.yaml"])


def test_another_port_certificate_or_binary_means_another_digest(
    folder: Path, stages: list[Path], tmp_path: Path
) -> None:
    programs = binaries(tmp_path)

    def digests() -> dict[str, str]:
        return {item.name: item.digest(folder) for item in control_plane.components(programs, ports_now)}

    ports_now = PORTS
    control_plane.write_configuration(folder, ports_now, stages)
    first = digests()
    assert digests() == first

    ports_now = PORTS | {"kube-apiserver": 20004}
    control_plane.write_configuration(folder, ports_now, stages)
    moved = digests()
    assert {name for name in first if first[name] != moved[name]} == set(control_plane.NAMES) - {"etcd"}

    (folder / "pki" / "scheduler.key").unlink()
    control_plane.write_configuration(folder, ports_now, stages)
    renewed = digests()
    assert {name for name in moved if moved[name] != renewed[name]} == {"kube-scheduler"}

    programs["etcd"].write_bytes(b"another program")
    assert {name for name, digest in digests().items() if digest != renewed[name]} == {"etcd"}


def test_no_path_of_the_checkout_is_on_a_command_line(folder: Path, tmp_path: Path) -> None:
    for component in control_plane.components(binaries(tmp_path), PORTS):
        assert not any(str(tmp_path) in argument for argument in component.arguments)


def test_every_server_listens_on_the_loopback_address_only(tmp_path: Path) -> None:
    for component in control_plane.components(binaries(tmp_path), PORTS):
        addresses = [item for item in component.arguments if "address=" in item or "-urls=" in item]
        assert all("127.0.0.1" in item for item in addresses)


def test_nodes_carry_what_the_scheduler_and_the_user_look_for() -> None:
    node = nodes.node(4, nodes.shape("NVIDIA-L40S", 2))
    labels = node["metadata"]["labels"]
    assert labels["nvidia.com/gpu.product"] == "NVIDIA-L40S"
    assert labels["nvidia.com/gpu.memory"] == "46068"
    assert labels["nvidia.com/gpu.count"] == "2"
    assert labels["kubernetes.io/hostname"] == "gpu-node-4"
    assert labels["topology.kubernetes.io/zone"] == "zone-2"
    assert labels["llm.kit/simulated"] == "true"
    assert node["status"]["allocatable"]["nvidia.com/gpu"] == "2"
    assert node["metadata"]["annotations"] == {"kwok.x-k8s.io/node": "fake"}


def test_an_unknown_gpu_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ClusterError, match=r"'TPU'.*NVIDIA-H100-80GB-HBM3.*gpus\.yaml"):
        nodes.shape("TPU", 8)


@pytest.mark.parametrize(
    ("taints", "status", "ready"),
    [
        ([], "True", True),
        ([], "Unknown", False),
        ([{"key": "node.kubernetes.io/not-ready"}], "True", False),
        ([{"key": "dedicated"}], "True", True),
    ],
)
def test_a_node_is_ready_when_pods_can_be_placed(
    taints: list[dict[str, str]], status: str, ready: bool
) -> None:
    node = {"spec": {"taints": taints}, "status": {"conditions": [{"type": "Ready", "status": status}]}}
    assert nodes.is_ready(node) is ready


def test_a_node_that_says_nothing_is_not_ready() -> None:
    assert not nodes.is_ready({"spec": {}})
