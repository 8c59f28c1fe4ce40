"""Fernet tokens, and columns that are sealed under a public key."""

from __future__ import annotations

import os
import threading
import time
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark import TaskContext

from privpipe import arrow
from privpipe.errors import KeysetNotFound
from privpipe.kernels import Fernet, SealedKey, Sealer
from privpipe.keys import IMPORTED, open_fernet_ref, open_ref
from privpipe.policy import Fernet as FernetSettings
from privpipe.spark._task import LeafTask, Row

__all__ = ["fernet", "open_fernet", "open_sealed", "seal"]

Mask: TypeAlias = npt.NDArray[np.bool_]

_INFO = b"pp1:fernet"


def fernet(task: LeafTask, leaf: pa.Array, row: Row) -> pa.Array:
    """A token for each value, with this moment's time in it."""
    del row
    return _fernet(task).encrypt(arrow.encode(leaf), now=int(time.time()))


def open_fernet(task: LeafTask, leaf: pa.Array, row: Row) -> tuple[pa.Array, Mask]:
    """The values of the tokens that are authentic and not too old."""
    del row
    now, ttl = int(time.time()), task.told(FernetSettings).ttl
    values, sound = _fernet(task).open_each(leaf, now=now, ttl=ttl)
    for key_id in _earlier(task):
        if sound.all():
            break
        # A token does not say which key made it: what one does not open is tried under the next.
        shut = ~sound
        rest, opened = _fernet(task, key_id).open_each(
            leaf.filter(pa.array(shut)), now=now, ttl=ttl
        )
        values = pa.compute.replace_with_mask(values, pa.array(shut), rest.cast(values.type))
        sound[shut] = opened
    return values, sound


def _earlier(task: LeafTask) -> tuple[int, ...]:
    """The other keys of its keyset, the newest first."""
    if task.ref.primitive in IMPORTED:
        return ()
    keyset = open_ref(task.ref)
    return tuple(key_id for key_id in reversed(keyset.key_ids) if key_id != keyset.key_id)


def _fernet(task: LeafTask, key_id: int | None = None) -> Fernet:
    if task.ref.primitive in IMPORTED:
        return open_fernet_ref(task.ref)
    return open_ref(task.ref).derived(_INFO, 32, "fernet", Fernet, key_id=key_id)


_fresh = threading.Lock()
_drawn: dict[str, tuple[object, SealedKey]] = {}
# A worker is forked from a daemon, and two of them must not go on with one data key's nonces.
os.register_at_fork(after_in_child=_drawn.clear)


def seal(task: LeafTask, leaf: pa.Array, row: Row) -> pa.Array:
    """Values under the data key of this task's attempt, which only the private key opens."""
    del row
    return _data_key(task.text or "", len(leaf)).encrypt(arrow.encode(leaf), task.context)


def _data_key(public: str, count: int) -> SealedKey:
    """The data key of this attempt: a worker is used for more than one."""
    context = TaskContext.get()
    attempt = None if context is None else (context.stageId(), context.taskAttemptId())
    with _fresh:
        known = _drawn.get(public)
        if known is None or known[0] != attempt or known[1].remaining < count:
            known = _drawn[public] = (attempt, Sealer(public.encode()).fresh())
        return known[1]


def open_sealed(task: LeafTask, leaf: pa.Array, row: Row) -> tuple[pa.Array, Mask]:
    """The values that the private key opens."""
    del row
    if task.opener is None:
        raise KeysetNotFound(
            "a sealed column opens with its private key alone",
            hint="name its file: --opener private.pem",
        )
    return task.opener.open().open_each(leaf, task.context)
