"""Any column whatever: the kernel and its scalar twin agree."""

from __future__ import annotations

import itertools
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from privpipe.arrow import Bound, cells
from privpipe.kernels import AesGcm, AesSiv, _reference
from privpipe.kernels._gcm import Gcm
from privpipe.kernels._siv import Siv
from tests.kernels.kernels import always_in_batches

VALUES = st.lists(st.none() | st.binary(max_size=100), max_size=30)
PREFIXES = st.binary(max_size=24)
CUTS = st.lists(st.integers(0, 30), max_size=3)


def chunked(values: list[bytes | None], cuts: list[int]) -> pa.ChunkedArray:
    edges = [0, *sorted(min(cut, len(values)) for cut in cuts), len(values)]
    pairs = itertools.pairwise(edges)
    return pa.chunked_array([pa.array(values[a:b], pa.binary()) for a, b in pairs], pa.binary())


@settings(deadline=None, max_examples=150)
@given(
    values=VALUES,
    cuts=CUTS,
    prefix=PREFIXES,
    key=st.binary(min_size=32, max_size=32) | st.binary(min_size=16, max_size=16),
    aad=st.binary(max_size=50),
    seed=st.binary(min_size=12, max_size=12),
)
def test_gcm_agrees_with_its_twin(
    values: list[bytes | None], cuts: list[int], prefix: bytes, key: bytes, aad: bytes, seed: bytes
) -> None:
    nonces = [bytes([at]) + seed[1:] for at in range(len(values))]
    with always_in_batches(Gcm):
        kernel, column = AesGcm(key), chunked(values, cuts)
        sealed = kernel.encrypt(column, aad, prefix=prefix, nonces=b"".join(nonces))
        assert sealed.to_pylist() == [
            None if value is None else prefix + _reference.gcm_encrypt(key, value, aad, nonce)
            for value, nonce in zip(values, nonces, strict=True)
        ]
        assert kernel.decrypt(sealed, aad, prefix=prefix).to_pylist() == values


@settings(deadline=None, max_examples=150)
@given(
    values=VALUES,
    cuts=CUTS,
    prefix=PREFIXES,
    key=st.binary(min_size=64, max_size=64),
    aad=st.binary(max_size=50),
)
def test_siv_agrees_with_its_twin(
    values: list[bytes | None], cuts: list[int], prefix: bytes, key: bytes, aad: bytes
) -> None:
    with always_in_batches(Siv):
        kernel, column = AesSiv(key), chunked(values, cuts)
        sealed = kernel.encrypt(column, aad, prefix=prefix)
        assert sealed.to_pylist() == [
            None if value is None else prefix + _reference.siv_encrypt(key, value, aad)
            for value in values
        ]
        assert kernel.decrypt(sealed, aad, prefix=prefix).to_pylist() == values


@settings(deadline=None, max_examples=250)
@given(
    rows=st.lists(st.tuples(st.binary(max_size=60), st.binary(max_size=40)), max_size=30),
    head=st.binary(max_size=100),
    key=st.binary(min_size=64, max_size=64),
    as_bound=st.booleans(),
)
def test_one_context_a_row_agrees_with_the_twins(
    rows: list[tuple[bytes, bytes]], head: bytes, key: bytes, as_bound: bool
) -> None:
    values = pa.array([value for value, _ in rows], pa.binary())
    rests = pa.array([rest for _, rest in rows], pa.binary())
    whole = [head + rest for _, rest in rows]
    aads: Any = pa.array(whole, pa.binary())
    if as_bound:
        aads = Bound(head=head, rest=cells(rests))
        assert aads.plain().to_pylist() == whole
    nonces = [bytes([at]) * 12 for at in range(len(rows))]
    with always_in_batches(Gcm, Siv):
        siv, gcm = AesSiv(key), AesGcm(key[:32])
        deterministic = siv.encrypt(values, aads)
        assert deterministic.to_pylist() == [
            _reference.siv_encrypt(key, value, aad)
            for (value, _), aad in zip(rows, whole, strict=True)
        ]
        assert siv.decrypt(deterministic, aads).equals(values)
        sealed = gcm.encrypt(values, aads, nonces=b"".join(nonces))
        assert sealed.to_pylist() == [
            _reference.gcm_encrypt(key[:32], value, aad, nonce)
            for (value, _), aad, nonce in zip(rows, whole, nonces, strict=True)
        ]
        assert gcm.decrypt(sealed, aads).equals(values)


@settings(deadline=None, max_examples=100)
@given(noise=st.lists(st.none() | st.binary(max_size=90), max_size=20), prefix=PREFIXES)
def test_noise_never_opens(noise: list[bytes | None], prefix: bytes) -> None:
    column = pa.array(noise, pa.binary())
    with always_in_batches(Gcm, Siv):
        for kernel in (AesGcm(bytes(32)), AesSiv(bytes(64))):
            plain, opened = kernel.open_each(column, b"", prefix=prefix)
            assert plain.null_count == len(noise)
            assert opened.tolist() == [cell is None for cell in noise]
