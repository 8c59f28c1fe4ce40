"""Keys that others made: wrapped, kept, opened, and each thing that may be wrong with them."""

from __future__ import annotations

import base64
import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from cryptography.fernet import Fernet as Theirs
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from privpipe.errors import (
    KekError,
    KeyAccessError,
    KeysetError,
    SecretTravels,
    UnwrapError,
)
from privpipe.kernels import Sealer, generate_pair, key_fingerprint
from privpipe.keys import (
    ForeignKey,
    KeyRef,
    associated_data,
    backup_text,
    generate_kek,
    keyset_info,
    open_kek,
    open_ref,
    opener_of,
    parse_backup,
    prove_ref,
    read_key_file,
)
from privpipe.keys._cache import open_fernet_ref, open_private_ref
from privpipe.keys._imported import open_imported, read_passphrase

SECRET = Theirs.generate_key()
PRIVATE, PUBLIC = generate_pair("x25519")
LOCK = BestAvailableEncryption(b"open, sesame")
SMALL = rsa.generate_private_key(65537, 1024)  # noqa: S505 -- to be refused


def pem(
    key: x25519.X25519PrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey,
    lock: KeySerializationEncryption | None = None,
    form: PrivateFormat = PrivateFormat.PKCS8,
) -> bytes:
    return key.private_bytes(Encoding.PEM, form, lock or NoEncryption())


def secret(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / f"key{len(list(folder.iterdir()))}"
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.fixture
def fernet(tmp_path: Path) -> ForeignKey:
    return read_key_file(secret(tmp_path, SECRET + b"\n"), "FERNET")


@pytest.fixture
def private(tmp_path: Path) -> ForeignKey:
    return read_key_file(secret(tmp_path, PRIVATE), "PEM")


def test_a_fernet_key_opens_what_it_wrote(fernet: ForeignKey, kek: str) -> None:
    ref = fernet.wrapped("legacy", kek)
    assert (ref.scope, ref.primitive, ref.key_id) == ("imported:legacy", "FERNET", fernet.key_id)
    tokens = pa.array([Theirs(SECRET).encrypt_at_time(b"Ada", 1).decode(), None])
    kernel = open_fernet_ref(ref)
    assert kernel.decrypt(tokens, now=1).to_pylist() == [b"Ada", None]
    (ours,) = kernel.encrypt(pa.array(["Bo"]), now=1).to_pylist()
    assert Theirs(SECRET).decrypt(ours) == b"Bo"
    assert open_fernet_ref(replace(ref)) is kernel


@pytest.mark.parametrize("kind", ["x25519", "rsa2048"])
def test_a_private_key_opens_what_was_sealed_for_it(kind: str, kek: str, tmp_path: Path) -> None:
    own, public = generate_pair(kind)
    ref = read_key_file(secret(tmp_path, own), "PEM").wrapped("archive", kek)
    assert ref.key_id == key_fingerprint(public)
    sealed = Sealer(public).fresh().encrypt(pa.array(["Ada", None]), b"ctx")
    opener = opener_of(ref)
    assert opener.fingerprint == ref.key_id
    assert opener.open().decrypt(sealed, b"ctx").to_pylist() == [b"Ada", None]
    assert pickle.loads(pickle.dumps(opener)) == opener  # noqa: S301 (our own)


def test_the_blob_is_the_documented_one(fernet: ForeignKey, private: ForeignKey, kek: str) -> None:
    """What `docs/format.md` says of it, with the KEK alone."""
    for key, kind, content in ((fernet, "FERNET", SECRET), (private, "PEM", PRIVATE)):
        wrapped = json.loads(key.wrapped("a.b", kek).wrapped)
        blob = base64.b64decode(wrapped["encryptedKeyset"])
        bound = associated_data("imported:a.b", kind)
        assert bound == f"pp1:k:imported:a.b:{kind}".encode()
        assert open_kek(kek).decrypt(blob, bound) == content
    (info,) = keyset_info(fernet.wrapped("a.b", kek).wrapped)
    assert (info.key_id, info.status, info.primary) == (fernet.key_id, "ENABLED", True)
    assert info.type == "privpipe/FernetKey"


def test_one_key_is_known_again(fernet: ForeignKey, private: ForeignKey, kek: str) -> None:
    ref = fernet.wrapped("a", kek)
    assert fernet.wrapped("a", kek).wrapped != ref.wrapped
    assert fernet.is_in(ref)
    assert not private.is_in(ref)
    assert private.is_in(private.wrapped("a", kek))


def test_another_key_is_told_from_it(fernet: ForeignKey, kek: str, tmp_path: Path) -> None:
    other = read_key_file(secret(tmp_path, Theirs.generate_key()), "FERNET")
    assert other.key_id != fernet.key_id
    assert not other.is_in(fernet.wrapped("a", kek))


def swapped(ref: KeyRef, other: KeyRef) -> KeyRef:
    """A row of the catalog with another one's blob."""
    return replace(ref, wrapped=other.wrapped, key_id=other.key_id)


def test_what_was_swapped_or_changed_does_not_open(
    fernet: ForeignKey, private: ForeignKey, kek: str, tmp_path: Path
) -> None:
    a, b, c = fernet.wrapped("a", kek), fernet.wrapped("b", kek), private.wrapped("a", kek)
    other = generate_kek(tmp_path / "other.json")
    for bad in (
        swapped(a, b),
        swapped(b, a),
        swapped(a, c),
        replace(c, primitive="FERNET"),
        replace(a, kek_uri=other),
        replace(a, key_id=a.key_id ^ 1),
        replace(c, key_id=a.key_id),
    ):
        with pytest.raises(UnwrapError) as caught:
            prove_ref(bad)
        assert caught.value.where == f"{bad.scope} {bad.primitive}"
        assert "restore" in str(caught.value.hint)
        with pytest.raises(UnwrapError):
            prove_ref(bad, anew=True)
    with pytest.raises(KekError):
        prove_ref(replace(a, kek_uri="file:/nowhere/kek.json"))
    for wrapped in ("{}", "no JSON", json.dumps({"encryptedKeyset": "!"})):
        with pytest.raises(KeysetError):
            prove_ref(replace(a, wrapped=wrapped))


def test_a_kind_does_not_pass_for_another(
    fernet: ForeignKey, private: ForeignKey, kek: str
) -> None:
    a, b = fernet.wrapped("a", kek), private.wrapped("a", kek)
    calls: list[Callable[[], object]] = [
        lambda: open_private_ref(a),
        lambda: open_fernet_ref(b),
        lambda: opener_of(a),
        lambda: open_ref(a),
        lambda: open_imported(replace(a, primitive="AES256_GCM")),
    ]
    for call in calls:
        with pytest.raises(KeysetError):
            call()


def test_a_passphrase(tmp_path: Path, kek: str) -> None:
    own = rsa.generate_private_key(65537, 2048)
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        path = secret(tmp_path, pem(own, LOCK, form))
        key = read_key_file(path, "PEM", b"open, sesame")
        assert key.is_in(read_key_file(secret(tmp_path, pem(own)), "PEM").wrapped("a", kek))
        for wrong, said in (
            (None, "with a passphrase"),
            (b"sesame", "does not open"),
            (b"", "does"),
        ):
            with pytest.raises(KeysetError, match=said) as caught:
                read_key_file(path, "PEM", wrong)
            assert caught.value.where == str(path)
            assert "sesame" not in str(caught.value)
    with pytest.raises(KeysetError, match="has none"):
        read_key_file(secret(tmp_path, PRIVATE), "PEM", b"open, sesame")
    assert read_passphrase(secret(tmp_path, b"open, sesame\r\n")) == b"open, sesame"
    with pytest.raises(KeysetError, match="the passphrase file's mode is 0644"):
        read_passphrase(secret(tmp_path, b"open, sesame", 0o644))


WRONG: dict[str, tuple[str, bytes, bytes | None, str]] = {
    "public": ("PEM", PUBLIC, None, "a public key, which seals"),
    "public, with a passphrase": ("PEM", PUBLIC, b"x", "a public key, which seals"),
    "1024 bits": ("PEM", pem(SMALL), None, "1024"),
    "1024 bits, locked": ("PEM", pem(SMALL, LOCK), b"open, sesame", "1024"),
    "ed25519": ("PEM", pem(ed25519.Ed25519PrivateKey.generate()), None, "kind Ed25519"),
    "fernet as pem": ("PEM", SECRET, None, "no PEM"),
    "pem as fernet": ("FERNET", PRIVATE, None, "no Fernet key"),
    "empty": ("FERNET", b"", None, "44 characters"),
    "cut": ("FERNET", SECRET[:-2], None, "44 characters"),
    "not text": ("FERNET", b"\xff" * 44, None, "44 characters"),
    "large": ("FERNET", SECRET + b" " * 70_000 + b"x", None, "too large"),
    "damaged": ("PEM", PRIVATE.replace(b"MC4C", b"MC4D"), None, "cannot be read"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG.keys())
def test_what_is_no_such_key(case: tuple[str, bytes, bytes | None, str], tmp_path: Path) -> None:
    kind, content, passphrase, said = case
    path = secret(tmp_path, content)
    with pytest.raises(KeysetError, match=said) as caught:
        read_key_file(path, kind, passphrase)
    assert caught.value.where == str(path)
    assert content[:30].decode("latin-1") not in str(caught.value) or not content


def test_files_that_others_may_read(tmp_path: Path) -> None:
    with pytest.raises(KeysetError, match="the key file's mode is 0640"):
        read_key_file(secret(tmp_path, SECRET, 0o640), "FERNET")
    with pytest.raises(KeysetError, match="no key file on the machine"):
        read_key_file(tmp_path / "none", "FERNET")


@pytest.mark.parametrize("name", ["", "a:b", "a/b", "..", "a b", "ä", "x" * 101, "imported:a"])
def test_names_that_will_not_do(name: str, fernet: ForeignKey, kek: str) -> None:
    with pytest.raises(KeysetError, match="a key's name"):
        fernet.wrapped(name, kek)


def test_a_backup_holds_them(fernet: ForeignKey, private: ForeignKey, kek: str) -> None:
    refs = (fernet.wrapped("a", kek), private.wrapped("b", kek))
    restored = parse_backup(backup_text(refs))
    assert restored == refs
    for ref in restored:
        prove_ref(ref)


def test_nothing_shows_a_key_and_nothing_travels(
    fernet: ForeignKey, private: ForeignKey, kek: str
) -> None:
    ref = fernet.wrapped("a", kek)
    shown = f"{fernet!r} {private!r} {ref!r} {open_fernet_ref(ref)!r}"
    for word in (SECRET.decode(), SECRET.decode()[:20], "BEGIN"):
        assert word not in shown
        assert word not in ref.wrapped
    for travel in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(SecretTravels):
            travel(fernet)


def test_another_file_than_where_the_job_began(tmp_path: Path) -> None:
    path = secret(tmp_path, PRIVATE)
    opener = opener_of(str(path))
    kept = opener.open()
    assert opener.open() is kept
    path.write_bytes(generate_pair("x25519")[0])
    with pytest.raises(KeysetError, match=f"and {opener.fingerprint} on the machine") as caught:
        opener.open()
    assert caught.value.where == str(path)


@pytest.mark.parametrize("change", ["removed", "chmod", "locked"])
def test_a_private_key_is_gone_once_its_file_is(change: str, tmp_path: Path) -> None:
    path = secret(tmp_path, PRIVATE)
    opener = opener_of(str(path))
    opener.open()
    if change == "removed":
        path.unlink()
    elif change == "chmod":
        path.chmod(0o644)
    else:
        path.write_bytes(pem(x25519.X25519PrivateKey.generate(), LOCK))
    with pytest.raises(KeyAccessError) as caught:
        opener.open()
    assert caught.value.where == str(path)
    assert "KEK" not in str(caught.value)
