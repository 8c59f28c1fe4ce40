"""What a vault's keys do, on an executor: the Arrow UDFs, and the interface that they call.

A closure holds callables that open their keys in the executor's own process, and no key.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql.pandas.functions import arrow_udf
from pyspark.sql.types import (
    BinaryType,
    BooleanType,
    DataType,
    StringType,
    StructField,
    StructType,
)

from privpipe.arrow import cells
from privpipe.errors import DecryptionError
from privpipe.spark._lips import sealed_lips

__all__ = [
    "Mask",
    "VaultWork",
    "checked_udf",
    "draw_udf",
    "fingerprint_udf",
    "open_udf",
    "prepare_udf",
]

Mask: TypeAlias = npt.NDArray[np.bool_]

Udf = Any

_ENTRY = StructType([StructField("fingerprint", BinaryType()), StructField("value", BinaryType())])
_DRAWN = StructType([StructField("token", StringType()), StructField("link", BinaryType())])
_TAG = 16  # bytes of a link


class VaultWork(Protocol):
    """The keyed steps of one vault. Each can be pickled, keeps nulls, and holds no open key."""

    @property
    def fingerprint(self) -> Callable[[pa.Array], pa.Array]:
        """Values to their fingerprints: deterministic, one way, never empty."""

    @property
    def seal(self) -> Callable[[pa.Array, pa.Array], pa.Array]:
        """Values, with their fingerprints, to ciphertexts under random nonces."""

    @property
    def open_each(self) -> Callable[[pa.Array, pa.Array], tuple[pa.Array, Mask]]:
        """Ciphertexts, with fingerprints, to values, null where one does not authenticate; and a
        mask that is False there."""

    @property
    def draw(self) -> Callable[[pa.Array, bytes], pa.Array]:
        """Numbers (int64) to tokens: a permutation, and where the format is vast another one for
        each epoch."""

    @property
    def link(self) -> Callable[[pa.Array, pa.Array], pa.Array]:
        """Fingerprints, with their tokens, to tags of 16 bytes that bind the two."""


def fingerprint_udf(work: VaultWork, column: str) -> Udf:
    """The fingerprints of a column of values."""
    fingerprint = work.fingerprint

    def marked(values: pa.Array) -> pa.Array:
        with sealed_lips(column):
            return fingerprint(values).cast(pa.binary())

    return arrow_udf(marked, BinaryType())  # type: ignore[call-overload]


def prepare_udf(work: VaultWork, column: str) -> Udf:
    """`struct<fingerprint, value>`, the value sealed: so no shuffle behind it holds plaintext."""
    fingerprint, seal = work.fingerprint, work.seal

    def prepare(values: pa.Array) -> pa.Array:
        with sealed_lips(column):
            marks = fingerprint(values).cast(pa.binary())
            parts = [marks, seal(values, marks).cast(pa.binary())]
            return pa.StructArray.from_arrays(parts, names=["fingerprint", "value"])

    return arrow_udf(prepare, _ENTRY).asNondeterministic()  # type: ignore[call-overload]


def draw_udf(work: VaultWork, column: str, epoch: bytes) -> Udf:
    """`struct<token, link>` of a number and the fingerprint whose entry has it."""
    draw, link = work.draw, work.link

    def drawn(numbers: pa.Array, fingerprints: pa.Array) -> pa.Array:
        with sealed_lips(column):
            tokens = draw(numbers, epoch).cast(pa.string())
            parts = [tokens, link(fingerprints, tokens).cast(pa.binary())]
            return pa.StructArray.from_arrays(parts, names=["token", "link"])

    return arrow_udf(drawn, _DRAWN)  # type: ignore[call-overload]


def checked_udf(work: VaultWork, column: str) -> Udf:
    """The token of a fingerprint, a token and a link; DecryptionError where it is another's."""
    link = work.link

    def checked(fingerprints: pa.Array, tokens: pa.Array, links: pa.Array) -> pa.Array:
        with sealed_lips(column):
            _refuse_damage(_linked(link, fingerprints, tokens, links))
            return tokens.cast(pa.string())

    return arrow_udf(checked, StringType())  # type: ignore[call-overload]


def open_udf(work: VaultWork, column: str, returns: DataType, *, strict: bool) -> Udf:
    """`struct<value, lost>` of a token and its entry's fingerprint, value and link.

    `lost` where a token has no value, or one that does not authenticate; where `strict`, the latter
    is a DecryptionError instead.
    """
    open_each, link = work.open_each, work.link

    def opened(
        tokens: pa.Array, fingerprints: pa.Array, values: pa.Array, links: pa.Array
    ) -> pa.Array:
        with sealed_lips(column):
            linked = _linked(link, fingerprints, tokens, links) | ~_held(values)
            # What the token has no right to is not opened at all.
            own = values if linked.all() else pc.if_else(pa.array(linked), values, None)
            plain, sound = open_each(own, fingerprints)
            if strict:
                _refuse_damage(linked & sound)
            lost = pa.array(_held(tokens) & ~(_held(own) & sound))
            return pa.StructArray.from_arrays([plain, lost], names=["value", "lost"])

    shape = [StructField("value", returns), StructField("lost", BooleanType(), nullable=False)]
    return arrow_udf(opened, StructType(shape))  # type: ignore[call-overload]


def _refuse_damage(sound: Mask) -> None:
    if not sound.all():
        raise DecryptionError(
            "an entry of the vault does not authenticate: altered, or put in another's place",
            hint="someone changed the vault's table; its history says when",
        )


def _linked(
    link: Callable[[pa.Array, pa.Array], pa.Array],
    fingerprints: pa.Array,
    tokens: pa.Array,
    links: pa.Array,
) -> Mask:
    """Where token and fingerprint belong together, or there is no token."""
    wanted = link(fingerprints, tokens).cast(pa.binary())
    # Every byte of every tag is looked at, wherever the first difference is.
    differ = _rows(wanted) ^ _rows(links)
    linked: Mask = (differ.max(axis=1) == 0) | ~_held(tokens)
    return linked


def _rows(tags: pa.Array) -> npt.NDArray[np.uint8]:
    """Tags as a matrix; what is none, is zeros."""
    fits = pc.fill_null(pc.equal(pc.binary_length(tags), _TAG), fill_value=False)
    found = cells(pc.if_else(fits, tags, pa.scalar(bytes(_TAG), tags.type)))
    first = int(found.starts[0]) if len(found) else 0
    return found.data[first : first + len(found) * _TAG].reshape(-1, _TAG)


def _held(array: pa.Array) -> Mask:
    held: Mask = pc.is_valid(array).to_numpy(zero_copy_only=False)
    return held
