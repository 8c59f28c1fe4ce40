"""Fernet: the published vectors, the library both ways, and what must not open."""

from __future__ import annotations

import base64
import copy
import os
import pickle
import random
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from cryptography.fernet import Fernet as Library
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from hypothesis import example, given, settings
from hypothesis import strategies as st

from privpipe.errors import (
    DecryptionError,
    EncodingError,
    KeysetError,
    SchemaError,
    SecretTravels,
    UsageError,
)
from privpipe.kernels import Fernet, _fernet, _reference_foreign, _token
from privpipe.kernels._batches import Cost
from tests.kernels.foreign import buffers, layouts, records, same_as

KEY = bytes(range(32))
NOW = 1_700_000_000
LENGTHS = [*range(70), 255, 256, 257, 1000, 4079, 4080, 4096, 5000, 70_000]


@pytest.fixture(params=["shipped", "batched", "alone"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which code encrypts: as shipped, all in batches, all by the library's own call."""
    found: str = request.param
    costs = {
        "batched": Cost(batch=0, step=0, row=0, block=0, call=4500, wire=14, most=1 << 16),
        "alone": Cost(batch=10**12, step=1, row=1, block=1, call=1, wire=1, most=256),
    }
    if found in costs:
        monkeypatch.setattr(_fernet, "CBC_COST", costs[found])
    return found


def library(key: bytes = KEY) -> Library:
    return Library(base64.urlsafe_b64encode(key))


def sealed(values: list[bytes | None], now: int = NOW) -> list[str | None]:
    return [
        value if value is None else _reference_foreign.fernet_encrypt(KEY, value, now)
        for value in values
    ]


def mixed(seed: int = 1) -> list[bytes | None]:
    draw = random.Random(seed)
    values: list[bytes | None] = [draw.randbytes(size) for size in LENGTHS]
    values += [None] * 9
    draw.shuffle(values)
    return values


def signed(body: bytes) -> str:
    """A token around any body, under a tag that is right."""
    tag = HMAC(KEY[:16], SHA256())
    tag.update(body)
    return base64.urlsafe_b64encode(body + tag.finalize()).decode()


def refuses(token: str | bytes, *, now: int = NOW, ttl: int | None = None, skew: int = 60) -> bool:
    """Whether a token fails, alone and among others, whichever way it is asked."""
    kernel, raw = Fernet(KEY), token.encode() if isinstance(token, str) else token
    good = [value and value.encode() for value in sealed([b"before", None, b"behind"], now)]
    column = pa.array([*good[:2], raw, good[2]], pa.binary())
    values, opened = kernel.open_each(column, now=now, ttl=ttl, skew=skew)
    values.validate(full=True)
    assert opened.tolist() in ([True, True, False, True], [True] * 4)
    assert values.to_pylist()[:2] == [b"before", None]
    assert values.to_pylist()[3] == b"behind"
    if opened.all():
        kernel.decrypt(column, now=now, ttl=ttl, skew=skew)
        return False
    assert not values[2].is_valid
    for tokens in (column, pa.array([raw])):
        with pytest.raises(DecryptionError):
            kernel.decrypt(tokens, now=now, ttl=ttl, skew=skew)
    return True


def test_published(vectors: Path) -> None:
    seen = {"valid": 0, "invalid": 0}
    for case in records(vectors, "fernet"):
        kernel = Fernet(Fernet.parse_key(case["key"]))
        column, clock = pa.array([case["token"]]), {"now": case["unix"], "ttl": case["ttl_sec"]}
        seen[case["result"]] += 1
        if case["result"] == "valid":
            assert kernel.decrypt(column, **clock).to_pylist() == [bytes.fromhex(case["pt"])]
            continue
        assert kernel.open_each(column, **clock)[1].tolist() == [False], case["comment"]
        with pytest.raises(DecryptionError):
            kernel.decrypt(column, **clock)
    assert seen == {"valid": 1, "invalid": 5}


def test_the_specification_generates_this_token() -> None:
    """generate.json of the specification."""
    key = Fernet.parse_key("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=")
    made = Fernet(key).encrypt(pa.array(["hello"]), now=499162800, ivs=bytes(range(16)))
    assert made.to_pylist() == [
        "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVm"
        "pU4IwqDA=="
    ]


@pytest.mark.usefixtures("way")
def test_the_library_reads_what_the_kernel_writes() -> None:
    kernel, values = Fernet(KEY), mixed()
    tokens = kernel.encrypt(pa.array(values, pa.binary()), now=NOW)
    tokens.validate(full=True)
    assert tokens.type == pa.string()
    for value, token in zip(values, tokens.to_pylist(), strict=True):
        if value is None:
            assert token is None
            continue
        assert library().decrypt(token) == value
        assert library().extract_timestamp(token) == NOW
        assert len(base64.urlsafe_b64decode(token)) == 57 + 16 * (len(value) // 16 + 1)
    assert kernel.decrypt(tokens, now=NOW).to_pylist() == values


@pytest.mark.usefixtures("way")
def test_the_same_bytes_under_given_ivs() -> None:
    values = mixed(2)
    ivs = os.urandom(16 * len(values))
    made = Fernet(KEY).encrypt(pa.array(values, pa.binary()), now=NOW, ivs=ivs).to_pylist()
    for at, (value, token) in enumerate(zip(values, made, strict=True)):
        iv = ivs[16 * at : 16 * at + 16]
        want = value and library()._encrypt_from_parts(value, NOW, iv).decode()
        assert token == want or value == b""


def test_the_kernel_reads_what_the_library_writes() -> None:
    values = mixed(3)
    opened = Fernet(KEY).decrypt(pa.array(sealed(values)), now=NOW)
    opened.validate(full=True)
    assert opened.type == pa.binary()
    assert opened.to_pylist() == values


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("values", [[], [None], [None] * 700, [b""], [b""] * 700, [b"", None]])
def test_nothing_null_and_empty(values: list[bytes | None]) -> None:
    kernel = Fernet(KEY)
    tokens = kernel.encrypt(pa.array(values, pa.binary()), now=NOW)
    assert tokens.type == pa.string()
    assert tokens.null_count == values.count(None)
    assert kernel.decrypt(tokens, now=NOW).to_pylist() == values
    assert kernel.created_at(tokens).to_pylist() == [v if v is None else NOW for v in values]


WORDS = ["Ada", None, "", "Grace Hopper, admiral", "ü" * 40, "Ada"]


@pytest.mark.parametrize("layout", layouts(WORDS))
def test_every_layout(layout: str) -> None:
    kernel, column = Fernet(KEY), layouts(WORDS)[layout]
    want = same_as(layout, [word and word.encode() for word in WORDS])
    want = [b"" if word == "" else word for word in want]
    assert kernel.decrypt(kernel.encrypt(column, now=NOW), now=NOW).to_pylist() == want
    tokens = layouts(sealed([None if w is None else w.encode() for w in WORDS]))[layout]
    before = None if isinstance(tokens, pa.ChunkedArray) else buffers(tokens)
    assert kernel.decrypt(tokens, now=NOW).to_pylist() == want
    values, opened = kernel.open_each(tokens, now=NOW)
    assert values.to_pylist() == want
    assert opened.all()
    if before is not None:
        assert buffers(tokens) == before


def test_batches_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds in the midst of a column, to encrypt and to open, with a failing row behind one."""
    monkeypatch.setattr("privpipe.kernels._batches.ROOM", 8)
    monkeypatch.setattr(_fernet, "ROOM", 8)
    kernel, values = Fernet(KEY), mixed(4)
    tokens = kernel.encrypt(pa.array(values, pa.binary()), now=NOW).to_pylist()
    assert kernel.decrypt(pa.array(tokens), now=NOW).to_pylist() == values
    bad = [at for at, token in enumerate(tokens) if token][5::11]
    for at in bad:
        tokens[at] = tokens[at][:-3] + ("A==" if tokens[at][-3] != "A" else "B==")
    found, opened = kernel.open_each(pa.array(tokens), now=NOW)
    assert np.flatnonzero(~opened).tolist() == bad
    assert found.to_pylist() == [None if at in bad else v for at, v in enumerate(values)]


def test_the_memory_in_work_does_not_grow_with_the_rows() -> None:
    kernel, kept = Fernet(KEY), []
    for count in (50_000, 200_000):
        column = pa.array(np.full(count, "Ada Lovelace"))
        tokens = kernel.encrypt(column, now=NOW)
        tracemalloc.start()
        kernel.encrypt(column, now=NOW)
        sealing = tracemalloc.get_traced_memory()[1] - tokens.nbytes
        tracemalloc.reset_peak()
        kernel.decrypt(tokens, now=NOW)
        opening = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        kept.append((sealing / count, opening / count))
    # The tokens once more, while they are put together, and a few integers for each row.
    assert max(kept[1]) < 250
    assert kept[1][0] <= kept[0][0]
    assert kept[1][1] <= kept[0][1]


def test_tokens_at_any_offset_of_their_buffer() -> None:
    tokens = sealed([b"x", None, b"y" * 20])
    for off in range(9):
        column = pa.array(["-" * off, *tokens]).slice(1)
        assert Fernet(KEY).decrypt(column, now=NOW).to_pylist() == [b"x", None, b"y" * 20]


@pytest.mark.parametrize("size", [0, 11, 15, 16, 40])
def test_a_flipped_bit_and_a_cut_are_refused(size: int) -> None:
    token = sealed([bytes(size)])[0]
    assert token is not None
    raw = base64.urlsafe_b64decode(token)
    for at in range(len(raw)):
        flipped = bytearray(raw)
        flipped[at] ^= 1 << (at % 8)
        assert refuses(base64.urlsafe_b64encode(bytes(flipped)))
    for cut in [*range(1, 10), 16, 32, len(raw) - 1]:
        assert refuses(base64.urlsafe_b64encode(raw[:-cut]))
        assert refuses(base64.urlsafe_b64encode(raw[cut:]))
        assert refuses(token[:-cut])
    assert refuses(base64.urlsafe_b64encode(raw + bytes(16)))
    assert not refuses(token)


def test_text_that_is_not_the_one_of_its_bytes_is_refused() -> None:
    token = signed(b"\x80" + NOW.to_bytes(8, "big") + bytes(48))  # noise, but authentic
    plain = sealed([b"0123456789"])[0]
    assert plain is not None
    assert plain.endswith("=")
    for text in (
        plain.rstrip("="), plain + "=", plain + "\n", "\n" + plain, plain[:50] + "\n" + plain[50:],
        plain[:40] + "=" + plain[41:], plain + "====", "", "=", "====", "A", plain + plain,
        plain.replace("-", "+").replace("_", "/") if set("-_") & set(plain) else "+" + plain[1:],
        "é" + plain, token,
    ):  # fmt: skip
        assert refuses(text), text
    # Bits behind the last byte: the library, like Python, passes over them.
    last = plain.rstrip("=")[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = alphabet[alphabet.index(last) ^ 1]
    loose = plain.rstrip("=")[:-1] + other + "=" * plain.count("=")
    assert library().decrypt(loose) is not None
    assert refuses(loose)
    assert not refuses(plain)


def test_authentic_but_malformed_bodies_are_refused() -> None:
    head = b"\x80" + NOW.to_bytes(8, "big")
    algorithm = algorithms.AES(KEY[16:])
    for padding in (b"\x00", b"\x11", b"\x02\x03", b"\x01\x02", b"\xff", b"\x10"):
        block = padding.rjust(16, b"\x05")
        iv = bytes(16)
        cipher = Cipher(algorithm, modes.CBC(iv)).encryptor()
        assert refuses(signed(head + iv + cipher.update(block)))
    assert refuses(signed(head + bytes(16)))  # no block at all
    assert refuses(signed(head + bytes(40)))  # half a block
    assert refuses(signed(b""))
    body = base64.urlsafe_b64decode(sealed([b"x"])[0] or "")[:-32]
    assert not refuses(signed(body))
    assert refuses(signed(b"\x81" + body[1:]))  # another version


def test_another_key_opens_nothing() -> None:
    tokens = pa.array(sealed([b"a", b"b", None]))
    for at in (0, 15, 16, 31):
        other = bytearray(KEY)
        other[at] ^= 1
        # Half of the key only encrypts: with that half wrong, padding decides, after the tag.
        values, _ = Fernet(bytes(other)).open_each(tokens, now=NOW)
        assert values.to_pylist()[:2] != [b"a", b"b"]
        if at < 16:
            assert values.null_count == 3


@pytest.mark.parametrize("ttl", [0, 1, 60, 10**6, None])
def test_time_to_live(ttl: int | None) -> None:
    token = sealed([b"x"])[0]
    assert token is not None
    assert not refuses_time(token, NOW + (10**9 if ttl is None else ttl), ttl)
    if ttl is not None:
        assert refuses_time(token, NOW + ttl + 1, ttl)
    assert not refuses_time(token, NOW - 60, ttl)
    assert refuses_time(token, NOW - 61, ttl)
    assert not refuses_time(token, NOW - 61, ttl, skew=61)
    assert not refuses_time(token, NOW, ttl, skew=0)
    assert refuses_time(token, NOW - 1, ttl, skew=0)


def refuses_time(token: str, now: int, ttl: int | None, skew: int = 60) -> bool:
    found = refuses(token, now=now, ttl=ttl, skew=skew)
    if skew == 60:  # the library's own, which cannot be changed
        try:
            _reference_foreign.fernet_decrypt(KEY, token, now, ttl)
        except DecryptionError:
            assert found
        else:
            assert not found
    return found


def test_tokens_are_as_old_as_64_bits_tell() -> None:
    for when in (0, 1, NOW, 2**63 - 1):
        tokens = Fernet(KEY).encrypt(pa.array(["x"]), now=when)
        assert Fernet(KEY).decrypt(tokens, now=max(when, NOW)).to_pylist() == [b"x"]
        assert Fernet(KEY).created_at(tokens).to_pylist() == [when]
    late = Fernet(KEY).encrypt(pa.array(["x"]), now=2**64 - 1)
    assert Fernet(KEY).decrypt(late, now=2**64 - 1).to_pylist() == [b"x"]
    with pytest.raises(DecryptionError, match="from the future"):
        Fernet(KEY).decrypt(late, now=NOW)
    assert Fernet(KEY).decrypt(late, now=2**64 - 1, ttl=2**70).to_pylist() == [b"x"]
    with pytest.raises(EncodingError):
        Fernet(KEY).created_at(late)


def test_times_are_told_only_of_authentic_tokens() -> None:
    tokens = sealed([b"a", None, b"b"], 5) + sealed([b"c"], 7)
    assert Fernet(KEY).created_at(pa.array(tokens)).to_pylist() == [5, None, 5, 7]
    with pytest.raises(DecryptionError):
        Fernet(bytes(32)).created_at(pa.array(tokens))


def test_an_expired_token_is_said_to_be_one_only_where_all_are_authentic() -> None:
    old = sealed([b"x"])[0] or ""
    forged = old[:30] + ("A" if old[30] != "A" else "B") + old[31:]
    with pytest.raises(DecryptionError, match="older than its ttl"):
        Fernet(KEY).decrypt(pa.array([old]), now=NOW + 100, ttl=1)
    with pytest.raises(DecryptionError, match="did not authenticate"):
        Fernet(KEY).decrypt(pa.array([old, forged]), now=NOW + 100, ttl=1)


def test_ivs_do_not_repeat_and_equal_values_differ() -> None:
    kernel, seen = Fernet(KEY), set()
    for _ in range(3):
        for token in kernel.encrypt(pa.array(["x"] * 2000), now=NOW).to_pylist():
            seen.add(base64.urlsafe_b64decode(token)[9:25])
    assert len(seen) == 6000


@given(data=st.data())
@settings(deadline=None, max_examples=100)
def test_it_agrees_with_its_twin(data: st.DataObject) -> None:
    values = data.draw(st.lists(st.none() | st.binary(max_size=70), max_size=12))
    key = data.draw(st.binary(min_size=32, max_size=32))
    now = data.draw(st.integers(0, 2**40))
    tokens = Fernet(key).encrypt(pa.array(values, pa.binary()), now=now)
    assert values == [
        token if token is None else _reference_foreign.fernet_decrypt(key, token, now, 0)
        for token in tokens.to_pylist()
    ]
    back = [
        value if value is None else _reference_foreign.fernet_encrypt(key, value, now)
        for value in values
    ]
    assert Fernet(key).decrypt(pa.array(back, pa.string()), now=now, ttl=0).to_pylist() == values


@given(at=st.integers(0, 119), put=st.characters(max_codepoint=255), cut=st.integers(0, 5))
@example(at=119, put="=", cut=0)
@settings(deadline=None, max_examples=200)
def test_a_changed_token_opens_for_both_or_for_none(at: int, put: str, cut: int) -> None:
    token = sealed([b"0123456789abcdef"])[0] or ""
    changed = (token[:at] + put + token[at + 1 :])[: len(token) - cut].encode("latin-1")
    try:
        want: bytes | None = _reference_foreign.fernet_decrypt(KEY, changed, NOW)
    except DecryptionError:
        want = None
    found, _ = Fernet(KEY).open_each(pa.array([changed]), now=NOW)
    assert found.to_pylist() == [want]


@pytest.mark.parametrize("size", [0, 16, 31, 33, 44, 64])
def test_a_key_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(KeysetError, match=f"{size} bytes"):
        Fernet(bytes(size))


def test_keys_in_text() -> None:
    text = Library.generate_key().decode()
    assert Fernet.parse_key(text) == base64.urlsafe_b64decode(text)
    for wrong in ("", text[:-1], text + "=", "+" * 43 + "=", text[:-2] + "é=", text * 2, "AAAA"):
        with pytest.raises(KeysetError) as caught:
            Fernet.parse_key(wrong)
        assert not wrong or wrong not in str(caught.value)


def test_arguments_are_judged() -> None:
    kernel, column = Fernet(KEY), pa.array(["a", None])
    for bad in (-1, 2**64):
        with pytest.raises(UsageError):
            kernel.encrypt(column, now=bad)
        with pytest.raises(UsageError):
            kernel.decrypt(column, now=bad)
    for ivs in (b"", bytes(16), bytes(33)):
        with pytest.raises(UsageError):
            kernel.encrypt(column, now=NOW, ivs=ivs)
    for wrong in ({"ttl": -1}, {"ttl": 1, "skew": -1}):
        with pytest.raises(UsageError):
            kernel.decrypt(column, now=NOW, **wrong)
    for work in (kernel.encrypt, kernel.decrypt, kernel.open_each):
        with pytest.raises(SchemaError):
            work(pa.array([1]), now=NOW)


@pytest.mark.parametrize("travel", [pickle.dumps, copy.copy, copy.deepcopy])
def test_no_part_of_it_travels(travel: object) -> None:
    kernel = Fernet(KEY)
    for part in (kernel, kernel._keys):
        with pytest.raises(SecretTravels):
            travel(part)  # type: ignore[operator]


def test_its_repr_holds_no_key() -> None:
    text = repr(Fernet(KEY))
    assert text == "Fernet(256-bit key)"
    assert _token.TokenKeys.__name__ not in text


def test_errors_hold_no_token() -> None:
    token = signed(b"\x80" + bytes(40))
    with pytest.raises(DecryptionError) as caught:
        Fernet(KEY).decrypt(pa.array([token]), now=NOW)
    assert token[:12] not in str(caught.value)
