"""PEM files of key pairs: what is taken, and what each mistake is called."""

from __future__ import annotations

import base64
import datetime
import hashlib
import re
import shutil
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x448, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from privpipe.errors import KeysetError, PrivpipeError, UsageError
from privpipe.kernels import Opener, Sealer
from privpipe.kernels._pem import generate_pair, key_fingerprint

X25519 = x25519.X25519PrivateKey.generate()
RSA = rsa.generate_private_key(65537, 2048)
LOCK = BestAvailableEncryption(b"a passphrase")


def private_pem(key: object, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    pem: bytes = key.private_bytes(Encoding.PEM, form, NoEncryption())  # type: ignore[attr-defined]
    return pem


def locked_pem(key: object, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    pem: bytes = key.private_bytes(Encoding.PEM, form, LOCK)  # type: ignore[attr-defined]
    return pem


def public_pem(key: object, form: PublicFormat = PublicFormat.SubjectPublicKeyInfo) -> bytes:
    public = key.public_key()  # type: ignore[attr-defined]
    pem: bytes = public.public_bytes(Encoding.PEM, form)
    return pem


def certificate() -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    day = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=RSA.public_key())
        .serial_number(1)
        .not_valid_before(day)
        .not_valid_after(day)
        .sign(RSA, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM)


def armour(label: str, der: bytes) -> bytes:
    text = "\n".join(textwrap.wrap(base64.b64encode(der).decode(), 64))
    return f"-----BEGIN {label}-----\n{text}\n-----END {label}-----\n".encode()


def x25519_spki(point: bytes) -> bytes:
    return armour("PUBLIC KEY", bytes.fromhex("302a300506032b656e032100") + point)


EC, ED, X448 = (
    ec.generate_private_key(ec.SECP256R1()),
    ed25519.Ed25519PrivateKey.generate(),
    x448.X448PrivateKey.generate(),
)
SMALL = rsa.generate_private_key(65537, 1024)  # noqa: S505 -- to be refused

TAKEN = {
    "x25519": (private_pem(X25519), public_pem(X25519)),
    "rsa": (private_pem(RSA), public_pem(RSA)),
    "rsa, PKCS#1": (
        private_pem(RSA, PrivateFormat.TraditionalOpenSSL),
        public_pem(RSA, PublicFormat.PKCS1),
    ),
    "CRLF": (
        private_pem(RSA).replace(b"\n", b"\r\n"),
        public_pem(X25519).replace(b"\n", b"\r\n"),
    ),
    "text around it": (
        b"# the opener's\n\n" + private_pem(RSA) + b"\n\n",
        b"\xef\xbb\xbf\n" + public_pem(RSA) + b"end of file",
    ),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_taken(name: str) -> None:
    private, public = TAKEN[name]
    Opener(private)
    Sealer(public)


PRODUCER = "an opener's key on a producer"
PASSPHRASE = "a private key with a passphrase"
UNREADABLE = "cannot be read"

PUBLIC_FAULTS: dict[str, tuple[bytes, str]] = {
    "private": (private_pem(X25519), PRODUCER),
    "private, rsa": (private_pem(RSA), PRODUCER),
    "private, PKCS#1": (private_pem(RSA, PrivateFormat.TraditionalOpenSSL), PRODUCER),
    "private, locked": (locked_pem(X25519), PRODUCER),
    "private, locked, PKCS#1": (locked_pem(RSA, PrivateFormat.TraditionalOpenSSL), PRODUCER),
    "private, ec": (private_pem(EC, PrivateFormat.TraditionalOpenSSL), PRODUCER),
    "private, openssh": (private_pem(ED, PrivateFormat.OpenSSH), PRODUCER),
    "a pair": (public_pem(X25519) + private_pem(X25519), PRODUCER),
    "ec": (public_pem(EC), "a key of kind EC"),
    "ed25519": (public_pem(ED), "a key of kind Ed25519"),
    "x448": (public_pem(X448), "a key of kind X448"),
    "rsa 1024": (public_pem(SMALL), "an RSA key of 1024 bits"),
    "certificate": (certificate(), "a certificate"),
    "certificates": (certificate() * 2, "a certificate"),
    "several": (public_pem(X25519) * 2, "several keys"),
    "key and certificate": (public_pem(RSA) + certificate(), "several keys"),
    "ec parameters": (armour("EC PARAMETERS", b"\x06\x00"), "an elliptic curve key"),
    "another block": (armour("CERTIFICATE REQUEST", b"0"), "no key of the kind wanted"),
    "unknown block": (armour("CANARY", b"0"), "no key of the kind wanted"),
    "empty": (b"", "no PEM"),
    "text": (b"not a key, canary", "no PEM"),
    "UTF-16": (public_pem(X25519).decode().encode("utf-16"), "no PEM"),
    "DER": (base64.b64decode(b"".join(public_pem(X25519).split(b"\n")[1:-2])), "no PEM"),
    "no end": (public_pem(RSA)[:-30], UNREADABLE),
    "cut": (public_pem(RSA).replace(b"MII", b"MI", 1), UNREADABLE),
    "not base64": (public_pem(RSA).replace(b"MII", b"M!I"), UNREADABLE),
    "not a key": (armour("PUBLIC KEY", b"canary"), UNREADABLE),
    "short point": (armour("PUBLIC KEY", bytes.fromhex("3029300506032b656e032000") + bytes(31)),
                    UNREADABLE),
    "low order": (x25519_spki(bytes(32)), "low order"),
    "low order, one": (x25519_spki(b"\x01" + bytes(31)), "low order"),
}  # fmt: skip

PRIVATE_FAULTS: dict[str, tuple[bytes, str]] = {
    "public": (public_pem(X25519), "a public key"),
    "public, PKCS#1": (public_pem(RSA, PublicFormat.PKCS1), "a public key"),
    "locked": (locked_pem(X25519), PASSPHRASE),
    "locked, rsa": (locked_pem(RSA), PASSPHRASE),
    "locked, PKCS#1": (locked_pem(RSA, PrivateFormat.TraditionalOpenSSL), PASSPHRASE),
    "a pair": (public_pem(X25519) + private_pem(X25519), "several keys"),
    "several": (private_pem(X25519) + private_pem(RSA), "several keys"),
    "key and certificate": (private_pem(RSA) + certificate(), "several keys"),
    "certificate": (certificate(), "a certificate"),
    "ec": (private_pem(EC), "a key of kind EC"),
    "ec, traditional": (private_pem(EC, PrivateFormat.TraditionalOpenSSL), "elliptic curve"),
    "ed25519": (private_pem(ED), "a key of kind Ed25519"),
    "x448": (private_pem(X448), "a key of kind X448"),
    "openssh": (private_pem(ED, PrivateFormat.OpenSSH), "no key of the kind wanted"),
    "rsa 1024": (private_pem(SMALL), "an RSA key of 1024 bits"),
    "empty": (b"", "no PEM"),
    "text": (b"not a key, canary", "no PEM"),
    "cut": (private_pem(RSA).replace(b"MII", b"MI", 1), UNREADABLE),
    "not a key": (armour("PRIVATE KEY", b"canary"), UNREADABLE),
}


def tokens(pem: bytes) -> set[str]:
    """What a message must not hold: any run of characters of the file's body."""
    body = re.sub(rb"-----[A-Z0-9 ]+-----", b"", pem)
    return {*re.findall(r"[A-Za-z0-9+/=]{8,}", body.decode("latin-1")), "canary"}


@pytest.mark.parametrize(
    ("kind", "pem", "said"),
    [(Sealer, *fault) for fault in PUBLIC_FAULTS.values()]
    + [(Opener, *fault) for fault in PRIVATE_FAULTS.values()],
    ids=[*(f"Sealer-{name}" for name in PUBLIC_FAULTS),
         *(f"Opener-{name}" for name in PRIVATE_FAULTS)],
)  # fmt: skip
def test_each_mistake_has_its_name(kind: Callable[[bytes], object], pem: bytes, said: str) -> None:
    with pytest.raises(KeysetError, match=said) as caught:
        kind(pem)
    error: PrivpipeError = caught.value
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    assert "CANARY" not in str(error)
    assert not [word for word in tokens(pem) if word in str(error)]
    if "low order" not in said:
        assert error.hint


def test_text_is_not_a_file() -> None:
    for kind in (Sealer, Opener, key_fingerprint):
        with pytest.raises(UsageError):
            kind(public_pem(X25519).decode())  # type: ignore[arg-type]


@pytest.mark.parametrize("name", TAKEN)
def test_a_pair_has_one_fingerprint(name: str) -> None:
    private, _ = TAKEN[name]
    key = load_pem_private_key(private, password=None)
    public = key.public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    expected = int.from_bytes(hashlib.sha256(der).digest()[:4], "big")
    assert key_fingerprint(private) == expected
    assert key_fingerprint(public_pem(key)) == expected
    assert Opener(private).fingerprint == Sealer(public_pem(key)).fingerprint == expected


def test_the_fingerprint_is_pinned() -> None:
    """Alice's key out of RFC 7748, section 6.1; `openssl pkey -pubin -outform DER | sha256sum`."""
    point = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    assert key_fingerprint(x25519_spki(bytes.fromhex(point))) == 0x291C5293


def test_a_fingerprint_of_no_key_is_refused() -> None:
    for pem, _ in (PUBLIC_FAULTS["certificate"], PRIVATE_FAULTS["locked"], PUBLIC_FAULTS["ec"]):
        with pytest.raises(KeysetError):
            key_fingerprint(pem)


@pytest.mark.parametrize(("kind", "bits"), [("x25519", 0), ("rsa2048", 2048), ("rsa3072", 3072)])
def test_generated_pairs(kind: str, bits: int) -> None:
    private, public = generate_pair(kind)
    assert private.startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert public.startswith(b"-----BEGIN PUBLIC KEY-----\n")
    assert key_fingerprint(private) == key_fingerprint(public)
    key = load_pem_private_key(private, password=None)
    assert getattr(key, "key_size", 0) == bits
    assert generate_pair("x25519") != generate_pair("x25519")


@pytest.mark.parametrize("kind", ["", "rsa1024", "rsa", "ed25519", "X25519"])
def test_other_kinds_of_pairs_are_refused(kind: str) -> None:
    with pytest.raises(UsageError) as caught:
        generate_pair(kind)
    assert "x25519, rsa2048, rsa3072, rsa4096" in str(caught.value)


def test_the_commands_that_hints_name_do_what_they_say(tmp_path: Path) -> None:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not on this machine: the hints cannot be tried")

    def run(*command: str) -> bytes:
        done = subprocess.run([program, *command], cwd=tmp_path, capture_output=True, check=True)
        return done.stdout

    (tmp_path / "locked.pem").write_bytes(locked_pem(X25519))
    run("pkey", "-in", "locked.pem", "-passin", "pass:a passphrase", "-out", "private.pem")
    assert Opener((tmp_path / "private.pem").read_bytes()).fingerprint == key_fingerprint(
        public_pem(X25519)
    )
    run("pkey", "-in", "private.pem", "-pubout", "-out", "public.pem")
    assert (tmp_path / "public.pem").read_bytes() == public_pem(X25519)
    (tmp_path / "certificate.pem").write_bytes(certificate())
    assert run("x509", "-in", "certificate.pem", "-noout", "-pubkey") == public_pem(RSA)
    run("genpkey", "-algorithm", "X25519", "-out", "private.pem")
    Opener((tmp_path / "private.pem").read_bytes())
    run("pkey", "-in", "private.pem", "-check", "-noout")
