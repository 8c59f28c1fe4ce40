"""The kernels that the law suite runs over: one joins by one line in `KERNELS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pytest

from privpipe.errors import DecryptionError
from privpipe.kernels import AesGcm, AesSiv, _reference
from privpipe.kernels._batches import Cost
from privpipe.kernels._gcm import Gcm
from privpipe.kernels._siv import Siv


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """What the suite knows of a kernel: its scalar twin opens what it seals."""

    name: str
    kernel: Callable[[bytes], Any]
    mode: type[Gcm | Siv]
    key: bytes
    overhead: int
    deterministic: bool
    open: Callable[[bytes, bytes, bytes], bytes]

    def make(self, key: bytes | None = None) -> Any:
        return self.kernel(self.key if key is None else key)


def _law(name: str, kernel: Any, mode: Any, size: int, overhead: int, twin: Any) -> Law:
    return Law(
        name=name,
        kernel=kernel,
        mode=mode,
        key=bytes(range(size)),
        overhead=overhead,
        deterministic=mode is Siv,
        open=twin,
    )


KERNELS = [
    _law("AesGcm-128", AesGcm, Gcm, 16, 28, _reference.gcm_decrypt),
    _law("AesGcm-256", AesGcm, Gcm, 32, 28, _reference.gcm_decrypt),
    _law("AesSiv", AesSiv, Siv, 64, 16, _reference.siv_decrypt),
]


@contextmanager
def always_in_batches(*modes: type[Any]) -> Iterator[None]:
    """Even the one value that the library's own call would do faster, up to the longest."""
    with pytest.MonkeyPatch.context() as patch:
        for mode in modes:
            free = replace(mode.cost, batch=0, step=0, row=0, block=0)
            patch.setattr(mode, "cost", free)
        yield


@contextmanager
def always_alone(*modes: type[Any]) -> Iterator[None]:
    """Even the values that a batch would do faster."""
    with pytest.MonkeyPatch.context() as patch:
        for mode in modes:
            patch.setattr(mode, "cost", alone(mode.cost))
        yield


def alone(cost: Cost) -> Cost:
    """Every value by the library's own call."""
    return replace(cost, batch=10**12)


def fails(law: Law, kernel: Any, values: list[bytes | None], aad: Any, prefix: bytes) -> bool:
    """Whether decryption refuses the column, whichever way it is asked; it must agree."""
    column = pa.array(values, pa.binary())
    plain, opened = kernel.open_each(column, aad, prefix=prefix)
    plain.validate(full=True)
    assert plain.is_valid().to_pylist() == [
        bool(ok) and value is not None for ok, value in zip(opened, values, strict=True)
    ]
    if opened.all():
        kernel.decrypt(column, aad, prefix=prefix)
        return False
    with pytest.raises(DecryptionError):
        kernel.decrypt(column, aad, prefix=prefix)
    return True
