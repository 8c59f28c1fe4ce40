"""Fields that Kryptonite for Kafka encrypted, format `k2`, taken apart: to read, never to write."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from privpipe.arrow import build
from privpipe.errors import InvalidValue
from privpipe.kernels._base64 import decode_rows, flatten
from privpipe.kernels._column import Column, take_in
from privpipe.kernels._pack import Bytes, Slices, windows

__all__ = ["K2", "parse_k2"]

_INSPECT = "`privpipe inspect` says what a column seems to hold"
_HEAD = 7
_SHORTEST = 16
"""The tag of a ciphertext without a prefix, of nothing"""

_OTHERS = {
    b"04": "format-preserving encryption (FF3-1)",
    b"05": "AES-GCM under a data key that a keyset wraps",
    b"06": "AES-GCM under a data key that a KMS wraps",
}
_CIPHERS = {b"02": "AES-GCM", b"03": "AES-SIV"}


@dataclass(frozen=True, slots=True, kw_only=True)
class K2:
    """A column of k2 fields: what Tink opens, and under which names.

    `ciphertexts` are Tink's, prefix included. `key_ids` (dictionary of strings) name Kryptonite's
    keysets, a row each; `algorithms` (dictionary of strings) are `AES-GCM` or `AES-SIV`. `aad` is
    one for all rows where all are of one keyset and algorithm, else one a row.
    """

    ciphertexts: pa.Array
    key_ids: pa.Array
    algorithms: pa.Array
    aad: bytes | pa.Array


def parse_k2(values: pa.Array) -> K2:
    """Take k2 fields apart, serialised by Avro; `read_avro` reads what they open to.

    Input: a string, binary, large, view, fixed-size binary or dictionary array of base64 of
        `"k2" ‖ serde 2 ‖ algorithm 2 ‖ length u8 ‖ key id ‖ Tink ciphertext`.
    Output: `K2`, its arrays of the same length.
    Nulls: stay null, in all of them.
    Associated data: given back: `"k2"`, algorithm and key id, as Kryptonite authenticates them. The
        serde is not authenticated.
    Reveals: nothing that the field does not show: which keyset, and the length of the value with
        its schema.
    Limits: algorithms `02` (AES-GCM) and `03` (AES-SIV, which Kryptonite calls `AES_GCM_SIV`) with
        serde `01` (Avro). `00` is Kryo, an encoding of the JVM's own classes, as is the whole of
        the older format k1: these cannot be read here.
    Raises: InvalidValue where a value is no k2 field, or of another serde or algorithm; SchemaError
        for an array of another type.
    Source: hpgrahsl/kryptonite-for-kafka, `FieldHandler` and `PayloadMetaData`.

    >>> import base64, pyarrow as pa
    >>> field = base64.b64encode(b"k20102" + b"\\x04keyA" + bytes(33))
    >>> parsed = parse_k2(pa.array([field, None]))
    >>> parsed.ciphertexts.to_pylist() == [bytes(33), None], parsed.aad
    (True, b'k202keyA')
    """
    column = take_in(values, b"")
    decoded = decode_rows(column.rows, urlsafe=False)
    if not decoded.sound.all():
        raise InvalidValue(
            "a value is no k2 field: not base64, in its one canonical form", hint=_INSPECT
        )
    rows = decoded.rows
    heads = _heads(rows)
    sizes = heads[:, 6].astype(np.int64)
    if (rows.lengths < _HEAD + sizes + _SHORTEST).any():
        raise InvalidValue("a k2 field is shorter than its head says: it may be cut off")
    names = Slices(data=rows.data, starts=rows.starts + _HEAD, lengths=sizes)
    sealed = Slices(
        data=rows.data,
        starts=rows.starts + _HEAD + sizes,
        lengths=rows.lengths - _HEAD - sizes,
    )
    key_ids = _text(_array(names, column))
    codes = _array(_fixed(heads[:, 4:6]), column).cast(pa.string())
    return K2(
        ciphertexts=_array(sealed, column),
        key_ids=key_ids,
        algorithms=_named(codes.dictionary_encode()),
        aad=_aad(codes, key_ids),
    )


def _heads(rows: Slices) -> Bytes:
    """The first seven bytes of each, (n, 7), if they are of a field that can be read."""
    if (rows.lengths < _HEAD).any():
        raise InvalidValue("a value is no k2 field: too short", hint=_INSPECT)
    heads = windows(rows.data, _HEAD)[rows.starts].view(np.uint8).reshape(-1, _HEAD)
    if (heads[:, :2] != np.frombuffer(b"k2", dtype=np.uint8)).any():
        raise InvalidValue(
            "a value is no k2 field",
            hint="Kryptonite's older format k1 is Kryo's: have it written again as k2, with Avro",
        )
    for serde in _distinct(heads[:, 2:4]):
        if serde == b"00":
            raise InvalidValue(
                "a k2 field was serialised by Kryo, which only the JVM reads",
                hint="have it written with `serde_type: AVRO`",
            )
        if serde != b"01":
            raise InvalidValue("a k2 field names an unknown serde")
    for algorithm in _distinct(heads[:, 4:6]):
        if algorithm in _OTHERS:
            raise InvalidValue(f"a k2 field is of {_OTHERS[algorithm]}, which is not read here")
        if algorithm not in _CIPHERS:
            raise InvalidValue("a k2 field names an unknown algorithm")
    return heads


def _distinct(pairs: Bytes) -> list[bytes]:
    found = np.unique(np.ascontiguousarray(pairs).view(np.uint16))
    return [pair.tobytes() for pair in found]


def _fixed(pairs: Bytes) -> Slices:
    data = np.concatenate([np.ascontiguousarray(pairs).reshape(-1), np.zeros(16, dtype=np.uint8)])
    starts = 2 * np.arange(len(pairs), dtype=np.int64)
    return Slices(data=data, starts=starts, lengths=np.full_like(starts, 2))


def _array(rows: Slices, column: Column) -> pa.Array:
    return build(flatten(rows), column.offsets(rows.lengths), column.valid)


def _text(names: pa.Array) -> pa.Array:
    try:
        return names.cast(pa.string()).dictionary_encode()
    except pa.ArrowInvalid:
        raise InvalidValue("a k2 field's key id is not UTF-8") from None


def _named(codes: pa.DictionaryArray) -> pa.Array:
    words = [_CIPHERS[word.encode()] for word in codes.dictionary.to_pylist()]
    return pa.DictionaryArray.from_arrays(codes.indices, pa.array(words, pa.string()))


def _aad(codes: pa.Array, key_ids: pa.DictionaryArray) -> bytes | pa.Array:
    names, ciphers = key_ids.dictionary.to_pylist(), codes.unique().drop_null().to_pylist()
    if len(names) == 0:
        return b""
    if len(names) == len(ciphers) == 1:
        return f"k2{ciphers[0]}{names[0]}".encode()
    joined = pc.binary_join_element_wise("k2", codes, key_ids.cast(pa.string()), "")
    return joined.cast(pa.binary())
