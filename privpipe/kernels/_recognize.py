"""What the values of a column seem to be, told from their first bytes and lengths, with no key."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from privpipe.arrow import build
from privpipe.kernels._base64 import decode_rows, flatten
from privpipe.kernels._column import take_in
from privpipe.kernels._envelopes import DLP, VAULT
from privpipe.kernels._pack import Ints, Mask, Slices, windows

__all__ = ["KINDS", "Recognized", "classify", "recognize"]

KINDS = ("plain", "tink", "tink base64", "fernet", "k2", "dlp surrogate", "vault transit")
"""The codes that `classify` gives are places in this"""

_PLAIN, _TINK, _TINK_TEXT, _FERNET, _K2, _DLP, _VAULT = range(7)
_SHORTEST = 21
"""Tink's prefix and the synthetic IV of nothing"""
_K2_HEADS = [b"azIw" + serde + cipher for serde in (b"MD", b"MT") for cipher in
             (b"Ay", b"Az", b"A0", b"A1", b"A2")]  # fmt: skip
"""base64 of the first six bytes: serdes 00 and 01, algorithms 02 to 06"""
_MOST = 16
_LONGEST_HEAD = 80
"""An info type of 64 characters, and a length of 9, in their marks"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognized:
    """So many values of a kind (one of `KINDS`).

    `key_ids` are Tink's, the most frequent first and 16 at most, of `distinct_keys` in all. A
    column of Tink's ciphertexts has few; one with as many as values is something else.
    """

    kind: str
    count: int
    key_ids: tuple[int, ...]
    distinct_keys: int


def classify(values: pa.Array) -> pa.Array:
    """The code of what each value seems to be, a place in `KINDS`.

    That proves nothing, for any value may begin with the same bytes, and only a key can tell. First
    bytes and lengths are looked at, nothing else, and no message ever holds them.

    Input: a string, binary, large, view, fixed-size binary or dictionary array.
    Output: uint8 of the same length: 0 plain, or nothing known; 1 Tink's prefix (`01` and a key
        id); 2 base64 of that; 3 Fernet; 4 Kryptonite k2; 5 a DLP surrogate; 6 Vault transit.
    Nulls: stay null.
    Associated data: none.
    Reveals: nothing: it needs no key.
    Limits: RAW ciphertexts have no mark, and pass for plain.
    Raises: SchemaError for an array of another type.
    Source: the formats' own; `parse_k2`, `parse_dlp`, `parse_vault` and `Fernet` read them.

    >>> import pyarrow as pa
    >>> classify(pa.array(["Ada", None, "vault:v1:" + "A" * 40])).to_pylist()
    [0, None, 6]
    """
    column = take_in(values, b"")
    codes = np.zeros(column.count, dtype=np.uint8)
    codes[slice(None) if column.valid is None else column.valid] = _codes(column.rows)
    return pa.array(codes, mask=None if column.valid is None else ~column.valid)


def recognize(values: pa.Array) -> tuple[Recognized, ...]:
    """The kinds in a column, or a sample of it, the most frequent first.

    Input: as `classify`.
    Output: a `Recognized` for each kind that occurs.
    Nulls: are not counted.
    Associated data: none.
    Reveals: nothing: it needs no key.
    Limits: as `classify`.
    Raises: SchemaError for an array of another type.
    Source: as `classify`.

    >>> import pyarrow as pa
    >>> sealed = pa.array([bytes.fromhex("0100000007") + bytes(28)] * 2)
    >>> [(found.kind, found.count, found.key_ids) for found in recognize(sealed)]
    [('tink', 2, (7,))]
    """
    rows = take_in(values, b"").rows
    codes = _codes(rows)
    found = []
    for code in np.flatnonzero(np.bincount(codes, minlength=len(KINDS))).tolist():
        own = rows.only(codes == code)
        ids, counts = np.unique(_key_ids(own, code), return_counts=True)
        order = np.argsort(-counts, kind="stable")[:_MOST]
        found.append(
            Recognized(
                kind=KINDS[code],
                count=len(own),
                key_ids=tuple(ids[order].tolist()),
                distinct_keys=len(ids),
            )
        )
    return tuple(sorted(found, key=lambda each: -each.count))


def _codes(rows: Slices) -> npt.NDArray[np.uint8]:
    codes = np.full(len(rows), _PLAIN, dtype=np.uint8)
    if len(rows) == 0:
        return codes
    lengths = rows.lengths
    # Windows reach beyond a short value: every mark is longer than what its length lets through.
    head = windows(rows.data, 8)[rows.starts]
    first = head.view(np.uint8).reshape(-1, 8)
    whole = lengths % 4 == 0
    codes[(first[:, 0] == 1) & (lengths >= _SHORTEST)] = _TINK
    text = whole & (lengths >= 28) & (first[:, 0] == ord("A"))
    # 28 characters with a `=` are 20 bytes.
    ending = np.where(lengths == 28, rows.starts + 27, rows.starts)
    text &= rows.data[ending] != ord("=")
    codes[text & _is_base64(rows, text)] = _TINK_TEXT
    fernet = (first[:, :6] == np.frombuffer(b"gAAAAA", dtype=np.uint8)).all(axis=1)
    codes[fernet & whole & (lengths >= 100)] = _FERNET
    words = np.frombuffer(b"".join(_K2_HEADS), dtype=np.uint64)
    codes[np.isin(head.view(np.uint64), words) & whole & (lengths >= 32)] = _K2
    vault = (first[:, :6] == np.frombuffer(b"vault:", dtype=np.uint8)).all(axis=1)
    codes[_matches(rows, np.flatnonzero(vault & (lengths >= 12)), VAULT)] = _VAULT
    codes[_matches(rows, np.flatnonzero((codes == _PLAIN) & (lengths >= 5)), DLP)] = _DLP
    return codes


def _is_base64(rows: Slices, among: Mask) -> Mask:
    """Whether the first 24 characters are base64 of something that begins with the byte 01."""
    found = np.zeros(len(rows), dtype=np.bool_)
    starts = rows.starts[among]
    part = Slices(data=rows.data, starts=starts, lengths=np.full(len(starts), 24))
    decoded = decode_rows(part, urlsafe=False)
    found[among] = (
        decoded.sound & (decoded.rows.lengths == 18) & (decoded.rows.data[decoded.rows.starts] == 1)
    )
    return found


def _matches(rows: Slices, chosen: Ints, pattern: str) -> Ints:
    """Those of the chosen rows that begin so; where a length stands there, it must be right."""
    own = rows.only(chosen)
    lengths = np.minimum(own.lengths, _LONGEST_HEAD)
    heads = Slices(data=own.data, starts=own.starts, lengths=lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    found = pc.extract_regex(build(flatten(heads), offsets, None), pattern)
    chosen, found = chosen[found.is_valid().to_numpy(zero_copy_only=False)], found.drop_null()
    if pattern == VAULT or len(found) == 0:
        return chosen
    kinds, sizes = (pc.struct_field(found, name) for name in ("kind", "size"))
    lead = pc.add(pc.binary_length(kinds), pc.binary_length(sizes)).to_numpy() + 3
    said = sizes.cast(pa.string()).cast(pa.int64()).to_numpy()
    fitting: Ints = chosen[rows.lengths[chosen] == lead + said]
    return fitting


def _key_ids(rows: Slices, code: int) -> Ints:
    """The key ids of Tink's prefixes; none for other kinds."""
    if code == _TINK:
        data, starts = rows.data, rows.starts
    elif code == _TINK_TEXT:
        heads = Slices(data=rows.data, starts=rows.starts, lengths=np.full(len(rows), 8))
        decoded = decode_rows(heads, urlsafe=False).rows
        data, starts = decoded.data, decoded.starts
    else:
        return np.empty(0, dtype=np.int64)
    return windows(data, 4)[starts + 1].view(">u4").astype(np.int64)
