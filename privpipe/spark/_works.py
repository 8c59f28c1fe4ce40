"""What each protection does on an executor: one entry a protection.

`protect` takes the values of a leaf and gives what stands in their place; `open` is the way back,
with the mask of the values that opened. A value that does not open comes back null there, and its
batch is not released unless the caller asked to go round damage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from privpipe import arrow
from privpipe.keys import open_ref
from privpipe.spark._task import LeafTask, Row
from privpipe.spark._works_lossy import generalize, mask, replace, shift
from privpipe.spark._works_others import fernet, open_fernet, open_sealed, seal
from privpipe.spark._works_prf import pseudonymize
from privpipe.spark._works_tokens import detokenize, tokenize

__all__ = ["WORKS", "Work"]

Mask: TypeAlias = npt.NDArray[np.bool_]
Protect: TypeAlias = Callable[[LeafTask, pa.Array, Row], pa.Array]
Open: TypeAlias = Callable[[LeafTask, pa.Array, Row], tuple[pa.Array, Mask]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One protection's work. `open` gives typed bytes, which `arrow.decode` reads."""

    protect: Protect
    open: Open | None = None


def _aad(task: LeafTask, row: Row) -> bytes | arrow.Bound:
    """The associated data: the context, and where the value is bound, the row's key too."""
    if not task.beside:
        return task.context
    keys = [(name, row.beside[at]) for name, at in zip(task.names, task.beside, strict=True)]
    return arrow.bound(row.column, row.path, task.context, keys)


def _encrypt(task: LeafTask, leaf: pa.Array, row: Row) -> pa.Array:
    return open_ref(task.ref).encrypt(arrow.encode(leaf), _aad(task, row))


def _open(task: LeafTask, leaf: pa.Array, row: Row) -> tuple[pa.Array, Mask]:
    return open_ref(task.ref).open_each(leaf, _aad(task, row))


_AEAD = Work(protect=_encrypt, open=_open)

WORKS: Mapping[str, Work] = MappingProxyType(
    {
        "encrypt": _AEAD,
        "encrypt_deterministic": _AEAD,
        "fernet": Work(protect=fernet, open=open_fernet),
        "generalize": Work(protect=generalize),
        "mask": Work(protect=mask),
        "pseudonymize": Work(protect=pseudonymize),
        "replace": Work(protect=replace),
        "seal": Work(protect=seal, open=open_sealed),
        "shift": Work(protect=shift),
        "tokenize": Work(protect=tokenize, open=detokenize),
    }
)
"""The protections that a worker does; the others are Spark's own expressions, or a join."""
