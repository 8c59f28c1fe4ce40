"""The Fernet kernel beside a loop over the library's Fernet, both ways.

    python benchmarks/fernet.py [--quick]

Prints a table over lengths, and exits with 1 where the kernel is less than 4 times as fast as the
loop at 11 bytes, one way or the other. Times are those of one thread on a processor, best of
several, the two taking turns. The loop does the same work: from one Arrow array to another.

HMAC-SHA256 bounds the kernel: it is computed for one value after the other, and `tags` is what that
costs. The rest, AES and base64, is done for the column at once.
"""

from __future__ import annotations

import argparse
import base64
import os
import sys

import numpy as np
import pyarrow as pa
from cryptography.fernet import Fernet as Library
from kernels import best

from privpipe.kernels import Fernet
from privpipe.kernels._pack import Slices
from privpipe.kernels._token import TokenKeys

NOW = 1_700_000_000
ROWS = 20_000
SIZES = [0, 1, 8, 11, 15, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024]
BAR = 4.0


def measure(size: int) -> list[float]:
    """Kernel and loop encrypting, kernel and loop decrypting, and the tags alone: ns a value."""
    key = os.urandom(32)
    kernel, library = Fernet(key), Library(base64.urlsafe_b64encode(key))
    rows = ROWS if size <= 128 else ROWS // 4
    values = pa.array([os.urandom(size) for _ in range(rows)], pa.binary())
    tokens = kernel.encrypt(values, now=NOW)

    def encrypt() -> pa.Array:
        made = [library.encrypt_at_time(value, NOW) for value in values.to_pylist()]
        return pa.array(made, pa.binary()).cast(pa.string())

    def decrypt() -> pa.Array:
        return pa.array([library.decrypt(token) for token in tokens.to_pylist()], pa.binary())

    assert decrypt().equals(values)
    assert kernel.decrypt(encrypt(), now=NOW).equals(values)
    signed = 25 + 16 * (size // 16 + 1)
    body = Slices(
        data=np.frombuffer(os.urandom(signed * rows), dtype=np.uint8),
        starts=signed * np.arange(rows),
        lengths=np.full(rows, signed),
    )
    keys = TokenKeys(key)
    return best(
        [
            (lambda: kernel.encrypt(values, now=NOW), 12),
            (encrypt, 3),
            (lambda: kernel.decrypt(tokens, now=NOW), 12),
            (decrypt, 3),
            (lambda: keys.tags(body), 6),
        ],
        rows,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="only the length that the bar names")
    sizes = [11] if parser.parse_args().quick else SIZES
    print("### Fernet, ns a value\n")
    print("| bytes | encrypt | loop | loop / encrypt | decrypt | loop | loop / decrypt | tags |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    least = 0.0
    for size in sizes:
        encrypt, one_way, decrypt, back, tags = measure(size)
        print(
            f"| {size} | {encrypt:.0f} | {one_way:.0f} | {one_way / encrypt:.1f}x "
            f"| {decrypt:.0f} | {back:.0f} | {back / decrypt:.1f}x | {tags:.0f} |",
            flush=True,
        )
        if size == 11:
            least = min(one_way / encrypt, back / decrypt)
    print(f"\nFernet, 11 bytes: {least:.1f}x the loop at least (bar {BAR:.0f}x)")
    return 1 if least < BAR else 0


if __name__ == "__main__":
    sys.exit(main())
