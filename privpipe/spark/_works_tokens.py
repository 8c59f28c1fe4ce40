"""Format-preserving tokens: FF1 under a key of its own, the context and the row in the tweak."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from privpipe.errors import InvalidValue
from privpipe.kernels import Tokens
from privpipe.keys import open_ref
from privpipe.policy import Span, Tokenize, characters
from privpipe.spark._opened import Pick, by_group
from privpipe.spark._task import LeafTask, Row

__all__ = ["detokenize", "tokenize", "valid"]

_INFO = b"pp1:ff1"


def tokenize(task: LeafTask, leaf: pa.Array, row: Row) -> pa.Array:
    """The token of each value; InvalidValue where one is none of the format's."""
    invalid = int((~valid(task, leaf)).sum())
    if invalid:
        raise InvalidValue(
            f"{invalid} value(s) are not of the stated alphabet and length",
            hint="mend them in the source, or let `on_invalid: quarantine` set their rows aside",
        )
    tweaks, loose = _tweaks(task, leaf, row)
    if loose.any():
        raise InvalidValue(
            f"{loose.sum()} value(s) stand beside none in the tweak column",
            hint="mend them in the source, or leave `tweak:` out of the policy",
        )
    return _tokens(task, task.key_id).encrypt(leaf, tweaks=tweaks)


def detokenize(task: LeafTask, leaf: pa.Array, row: Row) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """The values; a token says nothing of having been altered, only of being none at all, and of
    having a key id that is none of its keyset's."""
    tweaks, loose = _tweaks(task, leaf, row)
    sound = _form(task, bytes(32)).valid(leaf) & ~loose
    if task.ids is not None:
        sound &= _known(task, row.beside[task.ids]) | leaf.is_null().to_numpy(zero_copy_only=False)
    if not sound.all():
        leaf = pa.compute.if_else(pa.array(sound), leaf, pa.scalar(None, leaf.type))
    if task.ids is None:
        return _opened(task, task.key_id, leaf, tweaks), sound
    held = pa.compute.if_else(leaf.is_valid(), row.beside[task.ids], pa.scalar(None, pa.int64()))

    def of_one_key(key_id: int, pick: Pick) -> pa.Array:
        return _opened(task, key_id, pick(leaf), None if tweaks is None else pick(tweaks))

    return by_group(held.dictionary_encode(), of_one_key), sound


def _opened(
    task: LeafTask, key_id: int | None, tokens: pa.Array, tweaks: pa.Array | None
) -> pa.Array:
    return _tokens(task, key_id).decrypt(tokens, tweaks=tweaks).cast(pa.binary())


def _known(task: LeafTask, ids: pa.Array) -> npt.NDArray[np.bool_]:
    """Which of the ids are of a key that the keyset has; null is none."""
    there = pa.array(open_ref(task.ref).key_ids, pa.int64())
    found: npt.NDArray[np.bool_] = pa.compute.is_in(ids, value_set=there).to_numpy(
        zero_copy_only=False
    )
    return found


def valid(task: LeafTask, leaf: pa.Array) -> npt.NDArray[np.bool_]:
    """Which values the format takes; null is one. It depends on nothing but the value."""
    settings = task.told(Tokenize)
    sound = _form(task, bytes(32)).valid(leaf)
    span = settings.length
    if span is not None:
        bounds = span if isinstance(span, Span) else Span(min=span, max=span)
        lengths = _counted(leaf, settings.keep)
        fits = (lengths >= bounds.min) & (lengths <= bounds.max)
        sound &= fits | leaf.is_null().to_numpy(zero_copy_only=False)
    found: npt.NDArray[np.bool_] = sound
    return found


def _counted(leaf: pa.Array, keep: str) -> npt.NDArray[np.int64]:
    """The characters of each value that are data; 0 for null."""
    counts = pa.compute.utf8_length(leaf).cast(pa.int64()).fill_null(0)
    for character in keep:
        kept = pa.compute.count_substring(leaf, character).cast(pa.int64()).fill_null(0)
        counts = pa.compute.subtract(counts, kept)
    found: npt.NDArray[np.int64] = counts.to_numpy(zero_copy_only=False)
    return found


def _tokens(task: LeafTask, key_id: int | None) -> Tokens:
    """The kernel, its key derived for FF1 alone, from the primary one unless an id is given."""
    return open_ref(task.ref).derived(
        _INFO,
        32,
        (task.settings, task.context),
        lambda key: _form(task, key),
        key_id=key_id,
    )


def _form(task: LeafTask, key: bytes) -> Tokens:
    settings = task.told(Tokenize)
    return Tokens(
        key,
        alphabet=characters(settings.alphabet),
        keep=settings.keep,
        first=settings.preserve.first,
        last=settings.preserve.last,
        luhn=settings.luhn,
        tweak=len(task.context).to_bytes(4, "big") + task.context,
    )


def _tweaks(
    task: LeafTask, leaf: pa.Array, row: Row
) -> tuple[pa.Array | None, npt.NDArray[np.bool_]]:
    """The tweak column's value beside each, its length before it; and the mask of the values that
    stand beside none."""
    if not task.beside:
        return None, np.zeros(len(leaf), dtype=np.bool_)
    tweaks = row.at_leaf(task.beside[0]).cast(pa.binary())
    loose = pa.compute.and_(tweaks.is_null(), leaf.is_valid()).to_numpy(zero_copy_only=False)
    tweaks = tweaks.fill_null(b"")
    lengths = pa.compute.binary_length(tweaks).to_numpy().astype(">u4")
    return pa.compute.binary_join_element_wise(_fours(lengths), tweaks, b""), loose


def _fours(lengths: npt.NDArray[np.uint32]) -> pa.Array:
    data = pa.py_buffer(lengths.tobytes())
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(4), len(lengths), [None, data]).cast(
        pa.binary()
    )
