"""The kernels alone, value for value, beside loops over the library's calls.

    python benchmarks/kernels.py [--quick]

Prints a table over lengths, for `docs/benchmarks.md`, and exits with 1 where a bar is missed:
values of 11 bytes in batches of 20,000, AES-GCM at least 12 times as fast as a loop over
`AESGCM.encrypt`, AES-SIV 22 times as fast as one over `AESSIV.encrypt`; opening at most 1.3 times
sealing. Times are those of one thread on a processor, best of several: what else runs on the
machine counts only as far as it takes the caches.

The loops do the same work: from one Arrow array to another, prefix and fresh nonces included.
`bare` is the library's call alone, its arguments ready and its results dropped.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV

from privpipe.kernels import AesGcm, AesSiv

AAD = b"pp1:c:clinic.patients/surname:string"
PREFIX = b"\x01\x00\x00\x00\x07"
ROWS = 20_000
FIXED = [0, 1, 8, 11, 15, 16, 17, 24, 32, 33, 48, 64, 96, 128, 160, 192, 224, 256, 288, 320,
         384, 448, 512, 640, 768, 896, 1024, 1280, 1536, 2048, 3072, 4096]  # fmt: skip
MIXED = [(3, 13), (0, 40), (0, 300), (0, 4096)]
BARS = {"AES-GCM": 12.0, "AES-SIV": 22.0}
REVEAL = 1.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """A kernel and the loops that do its work."""

    name: str
    kernel: AesGcm | AesSiv
    bare: Callable[[bytes], bytes]
    loop: Callable[[pa.Array], pa.Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Nanoseconds a value."""

    encrypt: float
    decrypt: float
    bare: float
    loop: float


def gcm() -> Rival:
    key, nonce = os.urandom(32), os.urandom(12)
    cipher = AESGCM(key)

    def one(value: bytes) -> bytes:
        drawn = os.urandom(12)
        return PREFIX + drawn + cipher.encrypt(drawn, value, AAD)

    return Rival(
        name="AES-GCM",
        kernel=AesGcm(key),
        bare=lambda value: cipher.encrypt(nonce, value, AAD),
        loop=lambda values: pa.array([one(value) for value in values.to_pylist()], pa.binary()),
    )


def siv() -> Rival:
    key = os.urandom(64)
    cipher, aads = AESSIV(key), [AAD]
    return Rival(
        name="AES-SIV",
        kernel=AesSiv(key),
        bare=lambda value: cipher.encrypt(value, aads),
        loop=lambda values: pa.array(
            [PREFIX + cipher.encrypt(value, aads) for value in values.to_pylist()], pa.binary()
        ),
    )


def best(works: list[tuple[Callable[[], object], int]], rows: int) -> list[float]:
    """Nanoseconds a row for each work: the best of so many runs, after one that does not count.

    The works take turns, so that none has a quiet machine to itself.
    """
    found: list[list[int]] = [[] for _ in works]
    for turn in range(max(times for _, times in works) + 1):
        for (work, times), own in zip(works, found, strict=True):
            if turn <= times:
                start = time.thread_time_ns()
                work()
                own.append(time.thread_time_ns() - start)
    return [min(own[1:]) / rows for own in found]


def measure(rival: Rival, sizes: npt.NDArray[np.int64], times: int) -> Row:
    values = pa.array([os.urandom(size) for size in sizes.tolist()], pa.binary())
    ready = values.to_pylist()
    kernel, bare, few = rival.kernel, rival.bare, max(3, times // 8)
    sealed = kernel.encrypt(values, AAD, prefix=PREFIX)
    assert kernel.decrypt(sealed, AAD, prefix=PREFIX).equals(values)
    assert kernel.decrypt(rival.loop(values), AAD, prefix=PREFIX).equals(values)
    encrypt, decrypt, calls, loop = best(
        [
            (lambda: kernel.encrypt(values, AAD, prefix=PREFIX), times),
            (lambda: kernel.decrypt(sealed, AAD, prefix=PREFIX), times),
            (lambda: [bare(value) for value in ready], few),
            (lambda: rival.loop(values), few),
        ],
        len(sizes),
    )
    return Row(encrypt=encrypt, decrypt=decrypt, bare=calls, loop=loop)


def cases(*, quick: bool) -> list[tuple[str, npt.NDArray[np.int64]]]:
    """Lengths by name; fewer rows where they are long, so that a column is at most 16 MB."""
    draw = np.random.default_rng(7)
    fixed = [
        (str(size), np.full(min(ROWS, (16 << 20) // (size + 1)), size))
        for size in ([11] if quick else FIXED)
    ]
    return fixed + [
        (f"{low} to {high}", draw.integers(low, high, min(ROWS, (32 << 20) // high), endpoint=True))
        for low, high in ([] if quick else MIXED)
    ]


def table(rival: Rival, *, quick: bool) -> dict[str, Row]:
    print(f"\n### {rival.name}, ns a value\n")
    print("| bytes | encrypt | decrypt | loop | bare calls | loop / encrypt "
          "| bare / encrypt | decrypt / encrypt |")  # fmt: skip
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    rows = {}
    for name, sizes in cases(quick=quick):
        times = 60 if sizes.max() < 40 else 8
        row = rows[name] = measure(rival, sizes, times)
        print(
            f"| {name} | {row.encrypt:.0f} | {row.decrypt:.0f} | {row.loop:.0f} | {row.bare:.0f} "
            f"| {row.loop / row.encrypt:.1f}x | {row.bare / row.encrypt:.1f}x "
            f"| {row.decrypt / row.encrypt:.2f}x |",
            flush=True,
        )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="only the lengths that the bars name")
    quick = parser.parse_args().quick
    missed = []
    for rival in (gcm(), siv()):
        row, bar = table(rival, quick=quick)["11"], BARS[rival.name]
        faster, back = row.loop / row.encrypt, row.decrypt / row.encrypt
        print(f"\n{rival.name}, 11 bytes: {faster:.1f}x the loop (bar {bar:.0f}x), "
              f"opening {back:.2f}x sealing (bar {REVEAL}x)")  # fmt: skip
        if faster < bar or back > REVEAL:
            missed.append(rival.name)
    if missed:
        print(f"missed: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
