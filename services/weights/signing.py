"""Signing a folder of weights, and the check that it is the one that was signed."""

import base64
import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from services.weights import folder as files
from services.weights.errors import KeyFault, WeightsError
from services.weights.folder import Progress
from services.weights.manifest import MANIFEST, SCHEMA, SIGNATURE, Entry, Manifest, load, parse

SIGNATURE_SCHEMA = "sovereign/weights-signature/v1"
#: a signature over a manifest can't be taken for one over anything else
_PREFIX = f"{SCHEMA}\n".encode()
_WEIGHTS = (".safetensors", ".bin", ".pt", ".gguf")


@dataclass(frozen=True)
class Verified:
    """What was found to be as it was signed; `seconds` is how long that took."""

    model: str
    serial: int
    digest: str
    files: int
    bytes: int
    seconds: float


def sign(
    folder: Path, private_pem: bytes, model: str, serial: int, parallel: int, progress: Progress
) -> Manifest:
    """Writes manifest and signature into the folder, both or none. Raises WeightsError."""
    key = _private(private_pem)
    found = files.sizes(folder)
    if not found:
        raise WeightsError(f"{folder} holds no files: there is nothing to sign.")
    empty = [path for path, size in found.items() if not size and path.endswith(_WEIGHTS)]
    if empty:
        raise WeightsError("\n".join(f"{path} is empty: copy it again before signing." for path in empty))
    present = _present(folder)
    if present is not None and serial <= present.serial:
        raise WeightsError(
            f"The folder already holds a manifest of serial {present.serial}: a new one needs a higher one, "
            f"such as --serial {present.serial + 1}."
        )
    digests = files.digests(folder, found, parallel, progress)
    manifest = Manifest(model, serial, {path: Entry(size, digests[path]) for path, size in found.items()})
    signature = {
        "schema": SIGNATURE_SCHEMA,
        "key": _fingerprint(key.public_key()),
        "signature": base64.b64encode(key.sign(_PREFIX + manifest.canonical())).decode(),
    }
    # the signature goes first: a stop between the two leaves a folder that no check passes
    _replace(folder / SIGNATURE, json.dumps(signature, indent=1).encode())
    _replace(folder / MANIFEST, manifest.canonical())
    return manifest


def verify(
    folder: Path,
    public_pem: bytes,
    parallel: int,
    progress: Progress,
    *,
    digest: str | None = None,
    model: str | None = None,
    copy_to: Path | None = None,
) -> Verified:
    """Checks signature, names, sizes and then every byte; `digest` is the manifest that is meant.

    With `copy_to` the files are copied while they are read, and only what was verified gets its name there.
    Raises WeightsError with a line for each fault, and OSError for what can't be read.
    """
    start = time.monotonic()
    manifest = _signed(folder, public_pem)
    if model is not None and manifest.model != model:
        raise WeightsError(f"These are the signed weights of {manifest.model}, and {model} is to be served.")
    if digest is not None and manifest.digest != digest:
        raise WeightsError(
            f"The signature is good, but this is serial {manifest.serial} with {manifest.digest}, and "
            f"{digest} was released: an older or another manifest was put here. Copy the released folder, or "
            "pin this one."
        )
    found = files.sizes(folder)
    _compare(manifest, found, folder)
    if copy_to is None:
        got = files.digests(folder, found, parallel, progress)
        _same(manifest, got)
    else:
        _copy(folder, manifest, copy_to, parallel, progress)
    seconds = time.monotonic() - start
    return Verified(
        manifest.model, manifest.serial, manifest.digest, len(found), manifest.size, round(seconds, 3)
    )


def expected(folder: Path, public_pem: bytes) -> int:
    """Bytes that the signed manifest names: the length of the way. Raises WeightsError."""
    return _signed(folder, public_pem).size


def next_serial(folder: Path) -> int:
    """One more than the serial of the manifest in the folder; 1 where there is none."""
    present = _present(folder)
    return 1 if present is None else present.serial + 1


def _signed(folder: Path, public_pem: bytes) -> Manifest:
    """The manifest, if its signature is good by this key."""
    key = _public(public_pem)
    texts = {}
    for name in (MANIFEST, SIGNATURE):
        try:
            texts[name] = (folder / name).read_bytes()
        except FileNotFoundError:
            raise WeightsError(
                f"{folder} has no {name}: the weights were never signed, or not copied whole. Sign them with "
                "`sovereign weights sign`."
            ) from None
    manifest = parse(texts[MANIFEST])
    said = load(texts[SIGNATURE], f"{SIGNATURE} is no signature")
    if said.keys() != {"schema", "key", "signature"} or said["schema"] != SIGNATURE_SCHEMA:
        raise WeightsError(
            f"{SIGNATURE} is no signature of schema {SIGNATURE_SCHEMA}: sign the folder again."
        )
    if said["key"] != _fingerprint(key):
        raise WeightsError(
            "The weights were signed with another key than the one given: find out who signed them before "
            "you change the key."
        )
    try:
        key.verify(base64.b64decode(str(said["signature"]), validate=True), _PREFIX + manifest.canonical())
    except (InvalidSignature, ValueError):
        raise WeightsError(
            "The signature doesn't belong to this manifest: one of the two was changed after signing. Copy "
            "the folder anew from where it was signed."
        ) from None
    return manifest


def _compare(manifest: Manifest, found: Mapping[str, int], folder: Path) -> None:
    """Names and sizes: cheap, so all faults are told before a byte is read."""
    missing = [path for path in manifest.files if path not in found]
    extra = [path for path in found if path not in manifest.files]
    faults: list[str] = []
    for path in list(missing):
        twin = _twin(manifest.files[path], extra, found, folder)
        if twin is not None:
            faults.append(f"{path} is called {twin} here: give it its name back.")
            missing.remove(path)
            extra.remove(twin)
    faults += [f"{path} is missing: copy it again." for path in missing]
    faults += [f"{path} was not signed: remove it, or sign the folder with it." for path in extra]
    for path, entry in manifest.files.items():
        size = found.get(path, entry.size)
        if size == entry.size:
            continue
        if size == 0:
            faults.append(f"{path} is empty, and {entry.size:,} bytes were signed: copy it again.")
        elif size < entry.size:
            faults.append(f"{path} is cut off: it has {size:,} of {entry.size:,} bytes: copy it again.")
        else:
            faults.append(f"{path} has {size:,} bytes, more than the {entry.size:,} signed: copy it again.")
    if faults:
        raise WeightsError("\n".join(sorted(faults)))


def _twin(entry: Entry, extra: list[str], found: Mapping[str, int], folder: Path) -> str | None:
    """The file that has the bytes of a missing one under another name."""
    for path in extra:
        if found[path] == entry.size and entry.size:
            got = files.digests(folder, {path: entry.size}, 1, lambda count: None)
            if got[path] == entry.sha256:
                return path
    return None


def _same(manifest: Manifest, got: Mapping[str, str]) -> None:
    changed = [path for path, digest in got.items() if digest != manifest.files[path].sha256]
    if changed:
        raise WeightsError(
            "\n".join(
                f"{path} has other bytes than were signed: copy it again, and find out who changed it."
                for path in sorted(changed)
            )
        )


def _copy(source: Path, manifest: Manifest, target: Path, parallel: int, progress: Progress) -> None:
    """Brings the target to exactly the signed files: what is there is verified, what differs copied anew."""
    target.mkdir(parents=True, exist_ok=True)
    there = _sane(target)
    kept = {
        path: size
        for path, size in there.items()
        if path in manifest.files and size == manifest.files[path].size
    }
    held = files.digests(target, kept, parallel, progress)
    good = {path for path, digest in held.items() if digest == manifest.files[path].sha256}
    for path in there.keys() - good:
        (target / path).unlink()
    wanted = {path: entry.size for path, entry in manifest.files.items() if path not in good}
    staging = target / ".sovereign-copy"
    _empty(staging)
    try:
        for path in wanted:
            (staging / path).parent.mkdir(parents=True, exist_ok=True)
        staging.mkdir(exist_ok=True)
        _same(manifest, files.digests(source, wanted, parallel, progress, copy_to=staging))
        for path in wanted:
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            os.replace(staging / path, target / path)
    finally:
        _empty(staging)


def _sane(target: Path) -> dict[str, int]:
    """The cache's files, after whatever can't be one is gone."""
    for place, folders, names in os.walk(target):
        for name in [*folders, *names]:
            full = Path(place, name)
            if full.is_symlink() or not (full.is_dir() or full.is_file()):
                full.unlink()
    _empty(target / ".sovereign-copy")
    return files.sizes(target)


def _empty(folder: Path) -> None:
    """Removes a folder of our own and all in it."""
    if not folder.is_dir():
        return
    for place, folders, names in os.walk(folder, topdown=False):
        for name in names:
            Path(place, name).unlink()
        for name in folders:
            Path(place, name).rmdir()
    folder.rmdir()


def _present(folder: Path) -> Manifest | None:
    try:
        return parse((folder / MANIFEST).read_bytes())
    except (FileNotFoundError, WeightsError):
        return None


def _replace(file: Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    draft = file.with_name(f".{file.name}.new")
    try:
        with open(draft, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        os.replace(draft, file)
    finally:
        draft.unlink(missing_ok=True)


def _fingerprint(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()


def _private(pem: bytes) -> Ed25519PrivateKey:
    if b"PUBLIC KEY" in pem:
        raise KeyFault("To sign, the private key is needed, and this is a public one.")
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise KeyFault(
            "The private key is locked with a password: unlock it into a pipe, such as with "
            "`openssl pkey -in KEY.pem`, and give that."
        ) from None
    except ValueError:
        raise KeyFault(f"The key is no private key in PEM. {_HOW}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFault(f"The key is not of type ed25519. {_HOW}")
    return key


def _public(pem: bytes) -> Ed25519PublicKey:
    if b"PRIVATE KEY" in pem:
        raise KeyFault(
            "To verify, the public key is needed, and this is a private one: take it away from here, and "
            "give what `openssl pkey -in KEY.pem -pubout` prints."
        )
    try:
        key = load_pem_public_key(pem)
    except ValueError:
        raise KeyFault(f"The key is no public key in PEM. {_HOW}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFault(f"The key is not of type ed25519. {_HOW}")
    return key


_HOW = "Make a pair with `openssl genpkey -algorithm ed25519`."
