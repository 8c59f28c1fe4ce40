"""Values bound to their rows, beside the same values bound to their column alone.

    python benchmarks/bound.py

Prints a table and exits with 1 where a bar is missed: values of 11 bytes in batches of 20,000,
associated data built and values sealed under it at least 9 times (AES-GCM) and 12 times (AES-SIV)
as fast as a loop over the library's calls, which finds each row's associated data ready. Times are
those of one thread on a processor, best of several.

`more` is what binding costs a value. A Spark job costs some 250 ns a value with all that it does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from kernels import PREFIX, ROWS, best

from privpipe import arrow
from privpipe.kernels import AesGcm, AesSiv

CONTEXT = b"pp1:c:clinic.patients/family_name:string"
KEYS = {
    "int64": pa.array(np.random.default_rng(7).permutation(ROWS) + 1_000_000),
    "12 characters": pa.array([f"{at * 7_919_393_939 % 10**12:012d}" for at in range(ROWS)]),
}
TIMES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """A kernel, the library's call for one value and its associated data, and the bar."""

    name: str
    kernel: AesGcm | AesSiv
    one: Callable[[bytes, bytes], bytes]
    bar: float


def gcm() -> Rival:
    key = os.urandom(32)
    cipher = AESGCM(key)

    def one(value: bytes, aad: bytes) -> bytes:
        drawn = os.urandom(12)
        return PREFIX + drawn + cipher.encrypt(drawn, value, aad)

    return Rival(name="AES-GCM", kernel=AesGcm(key), one=one, bar=9.0)


def siv() -> Rival:
    key = os.urandom(64)
    cipher = AESSIV(key)
    return Rival(
        name="AES-SIV",
        kernel=AesSiv(key),
        one=lambda value, aad: PREFIX + cipher.encrypt(value, [aad]),
        bar=12.0,
    )


def measure(rival: Rival, size: int, key: pa.Array) -> list[float]:
    """Sealing plain and bound, opening plain and bound, the building alone, and the loop."""
    values = pa.array([os.urandom(size) for _ in range(ROWS)], pa.binary())
    kernel, one = rival.kernel, rival.one

    def aad() -> arrow.Bound:
        return arrow.bound(values, (), CONTEXT, [("id", key)])

    ready = aad().plain().to_pylist()

    def loop() -> pa.Array:
        pairs = zip(values.to_pylist(), ready, strict=True)
        return pa.array([one(value, own) for value, own in pairs], pa.binary())

    plain = kernel.encrypt(values, CONTEXT, prefix=PREFIX)
    bound = kernel.encrypt(values, aad(), prefix=PREFIX)
    assert kernel.decrypt(loop(), aad(), prefix=PREFIX).equals(values)
    return best(
        [
            (lambda: kernel.encrypt(values, CONTEXT, prefix=PREFIX), TIMES),
            (lambda: kernel.encrypt(values, aad(), prefix=PREFIX), TIMES),
            (lambda: kernel.decrypt(plain, CONTEXT, prefix=PREFIX), TIMES),
            (lambda: kernel.decrypt(bound, aad(), prefix=PREFIX), TIMES),
            (aad, TIMES),
            (loop, TIMES // 8),
        ],
        ROWS,
    )


def main() -> int:
    print("| ns a value | bytes | key | encrypt | bound | more | decrypt | bound | more | build "
          "| loop | loop / bound |")  # fmt: skip
    print("| :--- | ---: | :--- |" + " ---: |" * 9)
    missed = set()
    for rival in (gcm(), siv()):
        for size in (11, 40):
            for name, key in KEYS.items():
                seal, bound, back, bound_back, build, loop = measure(rival, size, key)
                print(
                    f"| {rival.name} | {size} | {name} | {seal:.0f} | {bound:.0f} "
                    f"| {bound - seal:.0f} | {back:.0f} | {bound_back:.0f} "
                    f"| {bound_back - back:.0f} | {build:.0f} | {loop:.0f} | {loop / bound:.1f}x |",
                    flush=True,
                )
                if size == 11 and loop / bound < rival.bar:
                    missed.add(rival.name)
    if missed:
        print(f"missed: {', '.join(sorted(missed))}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
