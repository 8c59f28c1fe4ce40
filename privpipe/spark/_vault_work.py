"""What a vault's keys do, on an executor: the Arrow UDFs, and the interface that they call.

A closure holds callables that open their keys in the executor's own process, and no key.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import pyarrow as pa
from pyspark.sql.pandas.functions import arrow_udf
from pyspark.sql.types import (
    BinaryType,
    DataType,
    StringType,
    StructField,
    StructType,
)

from privpipe.spark._lips import sealed_lips

__all__ = ["VaultWork", "draw_udf", "fingerprint_udf", "open_udf", "prepare_udf"]

Udf = Any

_ENTRY = StructType([StructField("fingerprint", BinaryType()), StructField("value", BinaryType())])


class VaultWork(Protocol):
    """The keyed steps of one vault. Each can be pickled, keeps nulls, and holds no open key."""

    @property
    def fingerprint(self) -> Callable[[pa.Array], pa.Array]:
        """Values to their fingerprints: deterministic, one way, never empty."""

    @property
    def seal(self) -> Callable[[pa.Array], pa.Array]:
        """Values to ciphertexts, under random nonces."""

    @property
    def open(self) -> Callable[[pa.Array], pa.Array]:
        """The inverse of `seal`; DecryptionError where one does not authenticate."""

    @property
    def draw(self) -> Callable[[pa.Array], pa.Array]:
        """Numbers (int64) to tokens: a permutation."""


def fingerprint_udf(work: VaultWork, column: str) -> Udf:
    """The fingerprints of a column of values."""
    return _udf(work.fingerprint, pa.binary(), BinaryType(), column)


def prepare_udf(work: VaultWork, column: str) -> Udf:
    """`struct<fingerprint, value>`, the value sealed: so no shuffle behind it holds plaintext."""
    fingerprint, seal = work.fingerprint, work.seal

    def prepare(values: pa.Array) -> pa.Array:
        with sealed_lips(column):
            parts = [fingerprint(values).cast(pa.binary()), seal(values).cast(pa.binary())]
            return pa.StructArray.from_arrays(parts, names=["fingerprint", "value"])

    return arrow_udf(prepare, _ENTRY).asNondeterministic()  # type: ignore[call-overload]


def draw_udf(work: VaultWork, column: str) -> Udf:
    """The tokens of a column of numbers."""
    return _udf(work.draw, pa.string(), StringType(), column)


def open_udf(work: VaultWork, column: str, returns: DataType) -> Udf:
    """The values of a column of ciphertexts."""
    return _udf(work.open, None, returns, column)


def _udf(
    step: Callable[[pa.Array], pa.Array], kind: pa.DataType | None, returns: DataType, column: str
) -> Udf:
    def stepped(values: pa.Array) -> pa.Array:
        with sealed_lips(column):
            found = step(values)
            return found if kind is None else found.cast(kind)

    return arrow_udf(stepped, returns)  # type: ignore[call-overload]
