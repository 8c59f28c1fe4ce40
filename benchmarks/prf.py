"""The keyed one-way functions alone, value for value, beside loops over the library's calls.

    python benchmarks/prf.py [--quick]

Prints tables over lengths, and exits with 1 where a bar is missed: tags of 11 bytes behind a head
of whole blocks, in batches of 20,000, at least 20 times as fast by `AesCmac` as by a loop over
`CMAC`, and 1.5 times by `HmacSha256` as by one over `hmac.digest`, all values being different.

The loops do the same work: from one Arrow array to another, the head included. `few` is a column of
50 distinct values. A pseudonym is the context's head, the tag, and what is shown of it; the column
beside each says what showing alone takes. Times are those of one thread on a processor, best of
several.
"""

from __future__ import annotations

import argparse
import hmac
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from kernels import best

from privpipe.kernels import AesCmac, HmacSha256
from privpipe.kernels._pseudonym import as_base64, as_hex, as_int64, as_uuid, context_head

HEAD = context_head(b"pp1:d:email:text")
ROWS = 20_000
SIZES = [0, 1, 8, 11, 15, 16, 17, 24, 32, 48, 64, 96, 128, 192, 256]
BARS = {"AES-CMAC": 20.0, "HMAC-SHA256": 1.5}
SHOWN = {"hex": as_hex, "base64": as_base64, "uuid": as_uuid, "int64": as_int64}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """A kernel and what computes one tag by the library."""

    name: str
    kernel: AesCmac | HmacSha256
    one: Callable[[bytes], bytes]
    size: int

    def loop(self, values: pa.Array) -> pa.Array:
        one = self.one
        return pa.array([one(value) for value in values.to_pylist()], pa.binary(self.size))


def cmac() -> Rival:
    key = os.urandom(32)

    def one(value: bytes) -> bytes:
        context = CMAC(AES(key))
        context.update(HEAD + value)
        return context.finalize()

    return Rival(name="AES-CMAC", kernel=AesCmac(key, head=HEAD), one=one, size=16)


def hmac_sha256() -> Rival:
    key = os.urandom(32)
    return Rival(
        name="HMAC-SHA256",
        kernel=HmacSha256(key, head=HEAD),
        one=lambda value: hmac.digest(key, HEAD + value, "sha256"),
        size=32,
    )


def column(size: int) -> pa.Array:
    """Random values of one length."""
    return pa.array([os.urandom(size) for _ in range(ROWS)], pa.binary())


def tags(rival: Rival, sizes: list[int], times: int) -> float:
    """Prints a line for each length; how many times faster than the loop values of 11 bytes are."""
    print(f"\n### {rival.name}, ns a value\n")
    print("| bytes | kernel | few | loop | loop / kernel |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    faster = 0.0
    for size in sizes:
        values = column(size)
        few = pa.concat_arrays([values.slice(0, 50)] * (ROWS // 50))
        assert rival.kernel.compute(values).equals(rival.loop(values))
        own, repeated, loop = best(
            [
                (lambda values=values: rival.kernel.compute(values), times),
                (lambda few=few: rival.kernel.compute(few), times),
                (lambda values=values: rival.loop(values), 3),
            ],
            ROWS,
        )
        print(
            f"| {size} | {own:.0f} | {repeated:.0f} | {loop:.0f} | {loop / own:.1f}x |", flush=True
        )
        faster = loop / own if size == 11 else faster
    return faster


def pseudonyms(kernel: AesCmac, sizes: list[int]) -> None:
    """Prints a line for each length and way to show a tag."""
    print("\n### Pseudonyms by AES-CMAC, ns a value\n")
    print("| bytes | shown as | whole | showing |")
    print("| ---: | --- | ---: | ---: |")
    for size in sizes:
        values = column(size)
        ready = kernel.compute(values)
        for name, show in SHOWN.items():
            whole, alone = best(
                [
                    (lambda show=show, values=values: show(kernel.compute(values)), 40),
                    (lambda show=show, ready=ready: show(ready), 40),
                ],
                ROWS,
            )
            print(f"| {size} | {name} | {whole:.0f} | {alone:.0f} |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="only the lengths that the bars name")
    quick = parser.parse_args().quick
    missed = []
    for rival, times in ((cmac(), 40), (hmac_sha256(), 4)):
        faster, bar = tags(rival, [11] if quick else SIZES, times), BARS[rival.name]
        print(f"\n{rival.name}, 11 bytes: {faster:.1f}x the loop (bar {bar:.1f}x)")
        if faster < bar:
            missed.append(rival.name)
    pseudonyms(AesCmac(os.urandom(32), head=HEAD), [11] if quick else [8, 11, 16, 40])
    if missed:
        print(f"missed: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
