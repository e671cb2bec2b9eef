"""Signed weights: each way in which a folder can differ from what was signed is refused with its own
sentence."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from cli.main import app
from facts.site import ROOT
from services.weights import signing
from services.weights.errors import WeightsError
from services.weights.manifest import MANIFEST, SCHEMA, SIGNATURE, parse
from services.weights.signing import Verified

KEY = Ed25519PrivateKey.generate()
PRIVATE = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
SHARD, OTHER = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


def quiet(count: int) -> None:
    pass


def sign(folder: Path, serial: int = 1, private: bytes = PRIVATE) -> str:
    return signing.sign(folder, private, "llama-3.3-70b", serial, 2, quiet).digest


def verify(folder: Path, public: bytes = PUBLIC, **more: object) -> Verified:
    return signing.verify(folder, public, 2, quiet, **more)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Signed weights: two shards, a configuration, a tokenizer in a folder, an empty file."""
    weights = tmp_path / "llama-3.3-70b"
    (weights / "tokenizer").mkdir(parents=True)
    (weights / SHARD).write_bytes(os.urandom(300_000))
    (weights / OTHER).write_bytes(os.urandom(200_000))
    (weights / "config.json").write_text("{}")
    (weights / "tokenizer" / "vocabulary.json").write_text('["a"]')
    (weights / "LICENSE").touch()
    sign(weights)
    return weights


def test_what_was_signed_is_verified(folder: Path) -> None:
    found = verify(folder, digest=parse((folder / MANIFEST).read_bytes()).digest, model="llama-3.3-70b")
    assert (found.files, found.bytes, found.serial) == (5, 500_007, 1)
    assert found.digest.startswith("sha256:")


def flip(folder: Path) -> None:
    data = bytearray((folder / SHARD).read_bytes())
    data[150_000] ^= 1
    (folder / SHARD).write_bytes(data)


def cut(folder: Path) -> None:
    os.truncate(folder / SHARD, 299_999)


def longer(folder: Path) -> None:
    with (folder / SHARD).open("ab") as shard:
        shard.write(b"x")


def link_out(folder: Path) -> None:
    outside = folder.parent / "outside"
    os.replace(folder / SHARD, outside)
    (folder / SHARD).symlink_to(outside)


def link_folder(folder: Path) -> None:
    os.replace(folder / "tokenizer", folder.parent / "elsewhere")
    (folder / "tokenizer").symlink_to(folder.parent / "elsewhere")


FAULTS: list[tuple[str, Callable[[Path], object], str]] = [
    ("missing", lambda f: (f / OTHER).unlink(), rf"{OTHER} is missing: copy it again"),
    ("extra", lambda f: (f / "more.py").write_text("x"), r"more\.py was not signed: remove it"),
    ("hidden", lambda f: (f / ".x").write_text("x"), r"\.x was not signed"),
    ("renamed", lambda f: (f / SHARD).rename(f / "a.safetensors"), rf"{SHARD} is called a\.safetensors here"),
    ("empty", lambda f: os.truncate(f / SHARD, 0), rf"{SHARD} is empty, and 300,000 bytes were signed"),
    ("truncated", cut, rf"{SHARD} is cut off: it has 299,999 of 300,000 bytes"),
    ("longer", longer, rf"{SHARD} has 300,001 bytes, more than"),
    ("bit-flipped", flip, rf"{SHARD} has other bytes than were signed"),
    ("symbolic link", link_out, rf"{SHARD} is a symbolic link: .*cp -rL"),
    ("linked folder", link_folder, r"tokenizer is a symbolic link"),
    ("pipe", lambda f: os.mkfifo(f / "pipe"), r"pipe is no ordinary file"),
    ("no manifest", lambda f: (f / MANIFEST).unlink(), rf"has no {MANIFEST}: the weights were never signed"),
    ("no signature", lambda f: (f / SIGNATURE).unlink(), rf"has no {SIGNATURE}"),
    ("cut manifest", lambda f: os.truncate(f / MANIFEST, 100), r"is cut off, or no JSON"),
    ("empty manifest", lambda f: os.truncate(f / MANIFEST, 0), r"is cut off, or no JSON"),
    (
        "cut signature",
        lambda f: os.truncate(f / SIGNATURE, 20),
        rf"{SIGNATURE} is no signature: it is cut off",
    ),
]


@pytest.mark.parametrize(("fault", "said"), [pytest.param(*rest, id=name) for name, *rest in FAULTS])
def test_a_fault_is_refused_with_its_sentence(
    folder: Path, fault: Callable[[Path], object], said: str
) -> None:
    fault(folder)
    with pytest.raises(WeightsError, match=said):
        verify(folder)


def test_all_faults_of_names_and_sizes_are_told_at_once(folder: Path) -> None:
    cut(folder)
    (folder / OTHER).unlink()
    (folder / "more.py").write_text("x")
    with pytest.raises(WeightsError) as caught:
        verify(folder)
    assert len(str(caught.value).splitlines()) == 3


def test_another_key_is_refused(folder: Path) -> None:
    other = Ed25519PrivateKey.generate().public_key()
    pem = other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(WeightsError, match="signed with another key than the one given"):
        verify(folder, pem)


def test_a_changed_manifest_is_refused(folder: Path) -> None:
    text = (folder / MANIFEST).read_bytes().replace(b'"serial":1', b'"serial":2')
    (folder / MANIFEST).write_bytes(text)
    with pytest.raises(WeightsError, match="The signature doesn't belong to this manifest"):
        verify(folder)


def test_an_older_folder_is_refused(folder: Path) -> None:
    old = {name: (folder / name).read_bytes() for name in (MANIFEST, SIGNATURE, "config.json")}
    (folder / "config.json").write_text('{"new": 1}')
    released = sign(folder, serial=2)
    assert verify(folder, digest=released).serial == 2
    for name, content in old.items():
        (folder / name).write_bytes(content)
    assert verify(folder).serial == 1
    with pytest.raises(WeightsError, match=r"this is serial 1 .* was released: an older or another manifest"):
        verify(folder, digest=released)


def test_another_model_is_refused(folder: Path) -> None:
    with pytest.raises(WeightsError, match=r"weights of llama-3\.3-70b, and llama-3\.1-8b is to be served"):
        verify(folder, model="llama-3.1-8b")


def resigned(folder: Path, manifest: bytes) -> None:
    """A manifest that the signer would never write, with a good signature."""
    import base64

    (folder / MANIFEST).write_bytes(manifest)
    signed = json.loads((folder / SIGNATURE).read_text())
    signed["signature"] = base64.b64encode(KEY.sign(f"{SCHEMA}\n".encode() + manifest)).decode()
    (folder / SIGNATURE).write_text(json.dumps(signed))


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("../outside", "leads out of the folder"),
        ("/etc/passwd", "leads out of the folder"),
        ("a//b", "leads out of the folder"),
        ("a\\\\b", "leads out of the folder"),
        (MANIFEST, "leads out of the folder"),
    ],
)
def test_a_signed_path_that_climbs_is_refused(folder: Path, path: str, said: str) -> None:
    text = (folder / MANIFEST).read_text().replace('"config.json"', f'"{path}"')
    resigned(folder, text.encode())
    with pytest.raises(WeightsError, match=said):
        verify(folder)


@pytest.mark.parametrize(
    "change",
    [
        (b'"serial":1', b'"serial":1,"serial":1'),
        (b'"serial":1', b'"serial":true'),
        (b'"serial":1', b'"serial":0'),
        (b'"serial":1', b'"extra":1,"serial":1'),
        (b"manifest/v1", b"manifest/v2"),
        (b'"size":300000', b'"size":-300000'),
    ],
)
def test_a_manifest_of_another_form_is_refused(folder: Path, change: tuple[bytes, bytes]) -> None:
    resigned(folder, (folder / MANIFEST).read_bytes().replace(*change, 1))
    with pytest.raises(WeightsError, match="is no manifest of weights"):
        verify(folder)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (PUBLIC, "the private key is needed"),
        (b"nonsense", "no private key in PEM"),
        (KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")), "locked with"),
        (
            ec.generate_private_key(ec.SECP256R1()).private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
            ),
            "not of type ed25519",
        ),
    ],
)
def test_a_key_that_can_t_sign_is_answered(folder: Path, key: bytes, said: str) -> None:
    with pytest.raises(WeightsError, match=said):
        sign(folder, 2, key)


def test_a_private_key_is_not_taken_to_verify(folder: Path) -> None:
    with pytest.raises(WeightsError, match="this is a private one: take it away from here"):
        verify(folder, PRIVATE)


def test_nothing_empty_or_older_is_signed(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="a new one needs a higher one, such as --serial 2"):
        sign(folder, 1)
    os.truncate(folder / SHARD, 0)
    with pytest.raises(WeightsError, match=f"{SHARD} is empty: copy it again before signing"):
        sign(folder, 2)
    (tmp_path / "void").mkdir()
    with pytest.raises(WeightsError, match="there is nothing to sign"):
        sign(tmp_path / "void")


def test_a_cache_is_filled_healed_and_cleaned(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    verify(folder, copy_to=cache)
    files = {p.relative_to(cache).as_posix() for p in cache.rglob("*") if p.is_file()}
    assert files == {SHARD, OTHER, "config.json", "tokenizer/vocabulary.json", "LICENSE"}
    flip(cache)
    (cache / "left-over").write_text("x")
    (cache / OTHER).unlink()
    (cache / OTHER).symlink_to("/etc/passwd")
    verify(folder, copy_to=cache)
    assert not (cache / "left-over").exists()
    for path in files:
        assert (cache / path).read_bytes() == (folder / path).read_bytes()


def test_a_bad_source_leaves_nothing_in_the_cache(folder: Path, tmp_path: Path) -> None:
    flip(folder)
    with pytest.raises(WeightsError, match="has other bytes than were signed"):
        verify(folder, copy_to=tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def program(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.weights", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_init_container_lets_an_engine_start_only_on_good_weights(folder: Path, tmp_path: Path) -> None:
    key = tmp_path / "public.pem"
    key.write_bytes(PUBLIC)
    digest = parse((folder / MANIFEST).read_bytes()).digest.removeprefix("sha256:")
    good = program("verify", folder, "--key", key, "--digest", digest, "--model", "llama-3.3-70b")
    assert (good.returncode, json.loads(good.stdout)["verified"]) == (0, True)
    flip(folder)
    bad = program("verify", folder, "--key", key)
    assert bad.returncode == 1
    assert "has other bytes than were signed" in bad.stderr
    assert program("verify", folder).returncode == 2
    assert program("verify", folder, "--key", tmp_path / "none.pem").returncode == 3


def test_the_init_container_ends_when_told(tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.mkdir()
    with (big / "a.safetensors").open("wb") as shard:
        shard.truncate(3_000_000_000)  # a hole: nothing on the disk
    (big / MANIFEST).write_text("x")
    from services.weights.manifest import Entry, Manifest

    manifest = Manifest("m", 1, {"a.safetensors": Entry(3_000_000_000, "0" * 64)})
    (big / SIGNATURE).write_text(
        json.dumps({"schema": signing.SIGNATURE_SCHEMA, "key": signing._fingerprint(KEY.public_key())})
    )
    signed = {**json.loads((big / SIGNATURE).read_text()), "signature": ""}
    (big / SIGNATURE).write_text(json.dumps(signed))
    resigned(big, manifest.canonical())
    key = tmp_path / "public.pem"
    key.write_bytes(PUBLIC)
    running = subprocess.Popen(
        [sys.executable, "-m", "services.weights", "verify", str(big), "--key", str(key)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
    )
    time.sleep(1.0)
    assert running.poll() is None
    running.send_signal(signal.SIGTERM)
    assert running.wait(5) == 143


def test_sign_and_verify_by_command(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "private.pem").write_bytes(PRIVATE)
    (tmp_path / "public.pem").write_bytes(PUBLIC)
    run = CliRunner().invoke
    signed = run(app, ["weights", "sign", str(folder), "--key", str(tmp_path / "private.pem"), "--json"])
    assert signed.exit_code == 0, signed.output
    said = json.loads(signed.stdout)
    assert (said["model"], said["serial"]) == ("llama-3.3-70b", 2)
    check = ["weights", "verify", str(folder), "--key", str(tmp_path / "public.pem")]
    good = run(app, [*check, "--digest", said["digest"]])
    assert good.exit_code == 0, good.output
    assert "pass: 5 files" in good.stdout
    flip(folder)
    bad = run(app, [*check, "--json"])
    assert bad.exit_code == 1
    assert json.loads(bad.stdout)["faults"] == [
        f"{SHARD} has other bytes than were signed: copy it again, and find out who changed it."
    ]
    (tmp_path / "other.pem").write_text("no key", encoding="utf-8")
    unread = run(app, [*check[:-1], str(tmp_path / "other.pem"), "--json"])
    assert (unread.exit_code, unread.stdout) == (2, "")
    assert "other.pem: The key is no public key in PEM" in unread.stderr
    wrong = run(app, ["weights", "sign", str(folder), "--key", str(tmp_path / "public.pem")])
    assert wrong.exit_code == 2
