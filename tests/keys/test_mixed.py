"""One column under several keys, against Tink's own verdict for every value."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import tink
from hypothesis import given, settings
from hypothesis import strategies as st
from tink import aead, cleartext_keyset_handle, daead

from privpipe.errors import DecryptionError
from privpipe.keys import OpenKeyset, load_keyset
from privpipe.testing import TestKey, keyset_json

aead.register()
daead.register()

SIZES = {"AesGcmKey": 32, "AesSivKey": 64}


def key(key_id: int, kind: str, prefix: str = "TINK", status: str = "ENABLED") -> TestKey:
    raw = bytes((key_id * 7 + at) % 256 for at in range(SIZES[kind]))
    return TestKey(key_id=key_id, raw=raw, type=kind, prefix=prefix, status=status)


def opened(*keys: TestKey) -> OpenKeyset:
    return load_keyset(keyset_json(keys, primary=keys[0].key_id))


class Judge:
    """Tink over the same keyset."""

    def __init__(self, *keys: TestKey) -> None:
        text = keyset_json(keys, primary=keys[0].key_id)
        handle = cleartext_keyset_handle.read(tink.JsonKeysetReader(text))
        if keys[0].type == "AesGcmKey":
            self._open = handle.primitive(aead.Aead).decrypt
        else:
            self._open = handle.primitive(daead.DeterministicAead).decrypt_deterministically

    def open(self, value: bytes, aad: bytes) -> bytes | None:
        try:
            return bytes(self._open(value, aad))
        except tink.TinkError:
            return None


def verdicts(keys: tuple[TestKey, ...], column: pa.Array, aad: bytes) -> None:
    """Our answer for every row is Tink's."""
    judge = Judge(*keys)
    values = column.to_pylist()
    expected = [None if value is None else judge.open(value, aad) for value in values]
    plain, mask = opened(*keys).open_each(column, aad)
    assert plain.to_pylist() == expected
    failed = [e is None and v is not None for e, v in zip(expected, values, strict=True)]
    assert (~mask).tolist() == failed
    if any(failed):
        with pytest.raises(DecryptionError):
            opened(*keys).decrypt(column, aad)
    else:
        assert opened(*keys).decrypt(column, aad).to_pylist() == expected


def made(by: TestKey, values: list[bytes | None], aad: bytes = b"here") -> list[bytes | None]:
    column = opened(replace(by, status="ENABLED")).encrypt(pa.array(values, pa.binary()), aad)
    listed: list[bytes | None] = column.to_pylist()
    return listed


@pytest.mark.parametrize("kind", sorted(SIZES))
def test_prefixes_raw_and_disabled_together(kind: str) -> None:
    keys = (
        key(1, kind),
        key(2, kind, "CRUNCHY"),
        key(3, kind, "RAW"),
        key(4, kind, "LEGACY"),
        key(5, kind, "RAW"),
        key(6, kind, "TINK", "DISABLED"),
        key(7, kind, "RAW", "DISABLED"),
        key(4_000_000_000, kind),
    )
    stranger = key(99, kind)
    values = [b"", b"a", None, b"x" * 300, "Zoë".encode()]
    column = [each for one in (*keys, stranger) for each in made(one, values)]
    column += [b"", b"\x01", b"\x01\0\0\0\x01", b"\x00\0\0\0\x02x", bytes(40)]
    shuffled = np.random.default_rng(7).permutation(len(column))
    verdicts(keys, pa.array([column[at] for at in shuffled], pa.binary()), b"here")
    verdicts(keys, pa.array([column[at] for at in shuffled], pa.binary()), b"elsewhere")
    good = pa.array([v for one in (*keys[:5], keys[7]) for v in made(one, values)], pa.binary())
    verdicts(keys, good, b"here")


def raw_value_that_begins(by: TestKey, start: bytes) -> bytes:
    """A RAW GCM ciphertext whose nonce begins with another key's prefix."""
    from privpipe.kernels import AesGcm

    nonce = start + bytes(12 - len(start))
    made_ = AesGcm(by.raw).encrypt(pa.array([b"caught"]), b"here", nonces=nonce)
    value: bytes = made_[0].as_py()
    return value


def test_a_raw_value_that_looks_like_a_prefix() -> None:
    keys = (key(1, "AesGcmKey"), key(2, "AesGcmKey", "RAW"), key(3, "AesGcmKey", "RAW"))
    mimic = raw_value_that_begins(keys[2], b"\x01\0\0\0\x01")
    real = made(keys[0], [b"real"])
    column = pa.array([*real, mimic, *real, None], pa.binary())
    verdicts(keys, column, b"here")
    plain = opened(*keys).decrypt(column, b"here")
    assert plain.to_pylist() == [b"real", b"caught", b"real", None]
    # a whole column of them, so that a prefix's whole group fails before RAW
    verdicts(keys, pa.array([mimic] * 3), b"here")


def test_duplicate_ids_are_tried_in_turn() -> None:
    twin = replace(key(2, "AesGcmKey"), raw=b"t" * 32)
    keys = (key(1, "AesGcmKey"), key(2, "AesGcmKey"), twin, key(2, "AesGcmKey", "CRUNCHY"))
    values = [b"one", b"two", None]
    column = [each for one in keys for each in made(one, values)]
    verdicts(keys, pa.array(column, pa.binary()), b"here")
    assert opened(*keys).key_ids == (1, 2, 2, 2)


@pytest.mark.parametrize("kind", sorted(SIZES))
def test_one_context_a_row(kind: str) -> None:
    keys = (key(1, kind), key(2, kind), key(3, kind, "RAW"))
    contexts = pa.array([f"row {at}".encode() for at in range(30)])
    plain = pa.array([None if at % 7 == 3 else b"v%d" % at for at in range(30)], pa.binary())
    parts = [opened(one).encrypt(plain, contexts) for one in keys]
    column = pa.concat_arrays([parts[at % 3].slice(at, 1) for at in range(30)])
    keyset = opened(*keys)
    assert keyset.decrypt(column, contexts).equals(plain)
    swapped = pa.concat_arrays([contexts.slice(1), contexts.slice(0, 1)])
    nothing, mask = keyset.open_each(column, swapped)
    assert nothing.null_count == 30
    assert mask.tolist() == [value is None for value in plain.to_pylist()]


@pytest.mark.parametrize("layout", ["sliced", "chunked", "large", "view", "dictionary", "empty"])
def test_layouts(layout: str) -> None:
    keys = (key(1, "AesSivKey"), key(2, "AesSivKey"))
    values = [b"a", None, b"bb", b"", b"a"]
    column = pa.array(
        [a if at % 2 else b for at, (a, b) in enumerate(zip(made(keys[0], values),
         made(keys[1], values), strict=True))], pa.binary()
    )  # fmt: skip
    plain = pa.array(values, pa.binary())
    keyset = opened(*keys)
    if layout == "sliced":
        column, plain = column.slice(1, 3), plain.slice(1, 3)
    elif layout == "chunked":
        column = pa.chunked_array([column.slice(0, 2), column.slice(2, 0), column.slice(2)])
    elif layout == "large":
        column = column.cast(pa.large_binary())
    elif layout == "view":
        column = column.cast(pa.binary_view())
    elif layout == "dictionary":
        column = column.dictionary_encode()
    else:
        column, plain = column.slice(0, 0), plain.slice(0, 0)
    assert keyset.decrypt(column, b"here").to_pylist() == plain.to_pylist()
    nulls = pa.nulls(3, pa.binary())
    assert keyset.decrypt(nulls, b"here").equals(nulls)


def test_a_failing_row_blanks_itself_alone() -> None:
    keys = (key(1, "AesGcmKey"), key(2, "AesGcmKey"))
    column = made(keys[0], [b"a", b"b"]) + made(keys[1], [b"c", None])
    bent = column[1]
    assert bent is not None
    column[1] = bent[:-1] + bytes([bent[-1] ^ 1])
    keyset = opened(*keys)
    plain, mask = keyset.open_each(pa.array(column, pa.binary()), b"here")
    assert plain.to_pylist() == [b"a", None, b"c", None]
    assert mask.tolist() == [True, False, True, True]
    with pytest.raises(DecryptionError) as caught:
        keyset.decrypt(pa.array(column, pa.binary()), b"here")
    assert "1" not in caught.value.message


@settings(max_examples=40, deadline=None)
@given(
    shapes=st.lists(
        st.tuples(
            st.integers(1, 3),
            st.sampled_from(["TINK", "RAW", "CRUNCHY", "LEGACY"]),
            st.sampled_from(["ENABLED", "DISABLED"]),
        ),
        min_size=1,
        max_size=4,
    ),
    kind=st.sampled_from(sorted(SIZES)),
    rows=st.lists(st.tuples(st.integers(0, 4), st.binary(max_size=40)), max_size=12),
    junk=st.lists(st.binary(max_size=60), max_size=3),
)
def test_any_keyset_agrees_with_tink(
    shapes: list[tuple[int, str, str]],
    kind: str,
    rows: list[tuple[int, bytes]],
    junk: list[bytes],
) -> None:
    keys = (
        key(100, kind),
        *(
            replace(key(key_id, kind, prefix, status), raw=bytes([at]) * SIZES[kind])
            for at, (key_id, prefix, status) in enumerate(shapes)
        ),
    )
    column = [each for at, value in rows for each in made(keys[at % len(keys)], [value])]
    verdicts(keys, pa.array([*column, *junk], pa.binary()), b"here")
