"""Write-only columns beside AES-GCM under a key that is at hand.

    python benchmarks/seal.py [--quick]

Prints tables, for `docs/benchmarks.md`, and exits with 1 where the bar is missed: sealing values of
11 bytes in batches of 20,000, under X25519, at most 1.3 times `AesGcm.encrypt`. Times are those of
one thread on a processor, best of several; `--quick` leaves the tables of key pairs out.
"""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial

import pyarrow as pa
from kernels import best

from privpipe.kernels import AesGcm, Opener, Sealer
from privpipe.kernels._pem import generate_pair

AAD = b"pp1:c:clinic.patients/surname:string"
ROWS = 20_000
LENGTHS = [0, 11, 32, 100, 300]
KINDS = ["x25519", "rsa2048", "rsa3072", "rsa4096"]
BAR = 1.3


def values_of(size: int) -> pa.Array:
    return pa.array([os.urandom(size) for _ in range(ROWS)], pa.binary())


def kernels() -> float:
    """Prints the table of lengths; the ratio at 11 bytes."""
    private, public = generate_pair("x25519")
    sealed_key, opener, peer = Sealer(public).fresh(), Opener(private), AesGcm(os.urandom(32))
    print("| bytes | seal | open | AesGcm.encrypt | AesGcm.decrypt | seal / encrypt "
          "| open / decrypt |")  # fmt: skip
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    ratio = 0.0
    for size in LENGTHS:
        values = values_of(size)
        sealed, theirs = sealed_key.encrypt(values, AAD), peer.encrypt(values, AAD)
        assert opener.decrypt(sealed, AAD).equals(peer.decrypt(theirs, AAD))
        times = 40 if size < 40 else 8
        seal, unseal, encrypt, decrypt = best(
            [
                (lambda: sealed_key.encrypt(values, AAD), times),  # noqa: B023
                (lambda: opener.decrypt(sealed, AAD), times),  # noqa: B023
                (lambda: peer.encrypt(values, AAD), times),  # noqa: B023
                (lambda: peer.decrypt(theirs, AAD), times),  # noqa: B023
            ],
            ROWS,
        )
        print(f"| {size} | {seal:.0f} | {unseal:.0f} | {encrypt:.0f} | {decrypt:.0f} "
              f"| {seal / encrypt:.2f}x | {unseal / decrypt:.2f}x |", flush=True)  # fmt: skip
        if size == 11:
            ratio = seal / encrypt
    return ratio


def mixtures() -> None:
    """Columns of many data keys, shuffled, as a table has that many tasks wrote."""
    private, public = generate_pair("x25519")
    sealer, values = Sealer(public), values_of(11)
    print("\n| data keys in 20,000 rows | open, ns a value | again, by the same opener |")
    print("| ---: | ---: | ---: |")
    for count in (1, 2, 10, 100, 1000, ROWS):
        size = ROWS // count
        parts = [sealer.fresh().encrypt(values.slice(at, size), AAD) for at in range(0, ROWS, size)]
        order = pa.array(sorted(range(ROWS), key=lambda row: row * 7919 % 20_011))
        column = pa.concat_arrays(parts).take(order)
        warm = Opener(private)
        warm.decrypt(column, AAD)
        cold, again = best(
            [
                (lambda: Opener(private).decrypt(column, AAD), 3),  # noqa: B023
                (lambda: warm.decrypt(column, AAD), 3),  # noqa: B023
            ],
            ROWS,
        )
        print(f"| {count} | {cold:.0f} | {again:.0f} |", flush=True)


def pairs() -> None:
    """What a data key costs, once a task to seal and once a reader to open."""
    print("\n| key pair | bytes a row | seal a data key, us | open one, us |")
    print("| --- | ---: | ---: | ---: |")
    for kind in KINDS:
        private, public = generate_pair(kind)
        sealer = Sealer(public)
        opener = Opener(private)
        sealed = sealer.fresh().encrypt(pa.array([b""]), AAD)
        key = sealed[0]["key"].as_py()
        unwrap = opener._keys._cached.__wrapped__  # noqa: SLF001
        fresh, uncached = best([(sealer.fresh, 30), (partial(unwrap, key), 30)], 1)
        size = len(key)
        print(f"| {kind} | {size} | {fresh / 1000:.0f} | {uncached / 1000:.0f} |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="only the table that has the bar")
    quick = parser.parse_args().quick
    ratio = kernels()
    if not quick:
        mixtures()
        pairs()
    print(f"\nsealing 11 bytes: {ratio:.2f}x AesGcm.encrypt (bar {BAR}x)")
    return 0 if ratio <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
