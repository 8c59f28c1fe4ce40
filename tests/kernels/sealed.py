"""A pair of keys, rows sealed under it, and what opens of a column: for the tests of sealing."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from privpipe.errors import DecryptionError
from privpipe.kernels import Opener, Sealer
from privpipe.kernels._pem import generate_pair

AAD = b"pp1:c:clinic.patients/surname:string"
KIND = pa.struct([("key", pa.binary()), ("ct", pa.binary())])
PAIRS = {kind: generate_pair(kind) for kind in ("x25519", "rsa2048")}
SIZES = {"x25519": 80, "rsa2048": 256}
PRIVATE, PUBLIC = PAIRS["x25519"]
SEALER, OPENER = Sealer(PUBLIC), Opener(PRIVATE)

Rows = list[dict[str, bytes | None] | None]


def mixed(count: int, longest: int = 40, seed: int = 1) -> list[bytes | None]:
    draw = random.Random(seed)
    return [
        None if draw.random() < 0.1 else draw.randbytes(draw.randint(0, longest))
        for _ in range(count)
    ]


def sealed_rows(values: list[bytes | None], aad: Any = AAD) -> Rows:
    rows: Rows = SEALER.fresh().encrypt(pa.array(values, pa.binary()), aad).to_pylist()
    return rows


def opened(rows: Rows, aad: Any = AAD, opener: Opener = OPENER) -> list[bytes | None]:
    """The plaintexts, null where a row fails; both ways of opening must agree."""
    column = pa.array(rows, KIND)
    plain, mask = opener.open_each(column, aad)
    plain.validate(full=True)
    assert plain.type == pa.binary()
    assert mask.dtype == np.bool_
    assert plain.is_valid().to_pylist() == [
        bool(ok) and row is not None for ok, row in zip(mask, rows, strict=True)
    ]
    if mask.all():
        assert opener.decrypt(column, aad).equals(plain)
    else:
        with pytest.raises(DecryptionError):
            opener.decrypt(column, aad)
    found: list[bytes | None] = plain.to_pylist()
    return found


def flip(data: bytes, place: int, bit: int = 0) -> bytes:
    other = bytearray(data)
    other[place] ^= 1 << bit
    return bytes(other)


def with_(row: Any, **changes: bytes | None) -> dict[str, bytes | None]:
    return {**row, **changes}
