"""The local cluster's keys and certificates: issued once, kept while good, issued anew when not."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from toolchain.cluster import pki

ADDRESS = "10.96.0.1"
EVERYTHING = [*pki.AUTHORITIES, *(leaf.name for leaf in pki.leaves(ADDRESS)), "sa"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert sorted(pki.ensure(tmp_path / "pki", ADDRESS)) == sorted(EVERYTHING)
    return tmp_path / "pki"


def read(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())


def test_a_second_run_issues_nothing(folder: Path) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert pki.ensure(folder, ADDRESS) == []
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_only_the_owner_can_read(folder: Path) -> None:
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


@pytest.mark.parametrize("name", ["localhost", "kubernetes.default.svc"])
def test_a_verifier_accepts_the_api_server_by_name(folder: Path, name: str) -> None:
    builder = PolicyBuilder().store(Store([read(folder, "ca")]))
    chain = builder.build_server_verifier(x509.DNSName(name)).verify(read(folder, "apiserver"), [])
    assert chain[-1] == read(folder, "ca")


@pytest.mark.parametrize("address", ["127.0.0.1", ADDRESS])
def test_a_verifier_accepts_the_api_server_by_address(folder: Path, address: str) -> None:
    builder = PolicyBuilder().store(Store([read(folder, "ca")]))
    subject = x509.IPAddress(ipaddress.ip_address(address))
    assert builder.build_server_verifier(subject).verify(read(folder, "apiserver"), [])


@pytest.mark.parametrize("leaf", pki.leaves(ADDRESS), ids=lambda leaf: leaf.name)
def test_each_certificate_comes_from_its_own_authority_only(folder: Path, leaf: pki.Leaf) -> None:
    certificate = read(folder, leaf.name)
    for authority in pki.AUTHORITIES:
        if authority == leaf.authority:
            certificate.verify_directly_issued_by(read(folder, authority))
        else:
            with pytest.raises(ValueError, match="issuer"):
                certificate.verify_directly_issued_by(read(folder, authority))


def test_certificates_near_their_end_are_renewed_and_authorities_stay(folder: Path) -> None:
    soon = datetime.now(UTC) + pki.LEAF_LIFE - pki.RENEW_BEFORE
    issued = pki.ensure(folder, ADDRESS, now=soon + timedelta(minutes=1))
    assert issued == [leaf.name for leaf in pki.leaves(ADDRESS)]
    assert read(folder, "admin").not_valid_after_utc > soon + timedelta(days=300)


def test_certificates_with_life_left_are_kept(folder: Path) -> None:
    soon = datetime.now(UTC) + pki.LEAF_LIFE - pki.RENEW_BEFORE
    assert pki.ensure(folder, ADDRESS, now=soon - timedelta(minutes=1)) == []


def test_an_old_authority_is_replaced_with_all_that_it_issued(folder: Path) -> None:
    issued = pki.ensure(folder, ADDRESS, now=datetime.now(UTC) + timedelta(days=3300))
    assert sorted(issued) == sorted(set(EVERYTHING) - {"sa"})
    read(folder, "admin").verify_directly_issued_by(read(folder, "ca"))


def test_a_clock_set_back_far_issues_anew(folder: Path) -> None:
    assert "admin" in pki.ensure(folder, ADDRESS, now=datetime.now(UTC) - timedelta(days=2))


@pytest.mark.parametrize("damage", [b"", b"-----BEGIN CERTIFICATE-----\nnot base64", b"\x00" * 500])
@pytest.mark.parametrize("file", ["admin.crt", "admin.key"])
def test_a_damaged_pair_is_issued_anew(folder: Path, file: str, damage: bytes) -> None:
    (folder / file).write_bytes(damage)
    assert pki.ensure(folder, ADDRESS) == ["admin"]
    assert pki.ensure(folder, ADDRESS) == []


def test_a_key_of_another_certificate_is_noticed(folder: Path) -> None:
    (folder / "admin.key").write_bytes((folder / "scheduler.key").read_bytes())
    assert pki.ensure(folder, ADDRESS) == ["admin"]


def test_a_key_that_others_could_read_is_replaced(folder: Path) -> None:
    (folder / "kwok.key").chmod(0o644)
    assert pki.ensure(folder, ADDRESS) == ["kwok"]
    assert (folder / "kwok.key").stat().st_mode & 0o777 == 0o600


def test_another_service_address_gives_the_api_server_another_certificate(folder: Path) -> None:
    assert pki.ensure(folder, "10.97.0.1") == ["apiserver"]


def test_a_lost_authority_key_replaces_what_depends_on_it(folder: Path) -> None:
    (folder / "etcd-ca.key").unlink()
    assert sorted(pki.ensure(folder, ADDRESS)) == ["apiserver-etcd-client", "etcd", "etcd-ca"]
