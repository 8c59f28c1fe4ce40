"""What a kernel keeps, and what it takes while it works."""

from __future__ import annotations

import os
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from privpipe.errors import EncodingError, UsageError
from privpipe.kernels import AesGcm, AesSiv, _column
from privpipe.kernels._batches import ROOM, batches
from privpipe.kernels._gcm import Gcm
from privpipe.kernels._ghash import CAP
from privpipe.kernels._siv import Siv
from tests.kernels.kernels import always_in_batches


@pytest.mark.parametrize("kernel", [AesGcm(bytes(32)), AesSiv(bytes(64))])
def test_the_memory_in_work_does_not_grow_with_the_rows(kernel: AesGcm | AesSiv) -> None:
    peaks = []
    for count in (200_000, 800_000):
        column = pa.array(np.full(count, "Ada Lovelace"))
        sealed = kernel.encrypt(column, b"ctx")  # once before: tables are made
        tracemalloc.start()
        kernel.encrypt(column, b"ctx")
        kept = tracemalloc.get_traced_memory()[1] - sealed.nbytes
        kernel.decrypt(sealed, b"ctx")
        tracemalloc.stop()
        peaks.append(kept / count)
    # A few integers for each row of the column, and the buffers of one batch.
    assert peaks[1] < 90
    assert peaks[1] <= peaks[0]


def test_the_tables_of_a_key_are_bounded() -> None:
    kernel = AesGcm(bytes(32))
    values = pa.array([os.urandom(size) for size in range(0, 2000, 7)])
    with always_in_batches(Gcm):
        for at in range(40):
            kernel.encrypt(values, b"context %d" % at)
            rests = [b"%d" % at + bytes(3 * size) for size in range(len(values))]
            each = pa.array([b"" if len(rest) > 400 else rest for rest in rests], pa.binary())
            kernel.encrypt(values, each)
    assert max(kernel._mode._hash._tables) <= CAP + 1
    assert kernel._mode._seeds.cache_info().currsize <= 16
    assert kernel._mode._row_seeds.cache_info().currsize <= 16


def test_nonces_do_not_repeat() -> None:
    kernel = AesGcm(bytes(32))
    seen = set()
    for _ in range(4):
        cells = kernel.encrypt(pa.array(["x"] * 50_000), b"").to_pylist()
        seen |= {cell[:12] for cell in cells}
    few = [kernel.encrypt(pa.array(["x"]), b"").to_pylist()[0][:12] for _ in range(50)]
    assert len(seen | set(few)) == 200_050
    # Every bit of a nonce is drawn: none of 96 is fixed.
    drawn = np.frombuffer(b"".join(seen), dtype=np.uint8).reshape(-1, 12)
    share = np.unpackbits(drawn, axis=1).mean(axis=0)
    assert np.all(np.abs(share - 0.5) < 0.01)


def test_a_forked_worker_draws_its_own_nonces() -> None:
    kernel, column = AesGcm(bytes(32)), pa.array(["x"] * 2000)
    kernel.encrypt(column, b"")
    heard, told = os.pipe()
    child = os.fork()
    if child == 0:
        first = kernel.encrypt(column, b"").to_pylist()[0][:12]
        os.write(told, first)
        os._exit(0)
    os.waitpid(child, 0)
    mine = {cell[:12] for cell in kernel.encrypt(column, b"").to_pylist()}
    assert os.read(heard, 12) not in mine


def test_threads_share_a_kernel() -> None:
    values = pa.array([os.urandom(size % 700) for size in range(2000)])
    for kernel in (AesGcm(bytes(32)), AesSiv(bytes(64))):
        with ThreadPoolExecutor(8) as pool:
            contexts = [b"context %d" % (at % 5) for at in range(40)]
            sealed = list(pool.map(kernel.encrypt, [values] * 40, contexts))
            assert all(plain.equals(values) for plain in pool.map(kernel.decrypt, sealed, contexts))


def test_a_value_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_column, "LONGEST", 100)
    for kernel in (AesGcm(bytes(32)), AesSiv(bytes(64))):
        kernel.encrypt(pa.array(["x" * 100]), b"")
        with pytest.raises(EncodingError):
            kernel.encrypt(pa.array(["short", "x" * 101]), b"")


def test_injected_nonces_are_one_a_row() -> None:
    kernel = AesGcm(bytes(32))
    column = pa.array(["a", None, "c"])
    nonces = bytes(range(36))
    for sealed in (
        kernel.encrypt(column, b"", nonces=nonces),
        kernel.encrypt(pa.concat_arrays([column] * 500), b"", nonces=nonces * 500).slice(0, 3),
    ):
        first, second, third = sealed.to_pylist()
        assert (first[:12], second, third[:12]) == (nonces[:12], None, nonces[24:])
    for wrong in (nonces[:-1], nonces + b"x", b""):
        with pytest.raises(UsageError):
            kernel.encrypt(column, b"", nonces=wrong)


@pytest.mark.parametrize("mode", [Gcm, Siv])
def test_batches_cover_each_row_once(mode: type[Gcm | Siv]) -> None:
    draw = np.random.default_rng(1)
    for count, longest in [(0, 1), (1, 1), (70_000, 1), (30_000, 20), (5000, 4000), (3, 10**7)]:
        covers_each_once(draw.integers(1, longest + 1, count), mode)
    for size in (1, 2, 5, 64, 97):
        covers_each_once(np.full(70_000, size), mode)


def covers_each_once(blocks: npt.NDArray[np.int64], mode: type[Gcm | Siv]) -> None:
    seen = np.zeros(len(blocks), dtype=np.int64)
    for batch in batches(blocks, mode.cost):
        seen[batch.short] += 1
        seen[batch.long] += 1
        assert blocks[batch.short].max(initial=0) <= mode.cost.most
        assert blocks[batch.short].sum() <= ROOM
        assert batch.first <= batch.long.min(initial=batch.last)
    assert (seen == 1).all()


def test_few_values_and_long_ones_are_left_to_the_library() -> None:
    for mode in (Gcm, Siv):
        (one,) = batches(np.array([1]), mode.cost)
        assert one.long.tolist() == [0]
        (mostly,) = batches(np.array([1] * 5000 + [500] + [1] * 5000), mode.cost)
        assert mostly.long.tolist() == [5000]
        (short,) = batches(np.ones(5000, dtype=np.int64), mode.cost)
        assert short.long.tolist() == []
