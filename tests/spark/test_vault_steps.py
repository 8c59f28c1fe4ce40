"""An entry of a vault, as docs/format.md has it: made and opened again with other libraries."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import tink
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from tink import prf

from privpipe.kernels import Ff1
from privpipe.keys import KeyRef, associated_data, generate_kek, generate_wrapped, open_kek
from privpipe.spark._vault_steps import VaultSteps

prf.register()

EPOCH = bytes(range(16))
NAMES = ["Ünal", "", "x" * 28, "x" * 29, None, "\0\0"]


@pytest.fixture(scope="module")
def ref(tmp_path_factory: pytest.TempPathFactory) -> KeyRef:
    """A vault's keyset."""
    file: Path = tmp_path_factory.mktemp("keys") / "kek.json"
    generate_kek(file)
    return generate_wrapped("vault:people", "HKDF_SHA256_PRF", f"file:{file}")


def steps(ref: KeyRef, **other: Any) -> VaultSteps:
    told = {"key": ref, "vault": "people", "form": "digits:9", "family": "text"}
    return VaultSteps(**{**told, "plain": pa.string(), **other})


def key(ref: KeyRef, info: bytes) -> bytes:
    """A derived key, as Tink computes it."""
    handle = tink.json_proto_keyset_format.parse_encrypted(
        ref.wrapped, open_kek(ref.kek_uri), associated_data(ref.scope, ref.primitive)
    )
    found: bytes = handle.primitive(prf.PrfSet).primary().compute(info, 32)
    return found


def cmac(key: bytes, data: bytes) -> bytes:
    made = CMAC(AES(key))
    made.update(data)
    return made.finalize()


def sized(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


def filled(value: bytes, size: int) -> bytes:
    return value + bytes(-len(value) % size)


CONTEXT = b"pp1:v:" + sized(b"people") + b"text"


def bound(**parts: tuple[str, bytes]) -> bytes:
    """The associated data of values bound to columns of these names, families and values."""
    head = b"pp1:b:" + sized(CONTEXT) + len(parts).to_bytes(4, "big")
    for name, (family, _) in parts.items():
        head += sized(name.encode()) + sized(family.encode())
    return filled(head, 16) + b"".join(sized(value) for _, value in parts.values())


def test_the_entry_that_the_docs_tell(ref: KeyRef) -> None:
    mine, names = steps(ref), pa.array([None, *NAMES])[1:]
    marks = mine.fingerprint(names).cast(pa.binary())
    sealed = mine.seal(names, marks)
    numbers = [None if name is None else at for at, name in enumerate(NAMES, 1)]
    tokens = mine.draw(pa.array(numbers, pa.int64()), EPOCH)
    links = mine.link(marks, tokens)
    permutation = Ff1(key(ref, b"pp1:v:draw"), "0123456789", b"pp1:v:people")
    for name, mark, value, number, token, link in zip(
        NAMES, *(each.to_pylist() for each in (marks, sealed)), numbers,
        *(each.to_pylist() for each in (tokens, links)), strict=True,
    ):  # fmt: skip
        if name is None:
            assert mark is value is token is link is None
            continue
        plain = name.encode()
        head = filled(sized(CONTEXT), 16)
        assert mark == cmac(key(ref, b"pp1:v:fingerprint"), head + plain)
        gcm, aad = AESGCM(key(ref, b"pp1:v:value")), bound(fingerprint=("bytes", mark))
        assert gcm.decrypt(value[:12], value[12:], aad) == filled(sized(plain), 32)
        assert len(value) == 12 + 16 + (32 if len(plain) <= 28 else 64)
        assert token == permutation.encrypt(pa.array([f"{number:09}"]))[0].as_py()
        both = bound(fingerprint=("bytes", mark), token=("text", token.encode()))
        assert link == cmac(key(ref, b"pp1:v:link"), both)
    found, sound = mine.open_each(sealed, marks)
    assert found.to_pylist() == NAMES
    assert sound.all()


def test_tokens_of_a_vast_format_come_from_a_permutation_of_their_epoch(ref: KeyRef) -> None:
    numbers, other = pa.array([1, 2], pa.int64()), bytes(16)
    for form, letters, size in (("hex:28", "0123456789abcdef", 28), ("hex:27", None, 0)):
        mine = steps(ref, form=form)
        first = mine.draw(numbers, EPOCH).to_pylist()
        assert first == mine.draw(numbers, EPOCH).to_pylist()
        if letters is None:
            assert mine.draw(numbers, other).to_pylist() == first
            continue
        assert not set(first) & set(mine.draw(numbers, other).to_pylist())
        ff1 = Ff1(key(ref, b"pp1:v:draw"), letters, b"pp1:v:people" + EPOCH)
        assert first == ff1.encrypt(pa.array([f"{at:0{size}}" for at in (1, 2)])).to_pylist()
    assert set(steps(ref, form="uuid").draw(numbers, EPOCH).to_pylist()).isdisjoint(
        steps(ref, form="uuid").draw(numbers, other).to_pylist()
    )


def test_what_an_entry_is_bound_to(ref: KeyRef) -> None:
    mine, names = steps(ref), pa.array(["Ada", "Bob"])
    marks = mine.fingerprint(names).cast(pa.binary())
    sealed = mine.seal(names, marks)
    tokens = mine.draw(pa.array([1, 2]), EPOCH)
    crossed = pa.array([1, 0])
    for work, values, own in (
        (mine, sealed.take(crossed), marks),
        (mine, sealed, marks.take(crossed)),
        (mine, sealed, pa.array([None, b""], pa.binary())),
        (mine, pa.array([sealed[0].as_py()[:-1], b""]), marks),
        (steps(ref, vault="persons"), sealed, marks),
        (steps(ref, family="bytes", plain=pa.binary()), sealed, marks),
    ):
        found, sound = work.open_each(values, own)
        assert found.to_pylist() == [None, None]
        assert not sound.any()
    links = set(mine.link(marks, tokens).to_pylist())
    for work in (steps(ref, vault="persons"), steps(ref, family="bytes")):
        links |= set(work.link(marks, tokens).to_pylist())
    links |= set(mine.link(marks.take(crossed), tokens).to_pylist())
    assert len(links) == 8
    # One number has another token in another vault: their tokens tell nothing of one another.
    assert steps(ref, vault="persons").draw(pa.array([1]), EPOCH)[0] != tokens[0]
    days = pa.array([datetime.date(2026, 1, 31)])
    dated = steps(ref, family="date", plain=pa.date32())
    opened, _ = dated.open_each(dated.seal(days, dated.fingerprint(days)), dated.fingerprint(days))
    assert opened.to_pylist() == days.to_pylist()
